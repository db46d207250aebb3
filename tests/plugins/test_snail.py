"""SNAIL (Mishra et al. 2018): each block by hand, and the whole against a naive loop."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, TaskSpec, map_tensors
from bench_plugins.model_based.snail import (
    ATTENTIONS,
    SIMILARITY,
    SNAIL,
    AttentionBlock,
    DenseBlock,
    attend,
)

SMALL = SNAIL.Config(encoder="pixels", dense_filters=5, mixtures=None)


@pytest.fixture
def learner():
    torch.manual_seed(0)
    return SNAIL(SMALL, TaskSpec((1, 2, 2), 3, protocol="online", length=9)).eval()


def causal(steps):
    return torch.ones(steps, steps, dtype=torch.bool).tril(-1)


def run(block, h):
    """A dense block over a whole sequence."""
    return block(h, block.past(h)[:, : h.shape[1]])


# -- dense blocks ---------------------------------------------------------------------------------


@torch.no_grad()
def test_a_dense_block_by_hand():
    block = DenseBlock(1, 1, dilation=1)
    block.now.weight.copy_(torch.tensor([[1.0], [0.0]]))
    block.now.bias.copy_(torch.tensor([0.0, math.log(3)]))
    block.before.weight.copy_(torch.tensor([[2.0], [0.0]]))
    h = torch.tensor([[[1.0], [-1.0], [0.5]]])
    # tanh(h_t + 2 h_t-1) σ(ln 3): 1 + 0, -1 + 2, 0.5 - 2, and σ(ln 3) = 3 / 4.
    expected = 0.75 * torch.tensor([1.0, 1.0, -1.5]).tanh()
    joined = run(block, h)
    torch.testing.assert_close(joined[..., :1], h)
    torch.testing.assert_close(joined[0, :, 1], expected)
    # What the step after the last one finds: 2 * 0.5 for the content.
    assert block.past(h)[0, -1].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
@torch.no_grad()
def test_a_dense_block_is_a_dilated_causal_convolution(dilation):
    block, h = DenseBlock(3, 5, dilation), torch.randn(2, 7, 3)
    kernel = torch.stack([block.before.weight, block.now.weight], dim=-1)  # (2F, C, 2)
    padded = F.pad(h.transpose(1, 2), (dilation, 0))
    convolved = F.conv1d(padded, kernel, block.now.bias, dilation=dilation)
    content, gate = convolved.transpose(1, 2).chunk(2, dim=-1)
    torch.testing.assert_close(run(block, h)[..., 3:], content.tanh() * gate.sigmoid())


@pytest.mark.parametrize(("length", "blocks"), [(2, 1), (6, 3), (8, 3), (9, 4), (26, 5)])
def test_a_tc_block_reaches_over_the_whole_sequence(length, blocks):
    learner = SNAIL(SMALL, TaskSpec((1, 2, 2), 1, protocol="online", length=length))
    dense = [layer for layer in learner.layers if isinstance(layer, DenseBlock)]
    assert len(dense) == 2 * blocks
    h = torch.randn(1, length, dense[0].now.in_features)
    start = h.clone().requires_grad_()
    h = start
    for block in dense[:blocks]:
        h = run(block, h)
    (gradient,) = torch.autograd.grad(h[0, -1, start.shape[-1] :].sum(), start)
    assert gradient[0].any(-1).all(), "the last step sees every step"


# -- attention ------------------------------------------------------------------------------------


def test_attention_by_hand():
    # Keys of size 4: scores are products over 2, here ln 1, ln 2 and, of the step itself, ln 5.
    query = torch.tensor([[[2.0, 0.0, 0.0, 0.0]]])
    keys = torch.tensor([[[0.0, 7.0, 0.0, 0.0], [math.log(2), 0.0, 7.0, 0.0]]])
    own_key = torch.tensor([[[math.log(5), 0.0, 0.0, 7.0]]])
    values, own_value = torch.tensor([[[8.0, 0.0], [0.0, 8.0]]]), torch.tensor([[[1.6, 1.6]]])
    read, weights = attend(query, own_key, own_value, keys, values)
    torch.testing.assert_close(weights, torch.tensor([[[1.0, 2.0, 5.0]]]) / 8)
    # 1/8 (8, 0) + 2/8 (0, 8) + 5/8 (1.6, 1.6)
    torch.testing.assert_close(read, torch.tensor([[[2.0, 3.0]]]))


def test_attention_rows_sum_to_one_and_are_causal():
    q, k, v = torch.randn(2, 6, 4), torch.randn(2, 6, 4), torch.randn(2, 6, 3)
    _, weights = attend(q, k, v, k, v, causal(6))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))
    assert not weights[..., :6].masked_select(~causal(6)).any(), "nothing later is looked at"
    assert (weights[:, 0, -1] == 1).all(), "the first step has only itself"
    assert (weights[:, 5, [0, 1, 2, 3, 4, 6]] > 0).all(), "the last step has all, and itself"


def test_attention_is_finite_at_extremes():
    q = torch.full((1, 3, 4), 1e4, requires_grad=True)
    k = torch.tensor([[[1e4] * 4, [-1e4] * 4, [0.0] * 4]], requires_grad=True)
    read, weights = attend(q, k, k, k, k, causal(3))
    read.sum().backward()
    assert read.isfinite().all()
    assert weights.isfinite().all()
    assert q.grad.isfinite().all()
    assert k.grad.isfinite().all()


# -- the start ------------------------------------------------------------------------------------


@torch.no_grad()
def test_an_attention_starts_by_reading_the_label_of_the_image_that_is_most_alike():
    block = AttentionBlock(64 + 3 + 10, 64, 32)
    block.start_as_nearest_neighbour(64, 3)
    images = torch.eye(64)[:3] * 8  # of mean square 1, and nothing alike
    labels = torch.tensor([2, 0, 1])
    steps = torch.cat([images, torch.eye(3)[labels], torch.randn(3, 10)], dim=1)[None]
    queries = torch.cat([images, torch.zeros(3, 3), torch.randn(3, 10)], dim=1)[None]
    read = block(queries, block.past(steps))[0, :, 77 : 77 + 3]
    assert (read.argmax(1) == labels).all()
    assert (read.amax(1) > 0.9).all(), "the query itself, which has no label, has almost no weight"


@torch.no_grad()
@pytest.mark.parametrize(("key_size", "features"), [(64, 64), (256, 64), (512, 256), (64, 256)])
def test_an_image_has_the_same_score_with_itself_whatever_the_sizes(key_size, features):
    block = AttentionBlock(features + 5, key_size, 32)
    block.start_as_nearest_neighbour(features, 5)
    z = torch.randn(4000, features + 5)
    z[:, features:] = 0  # no label
    scores = (block.query(z) * block.key(z)).sum(1) / math.sqrt(key_size)
    assert scores.mean().item() == pytest.approx(SIMILARITY, rel=0.1)
    z[:, features] = 1  # with a label
    told = (block.query(z) * block.key(z)).sum(1) / math.sqrt(key_size)
    torch.testing.assert_close(told - scores, torch.full((4000,), SIMILARITY))


@torch.no_grad()
def test_before_training_it_answers_as_a_nearest_neighbour():
    torch.manual_seed(0)
    learner = SNAIL(SNAIL.Config(encoder="pixels"), TaskSpec((1, 8, 8), 3, shots=2)).eval()
    x = torch.randn(20, 3, 1, 8, 8)
    support = torch.cat([x, x + 0.3 * torch.randn_like(x)], dim=1)
    y = torch.tensor([2, 0, 1]).repeat(2).expand(20, 6)
    logits = learner.predict(learner.adapt(support, y, 3), x + 0.3 * torch.randn_like(x))
    assert (logits.argmax(-1) == y[:, :3]).float().mean() > 0.95


# -- the whole ------------------------------------------------------------------------------------


def naive_logits(learner, x, y):
    """Equation by equation: the sequence (x_0, y_0), ..., (x_t, 0), one step and one block at a
    time, every position from scratch."""
    labels = F.one_hot(y, learner.task.ways).float()
    labels[-1] = 0
    features = learner.encoder(x[None])[0]
    rows = [torch.cat([image, label]) for image, label in zip(features, labels, strict=True)]
    for layer in learner.layers:
        after = []
        for t, h in enumerate(rows):
            if isinstance(layer, DenseBlock):
                s = t - layer.dilation
                back = layer.before.weight @ rows[s] if s >= 0 else 0.0
                content, gate = (layer.now.weight @ h + layer.now.bias + back).chunk(2)
                new = content.tanh() * gate.sigmoid()
            else:
                query = layer.query(h)
                scores = [query @ layer.key(r) / math.sqrt(len(query)) for r in rows[: t + 1]]
                weights = torch.stack(scores).softmax(0)
                new = sum(w * layer.value(r) for w, r in zip(weights, rows, strict=False))
            after.append(torch.cat([h, new]))
        rows = after
    return learner.output(rows[-1])


@torch.no_grad()
def test_both_views_against_the_paper_read_aloud(learner):
    x, y = torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))
    online = learner.unroll(x, y, 3)
    state = learner.adapt(x[:, :6], y[:, :6], 3)
    answers = learner.predict(state, x[:, 6:])
    for b in range(2):
        for t in range(9):
            expected = naive_logits(learner, x[b, : t + 1], y[b, : t + 1])
            torch.testing.assert_close(online[b, t], expected, atol=1e-5, rtol=1e-4)
        for q in range(3):
            sequence = torch.cat([x[b, :6], x[b, 6 + q, None]])
            expected = naive_logits(learner, sequence, y[b, :7])
            torch.testing.assert_close(answers[b, q], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_loss_is_that_of_the_queries_each_as_a_last_step(learner):
    x, y = torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))
    losses = []
    for b in range(2):
        for q in (6, 7, 8):
            sequence, labels = torch.cat([x[b, :6], x[b, q, None]]), torch.cat([y[b, :6], y[b, :1]])
            losses.append(F.cross_entropy(naive_logits(learner, sequence, labels), y[b, q]))
    episodes = Episodes(3, x[:, :6], y[:, :6], x[:, 6:], y[:, 6:])
    torch.testing.assert_close(learner.loss(episodes), torch.stack(losses).mean())


@torch.no_grad()
def test_the_loss_of_mixtures_is_the_mean_over_the_episodes_drawn():
    """Half of them with one shot. Of two images of a class and one shot nothing but order, labels
    and roles is left to draw: every loss is one of a few."""
    config = SNAIL.Config(encoder="pixels", dense_filters=5, mixtures=6)
    learner = SNAIL(config, TaskSpec((1, 2, 2), 2, shots=2)).eval()
    drawn = []
    learner._loss = lambda episodes, ways: drawn.append(episodes) or torch.tensor(len(drawn) * 1.0)
    y = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]])
    x = torch.rand(2, 7, 1, 2, 2)
    batch = Episodes(2, x[:, :4], y, x[:, 4:6], torch.tensor([[1, 0], [0, 1]]))
    loss = learner.loss(batch)
    assert [tuple(part[1].shape) for part in drawn] == [(6, 4), (6, 2)]
    assert [tuple(part[3].shape) for part in drawn] == [(6, 2), (6, 4)]
    assert loss.item() == pytest.approx((6 * 1 + 6 * 2) / 12)


@torch.no_grad()
def test_the_state_is_what_one_more_step_needs(learner):
    """One tap for each convolution, keys and values for each attention; nothing else grows."""

    def size(steps):
        state = learner.adapt(torch.rand(2, steps, 1, 2, 2), torch.randint(0, 3, (2, steps)), 3)
        shapes = []
        map_tensors(lambda tensor: shapes.append(tuple(tensor.shape)) or tensor, state)
        return shapes

    taps = [(2, 1, 10)] * 4
    for steps in (4, 7):
        first, second, third = [[(2, steps, k), (2, steps, v)] for k, v in ATTENTIONS]
        assert size(steps) == [*first, *taps, *second, *taps, *third]


@torch.no_grad()
def test_the_label_counts_and_not_its_place(learner):
    """Labels in sorted order would let a step's place stand for its label."""
    x, y = torch.rand(4, 6, 1, 2, 2), torch.arange(3).repeat(2).expand(4, 6)
    renamed = learner.predict(learner.adapt(x, (y + 1) % 3, 3), x)
    assert not torch.allclose(renamed, learner.predict(learner.adapt(x, y, 3), x))


def test_one_training_serves_one_shot_and_five():
    task = TaskSpec((1, 28, 28), 5)
    config = SNAIL.Config()
    asked = SNAIL.training_task(config, task)
    assert asked == SNAIL.training_task(config, task.but(shots=5))
    assert asked.shots == (1, 5)
    assert SNAIL.training_task(config, task.but(shots=10)).shots == (1, 10)
