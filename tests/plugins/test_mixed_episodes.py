"""Episodes that are drawn from the embedded images of others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import Episodes
from bench_plugins.model_based.mixed_episodes import by_class, mixed_episodes


def episodes(batch, ways, shots, queries, seed):
    """Items whose features are (class, image): every episode has classes of its own."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(batch * ways).view(batch, ways)

    def items(first, each):
        y = torch.arange(ways).repeat(each).expand(batch, -1)
        order = torch.rand(y.shape, generator=generator).argsort(1)
        images = torch.arange(first, first + each).repeat_interleave(ways).expand(batch, -1)
        y, images = y.gather(1, order), images.gather(1, order)
        return torch.stack([classes.gather(1, y), images], dim=-1).float(), y

    (support, support_y), (query, query_y) = items(0, shots), items(shots, queries)
    return Episodes(ways, support, support_y, query, query_y, classes)


def test_items_of_a_class_lie_side_by_side():
    z = torch.tensor([[[10.0], [20], [11], [21]], [[40.0], [30], [41], [31]]])
    y = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]])
    expected = torch.tensor([[10.0, 11], [20, 21], [30, 31], [40, 41]])
    torch.testing.assert_close(by_class(z, y, 2)[..., 0].sort(dim=1).values, expected)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(2, 5), st.integers(1, 3), st.integers(1, 3), st.data())
def test_what_is_drawn_is_an_episode_of_the_same_images(batch, ways, shots, queries, data):
    asked = data.draw(st.integers(1, shots + queries - 1), label="shots of what is drawn")
    given_ = episodes(batch, ways, shots, queries, data.draw(st.integers(0, 999)))
    support, support_y, query, query_y = mixed_episodes(
        given_, given_.support_x, given_.query_x, count=7, shots=asked
    )
    each = shots + queries
    assert support.shape == (7, ways * asked, 2)
    assert query.shape == (7, ways * (each - asked), 2)
    for z, y in zip(
        torch.cat([support, query], 1), torch.cat([support_y, query_y], 1), strict=True
    ):
        assert len({tuple(item) for item in z.tolist()}) == ways * each, "every image once"
        pairs = {(int(item[0]), int(label)) for item, label in zip(z, y, strict=True)}
        assert len(pairs) == ways, "a class has one label, and a label one class"
    for labels, each_label in ((support_y, asked), (query_y, each - asked)):
        assert (torch.stack([(labels == n).sum(1) for n in range(ways)]) == each_label).all()


def test_draws_differ_in_classes_labels_order_and_images():
    given_ = episodes(4, 5, 2, 3, seed=0)
    support, support_y, _, _ = mixed_episodes(given_, given_.support_x, given_.query_x, 400, 2)
    assert support[..., 0].unique().numel() == 20, "classes of all episodes"
    assert support[..., 1].unique().numel() == 5, "any image may be learned from"
    first = torch.bincount(support_y[:, 0], minlength=5) / 400
    assert first.amax() < 0.3, "a place says nothing of a label"
    labels_of_class = support_y[support[..., 0] == 7]
    assert labels_of_class.unique().numel() == 5, "nor does a class"


def test_a_class_of_two_episodes_is_no_two_classes_of_one():
    given_ = episodes(3, 4, 2, 1, seed=1)
    given_.classes[1, :3] = given_.classes[0, :3]
    support, _, _, _ = mixed_episodes(given_, given_.support_x, given_.query_x, 300, 2)
    drawn = support[..., 0].unique()
    left_out = {4.0, 5.0, 6.0}  # the first three classes of the second episode
    assert not left_out & set(drawn.tolist())
    assert drawn.numel() == 9


@pytest.mark.parametrize("classes", [None, "given"])
def test_one_episode_is_enough(classes):
    given_ = episodes(1, 3, 1, 1, seed=2)
    if classes is None:
        given_ = Episodes(3, given_.support_x, given_.support_y, given_.query_x, given_.query_y)
    support, _, query, _ = mixed_episodes(given_, given_.support_x, given_.query_x, 5, 1)
    assert support.shape == query.shape == (5, 3, 2)
