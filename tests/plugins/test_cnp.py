"""Conditional neural processes (Garnelo et al. 2018; attentive: Kim et al. 2019), by hand and
against a loop over examples."""

from __future__ import annotations

import math

import pytest
import torch

from bench.api import Learner, TaskSpec
from bench_plugins.model_based.cnp import CNP, CrossAttention, Decoder, Encoder, Mean

KINDS = pytest.mark.parametrize("attention", [False, True])


def small(attention):
    torch.manual_seed(0)
    config = CNP.Config(encoder="pixels", width=6, heads=2, attention=attention)
    return CNP(config, TaskSpec((1, 2, 2), 3, protocol="online", length=9)).eval()


# -- the parts ------------------------------------------------------------------------------------


def test_the_mean_is_taken_of_those_of_the_class():
    r = torch.tensor([1.0, 3.0, 10.0]).view(1, 3, 1, 1)  # alike for 2 classes
    y = torch.tensor([[[True, False], [True, False], [False, False]]])
    # Class 0: (1 + 3) / 2; class 1 has no example.
    expected = torch.tensor([[[2.0], [0.0]]])
    torch.testing.assert_close(Mean().keep(torch.zeros(1, 3, 1), r, y)["r"], expected)


def test_the_mean_of_prefixes_leaves_out_the_step_itself():
    r = torch.tensor([1.0, 3.0, 10.0]).view(1, 3, 1, 1)
    y = torch.tensor([[[True], [False], [True]]])
    prefixes = Mean().of_prefixes(torch.zeros(1, 3, 1), r, y)
    assert prefixes[0, :, 0].tolist() == [[0.0], [1.0], [1.0]]


@torch.no_grad()
def test_cross_attention_by_hand():
    attention = CrossAttention(4, 4, heads=1)
    attention.key.weight.copy_(torch.eye(4))
    attention.key.bias.zero_()
    z = torch.tensor([[[2 * math.log(3), 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0]]])
    r = torch.tensor([[4.0] * 4, [8.0] * 4]).view(1, 2, 1, 4)
    kept = attention.keep(z, r, torch.ones(1, 2, 1, dtype=torch.bool))
    read = attention(kept, torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]))
    # Products over √4: ln 3 and 0. Weights 3/4 and 1/4: 3/4 · 4 + 1/4 · 8 = 5.
    torch.testing.assert_close(read, torch.full((1, 1, 1, 4), 5.0))


@torch.no_grad()
def test_heads_attend_apart():
    attention = CrossAttention(2, 2, heads=2)
    attention.key.weight.copy_(torch.eye(2))
    attention.key.bias.zero_()
    z = torch.tensor([[[math.log(3), 0.0], [0.0, math.log(7)]]])
    r = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    read = attention(attention.keep(z, r, torch.ones(1, 2, 1)), torch.ones(1, 1, 2))
    # Head 1 weighs 3 : 1, head 2 weighs 1 : 7.
    torch.testing.assert_close(read[0, 0, 0], torch.tensor([3 / 4, 1 / 8]))


@torch.no_grad()
def test_attention_to_nothing_reads_zero():
    attention = CrossAttention(2, 2, heads=1)
    z, r = torch.randn(1, 3, 2), torch.randn(1, 3, 1, 2)
    read = attention.of_prefixes(z, r, torch.ones(1, 3, 1))
    assert not read[0, 0].any()
    torch.testing.assert_close(read[0, 1], r[0, 0], msg="one example before: all of it")


@torch.no_grad()
def test_the_decoder_is_a_layer_on_both_laid_side_by_side():
    torch.manual_seed(0)
    g = Decoder(3, 2, 5, 4)
    r, x = torch.randn(7, 3), torch.randn(7, 2)
    both = torch.cat([g.of_r.weight, g.of_x.weight], dim=1)
    first = torch.cat([r, x], dim=1) @ both.T + g.of_r.bias
    torch.testing.assert_close(g(r, x), g.layers(first))
    assert g(r, x).shape == (7, 4), "regression will ask for a mean and a variance"


@torch.no_grad()
def test_the_encoder_takes_answers_of_any_size():
    assert Encoder(3, 2, 5)(torch.randn(4, 6, 3), torch.randn(4, 6, 2)).shape == (4, 6, 5)


# -- the whole ------------------------------------------------------------------------------------


def naive_logits(learner, support_x, support_y, query_x):
    """One class, one example after the other."""
    z = [learner.encoder(x[None, None])[0, 0] for x in support_x]
    asked = learner.encoder(query_x[None, None])[0, 0]
    logits = []
    for n in range(3):
        is_n = [bool(label == n) for label in support_y]
        r = [learner.h(v, torch.tensor([float(a)])) for v, a in zip(z, is_n, strict=True)]
        if isinstance(learner.aggregator, Mean):
            chosen = [v for v, a in zip(r, is_n, strict=True) if a]
            known = torch.stack(chosen).mean(0) if chosen else torch.zeros(6)
        elif r:
            key, heads = learner.aggregator.key, []
            for h in (slice(0, 3), slice(3, 6)):
                scores = [key(asked)[h] @ key(v)[h] / math.sqrt(3) for v in z]
                weights = torch.stack(scores).softmax(0)
                heads.append(sum(w * v[h] for w, v in zip(weights, r, strict=True)))
            known = torch.cat(heads)
        else:
            known = torch.zeros(6)
        logits.append(learner.g(known, asked)[0])
    return torch.stack(logits)


@KINDS
@torch.no_grad()
def test_both_views_against_the_paper_read_aloud(attention):
    learner = small(attention)
    x, y = torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))
    online = learner.unroll(x, y, 3)
    answers = learner.predict(learner.adapt(x[:, :4], y[:, :4], 3), x[:, 4:])
    for b in range(2):
        for t in range(9):
            expected = naive_logits(learner, x[b, :t], y[b, :t], x[b, t])
            torch.testing.assert_close(online[b, t], expected, atol=1e-5, rtol=1e-4)
        for q in range(5):
            expected = naive_logits(learner, x[b, :4], y[b, :4], x[b, 4 + q])
            torch.testing.assert_close(answers[b, q], expected, atol=1e-5, rtol=1e-4)


@KINDS
@torch.no_grad()
def test_the_vectorised_unroll_equals_the_default_one(tiny, attention):
    config = CNP.Config(filters=4, width=8, heads=2, attention=attention)
    learner = CNP(config, tiny.task("online")).eval()
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-4, rtol=1e-4)
    assert (fast[:, 0] == fast[:, 0, :1]).all(), "nothing seen: every class alike"


@KINDS
@torch.no_grad()
def test_more_classes_than_trained_and_classes_without_examples(attention):
    learner = small(attention)
    x, y = torch.rand(2, 4, 1, 2, 2), torch.tensor([[0, 6, 6, 0], [1, 1, 1, 1]])
    logits = learner.predict(learner.adapt(x, y, 7), x)
    assert logits.shape == (2, 4, 7)
    assert logits.isfinite().all()
    unseen = logits[1, :, 2:]
    torch.testing.assert_close(unseen, unseen[:, :1].expand_as(unseen), msg="told apart by nothing")


@torch.no_grad()
def test_what_is_known_of_a_class_does_not_depend_on_the_others():
    """Else a training with 20 ways would say little about 5."""
    learner = small(attention=False)
    x, y, query = torch.rand(1, 6, 1, 2, 2), torch.arange(6)[None] % 3, torch.rand(1, 5, 1, 2, 2)
    all_ways = learner.predict(learner.adapt(x, y, 3), query)
    first = y[0] == 0
    alone = learner.predict(learner.adapt(x[:, first], y[:, first], 1), query)
    torch.testing.assert_close(all_ways[..., :1], alone)


@torch.no_grad()
def test_attention_tells_queries_apart_that_a_mean_does_not():
    """What is known of a class depends on the query with attention only."""
    x, y, query = torch.rand(1, 6, 1, 2, 2), torch.arange(6)[None] % 3, torch.rand(1, 5, 4)
    for attention, rows in ((False, 1), (True, 5)):
        learner = small(attention)
        state = learner.adapt(x, y, 3)
        assert learner.aggregator(state, query).shape[:3] == (1, rows, 3)


def test_one_training_serves_all_and_the_paper_trains_as_tested():
    task = TaskSpec((1, 28, 28), 5)
    asked = CNP.training_task(CNP.Config(), task)
    assert asked == CNP.training_task(CNP.Config(), task.but(ways=20, shots=5))
    assert (asked.ways, asked.shots) == (20, (1, 5))
    assert CNP.training_task(CNP.Config(**CNP.presets["paper"]), task).ways == 5


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width=10 is no multiple of heads=4"):
        CNP(CNP.Config(attention=True, width=10), TaskSpec((1, 16, 16), 5))


@pytest.fixture
def numbers() -> TaskSpec:
    """Functions of one number."""
    return TaskSpec((1,), 1, 5, 5, protocol="regression", outputs=1)


def test_numbers_are_heard_at_the_start(numbers):
    """y is one of 129 inputs of h; what functions of the same x differ by has to come through."""
    torch.manual_seed(0)
    learner = CNP(CNP.Config(encoder="mlp", filters=128), numbers)
    x = torch.linspace(-2, 2, 5)[None, :, None].expand(64, 5, 1)
    y = torch.randn(64, 5, 1)

    def spread() -> float:
        return float(learner.predict(learner.adapt(x, y, 1), x).mean.std(0).mean())

    heard = spread()
    learner.h.layers[0].reset_parameters()
    assert heard > 3 * spread(), "as loud as with torch's own start"


@pytest.mark.parametrize("attention", [False, True])
def test_regression_in_bf16(numbers, attention):
    """What leaves the encoder is bf16, and the attention is computed without autocast."""
    learner = CNP(CNP.Config(encoder="mlp", attention=attention), numbers)
    x, y = torch.randn(2, 5, 1), torch.randn(2, 5, 1)
    with torch.autocast("cpu", torch.bfloat16):
        answers = learner.predict(learner.adapt(x, y, 1), x)
    assert answers.mean.isfinite().all()
