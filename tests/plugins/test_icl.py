"""The in-context Transformer (Kirsch et al. 2022; as a set: Fifty et al. 2024): attention by hand,
and the whole against a naive loop over tokens."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Learner, TaskSpec, map_tensors
from bench_plugins.model_based.icl import ICL, Layer, attend, equiangular

FORMS = pytest.mark.parametrize("form", ["causal", "set"])


def small(form, task=None):
    """All weights random, as if far from the start."""
    torch.manual_seed(0)
    config = ICL.Config(encoder="pixels", layers=2, width=12, heads=2, form=form)
    learner = ICL(config, task or TaskSpec((1, 2, 2), 3, protocol="online", length=9)).eval()
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    return learner


# -- label vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(1, 4), (2, 2), (5, 64), (20, 20)])
def test_label_vectors_have_one_length_and_one_angle(count, size):
    vectors = equiangular(count, size)
    expected = torch.full((count, count), -size / max(count - 1, 1)).fill_diagonal_(size)
    torch.testing.assert_close(vectors @ vectors.T, expected, atol=1e-4 * size, rtol=0)


def test_label_vectors_stay(tiny):
    learner = ICL(ICL.Config(filters=4, width=16), tiny.task())
    before = learner.labels.clone()
    tiny.train(learner, 2)
    assert learner.labels.equal(before)
    assert "labels" in learner.state_dict(), "they are drawn at random, so they are saved"


# -- attention ------------------------------------------------------------------------------------


def test_attention_by_hand():
    # Keys of size 4: scores are products over 2, here ln 1, ln 2 and, of the token itself, ln 5.
    query = torch.tensor([2.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 4)
    keys = torch.tensor([[0.0, 7.0, 0.0, 0.0], [math.log(2), 0.0, 7.0, 0.0]]).view(1, 1, 2, 4)
    own_key = torch.tensor([math.log(5), 0.0, 0.0, 7.0]).view(1, 1, 1, 4)
    values = torch.tensor([[8.0, 0.0], [0.0, 8.0]]).view(1, 1, 2, 2)
    own_value = torch.tensor([1.6, 1.6]).view(1, 1, 1, 2)
    read, weights = attend(query, (own_key, own_value), (keys, values))
    torch.testing.assert_close(weights.flatten(), torch.tensor([1.0, 2.0, 5.0]) / 8)
    torch.testing.assert_close(read.flatten(), torch.tensor([2.0, 3.0]))


def test_attention_rows_sum_to_one_over_what_is_seen():
    q, k, v = (torch.randn(2, 3, 6, 4) for _ in range(3))
    seen = torch.ones(6, 6, dtype=torch.bool).tril(-1)
    _, weights = attend(q, (k, v), (k, v), seen)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 6))
    assert not weights[..., :6].masked_select(~seen).any()
    assert (weights[:, :, 0, -1] == 1).all(), "the first token has only itself"


def test_at_the_start_what_is_read_arrives_where_it_came_from():
    layer = Layer(8, 2)
    both = layer.merge.weight @ layer.value.weight
    torch.testing.assert_close(both, torch.eye(8), atol=1e-5, rtol=0)
    assert layer.key.weight.equal(layer.query.weight)
    assert layer.key.weight is not layer.query.weight, "and they part in training"


@torch.no_grad()
def test_a_new_learner_is_a_rough_nearest_neighbour_rule():
    """It does not start at chance, where in-context learners stay for long."""
    torch.manual_seed(0)
    learner = ICL(ICL.Config(encoder="pixels"), TaskSpec((64,), 5)).eval()
    x = torch.randn(40, 5, 64)
    order = torch.rand(40, 5).argsort(1)
    logits = learner.predict(learner.adapt(x, order, 5), x + 0.3 * torch.randn_like(x))
    assert (logits.argmax(-1) == order).float().mean() > 0.9


# -- the whole ------------------------------------------------------------------------------------


def naive_logits(learner, support_x, support_y, query_x):
    """One token, one head after the other: each with what it may see."""
    heads, causal = learner.config.heads, learner.config.form == "causal"
    images = torch.stack([*support_x, query_x]).flatten(1)[None]
    images = learner.image(learner.encoder.norm(images[0]))
    labels = [*learner.labels[support_y], learner.blank]
    tokens = [torch.cat(pair) for pair in zip(images, labels, strict=True)]
    last = len(tokens) - 1
    for layer in learner.layers:
        normed, after = [layer.attention_norm(token) for token in tokens], []
        for t, token in enumerate(tokens):
            # Support tokens see those before them, or all, and never the query, the last one.
            seen = range(t + 1) if causal or t == last else range(last)
            read = []
            for part in torch.arange(len(token)).chunk(heads):
                query = layer.query(normed[t])[part]
                scores = [query @ layer.key(normed[s])[part] / math.sqrt(len(part)) for s in seen]
                weights = torch.stack(scores).softmax(0)
                values = [layer.value(normed[s])[part] for s in seen]
                read.append(sum(w * v for w, v in zip(weights, values, strict=True)))
            h = token + layer.merge(torch.cat(read))
            after.append(h + layer.narrow(F.gelu(layer.wide(layer.norm(h)))))
        tokens = after
    return learner.output(learner.norm(tokens[-1]))


@FORMS
@torch.no_grad()
def test_both_views_against_the_paper_read_aloud(form):
    learner = small(form)
    x, y = torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))
    online = learner.unroll(x, y, 3)
    answers = learner.predict(learner.adapt(x[:, :6], y[:, :6], 3), x[:, 6:])
    for b in range(2):
        for t in range(9):
            expected = naive_logits(learner, x[b, :t], y[b, :t], x[b, t])
            torch.testing.assert_close(online[b, t], expected, atol=1e-4, rtol=1e-4)
        for q in range(3):
            expected = naive_logits(learner, x[b, :6], y[b, :6], x[b, 6 + q])
            torch.testing.assert_close(answers[b, q], expected, atol=1e-4, rtol=1e-4)


@FORMS
@torch.no_grad()
def test_the_vectorised_unroll_equals_the_default_one(tiny, form):
    learner = small(form, tiny.task("online"))
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_set_has_no_order_and_a_sequence_has():
    x, y = torch.rand(2, 6, 1, 2, 2), torch.arange(6).expand(2, 6) % 3
    query, order = torch.rand(2, 4, 1, 2, 2), torch.tensor([3, 0, 5, 1, 4, 2])
    for form, alike in (("set", True), ("causal", False)):
        learner = small(form)
        one = learner.predict(learner.adapt(x, y, 3), query)
        other = learner.predict(learner.adapt(x[:, order], y[:, order], 3), query)
        assert torch.allclose(one, other, atol=1e-5) == alike, form


@FORMS
@torch.no_grad()
def test_no_place_is_learned(form):
    """A learned position limits such a learner to the length that it was trained with."""
    learner = small(form)
    for name, parameter in learner.named_parameters():
        assert 9 not in parameter.shape, name
    x, y = torch.rand(1, 200, 1, 2, 2), torch.randint(0, 3, (1, 200))
    assert learner.predict(learner.adapt(x, y, 3), x).isfinite().all()
    # The same example again and again is at every place what it is at the first.
    once = learner.adapt(x[:, :1], y[:, :1], 3)["pasts"]
    again = learner.adapt(x[:, :1].expand(1, 50, 1, 2, 2), y[:, :1].expand(1, 50), 3)["pasts"]
    for past, repeated in zip(once, again, strict=True):
        for kept, each in zip(past, repeated, strict=True):
            torch.testing.assert_close(each, kept.expand_as(each))


@FORMS
@torch.no_grad()
def test_the_state_is_keys_and_values_of_the_support_set(form):
    shapes = []
    state = small(form).adapt(torch.rand(2, 7, 1, 2, 2), torch.zeros(2, 7, dtype=torch.long), 3)
    map_tensors(lambda tensor: shapes.append(tuple(tensor.shape)) or tensor, state)
    assert shapes == [(2, 2, 7, 6)] * 4, "two layers of two heads"


def test_one_training_serves_one_shot_and_five():
    task, config = TaskSpec((1, 28, 28), 5), ICL.Config()
    asked = ICL.training_task(config, task)
    assert asked == ICL.training_task(config, task.but(shots=5))
    assert asked.shots == (1, 5)
    online = TaskSpec((1, 20, 20), 5, protocol="online", length=50)
    asked = ICL.training_task(ICL.Config(training_ways=7), online)
    assert (asked.ways, asked.length) == (7, 70), "each class as often as tested"


def test_a_width_without_room_for_the_labels_is_refused():
    with pytest.raises(ValueError, match="room for 16 label vectors, and 20 ways"):
        ICL(ICL.Config(width=32), TaskSpec((1, 16, 16), 20))
    with pytest.raises(ValueError, match="width=20 is no multiple of 2 heads=4"):
        ICL(ICL.Config(width=20), TaskSpec((1, 16, 16), 5))
