"""Matching networks (Vinyals et al. 2016) by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.api import Episodes, Learner, TaskSpec
from bench_plugins.metric_based.matching import FullContext, Matching


@pytest.fixture
def plane():
    """Matching without a network, on points of the plane, with a scale of ln 2."""
    config = Matching.Config(encoder="pixels", scale=math.log(2))
    return Matching(config, TaskSpec((1, 1, 2), 2))


@pytest.fixture
def contextual(tiny):
    """Full context embeddings, slightly trained online."""
    torch.manual_seed(0)
    config = Matching.Config(filters=8, fce=True, streams_per_update=8)
    learner = Matching(config, Matching.training_task(config, tiny.task("online")))
    tiny.train(learner, 10)
    return learner


def points(*rows):
    """One episode of points: (1, S, 1, 1, 2)."""
    return torch.tensor(rows).view(1, -1, 1, 1, 2)


# -- equation (1) ---------------------------------------------------------------------------------


def test_attention_by_hand(plane):
    support = points([2.0, 0.0], [0.0, 3.0], [-1.0, 0.0])
    state = plane.adapt(support, torch.tensor([[0, 1, 1]]), 2)
    # Query (5, 0): cosines 1, 0, -1; attention (2, 1, 1/2) / 3.5; the last two share a class.
    p = plane.predict(state, points([5.0, 0.0])).softmax(-1)
    torch.testing.assert_close(p, torch.tensor([[[2.0, 1.5]]]) / 3.5)


def test_the_loss_is_the_mean_negative_log_probability(plane):
    batch = Episodes(
        2,
        points([2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]),
        torch.tensor([[0, 1, 1]]),
        points([5.0, 0.0], [0.0, 1.0]),
        torch.tensor([[1, 0]]),
    )
    # The query above, and (0, 1): cosines 0, 1, 0, so that class 0 has 1 / (1 + 2 + 1).
    expected = -(math.log(1.5 / 3.5) + math.log(1 / 4)) / 2
    assert plane.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_scale_is_learned(plane):
    """The trap: bare cosines cannot say more than e / (e + 4 / e) = 65 % at 5 ways."""
    batch = Episodes(
        2,
        points([1.0, 0.0], [0.0, 1.0]),
        torch.tensor([[0, 1]]),
        points([1.0, 0.1]),
        torch.tensor([[0]]),
    )
    optimizer = torch.optim.Adam(plane.parameters(), lr=0.1)
    for _ in range(40):
        loss = plane.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The right class is ahead by a cosine of (1 - 0.1) / √1.01 = 0.8955.
    assert plane.log_scale.exp().item() > 5
    assert loss.item() < math.log1p(math.exp(-5 * 0.8955))


def test_an_unseen_class_has_the_novelty_logit(plane):
    with torch.no_grad():
        plane.novelty.value.fill_(0.5 / plane.novelty.unit)
    state = plane.adapt(points([1.0, 0.0]), torch.tensor([[1]]), 2)
    logits = plane.predict(state, points([-1.0, 0.0]))
    torch.testing.assert_close(logits, torch.tensor([[[0.5, -math.log(2)]]]))


@torch.no_grad()
@pytest.mark.parametrize("fce", [False, True])
def test_the_fast_unroll_equals_the_default_one(fce, tiny):
    torch.manual_seed(0)
    learner = Matching(Matching.Config(filters=4, fce=fce), tiny.task("online")).eval()
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-4, rtol=1e-4)
    assert (fast[:, 0] == fast[:, 0, :1]).all(), "nothing seen: every class alike"


# -- full context embeddings ----------------------------------------------------------------------


def lstm_cell(layer, x, h, c, suffix):
    """One step of a layer of nn.LSTM, gate by gate."""
    w, u = getattr(layer, f"weight_ih{suffix}"), getattr(layer, f"weight_hh{suffix}")
    b = getattr(layer, f"bias_ih{suffix}") + getattr(layer, f"bias_hh{suffix}")
    write, keep, candidate, out = (w @ x + u @ h + b).chunk(4)
    c = keep.sigmoid() * c + write.sigmoid() * candidate.tanh()
    return out.sigmoid() * c.tanh(), c


@torch.no_grad()
def test_support_context_against_a_loop():
    """Appendix A.2: two LSTMs, one from each end, and the residual."""
    torch.manual_seed(0)
    context, z = FullContext(3, 1), torch.randn(1, 4, 3)
    expected = z.clone()
    for suffix, order in (("_l0", range(4)), ("_l0_reverse", reversed(range(4)))):
        h = c = torch.zeros(3)
        for i in order:
            h, c = lstm_cell(context.bidirectional, z[0, i], h, c, suffix)
            expected[0, i] += h
    torch.testing.assert_close(context.support(z), expected)


@torch.no_grad()
def test_query_context_against_a_loop():
    """Appendix A.1, equations (3) to (6), query by query and support item by support item."""
    torch.manual_seed(0)
    context, z, g = FullContext(3, 3), torch.randn(2, 4, 3), torch.randn(2, 5, 3)
    result = context.query(z, g)
    w, b, u = context.input.weight, context.input.bias, context.recurrent.weight
    for e in range(2):
        for q in range(4):
            h, c = torch.zeros(3), torch.zeros(3)
            for _ in range(3):
                attention = torch.stack([h @ g[e, i] for i in range(5)]).softmax(0)
                read = sum(attention[i] * g[e, i] for i in range(5))
                gates = w @ z[e, q] + b + u @ torch.cat([h, read])
                keep, write, out, candidate = gates.chunk(4)
                c = keep.sigmoid() * c + write.sigmoid() * candidate.tanh()
                h = out.sigmoid() * c.tanh() + z[e, q]
            torch.testing.assert_close(result[e, q], h)


@torch.no_grad()
def test_without_weights_the_residuals_are_left():
    context, z, g = FullContext(3, 4), torch.randn(2, 4, 3), torch.randn(2, 5, 3)
    for parameter in context.parameters():
        nn.init.zeros_(parameter)
    # Gates of zero write tanh(0) = 0 into the cell, and read tanh(0) = 0 out of it.
    torch.testing.assert_close(context.support(g), g)
    torch.testing.assert_close(context.query(z, g), z)


@torch.no_grad()
def test_full_context_obeys_the_laws(contextual, tiny):
    learner, episodes, stream = contextual, tiny.episodes(shots=2), tiny.stream()
    state = learner.adapt(episodes.support_x, episodes.support_y, 5)
    together = learner.predict(state, episodes.query_x)
    for q in range(together.shape[1]):
        alone = learner.predict(state, episodes.query_x[:, q : q + 1])[:, 0]
        torch.testing.assert_close(together[:, q], alone, atol=1e-4, rtol=1e-4)
    logits = learner.unroll(stream.x, stream.y, 5)
    state = learner.adapt(stream.x[:, :6], stream.y[:, :6], 5)
    alone = learner.predict(state, stream.x[:, 6:7])[:, 0]
    torch.testing.assert_close(logits[:, 6], alone, atol=1e-4, rtol=1e-4)
    later = stream.y.clone()
    later[:, 7:] = (later[:, 7:] + 1) % 5
    changed = learner.unroll(stream.x, later, 5)
    torch.testing.assert_close(logits[:, :8], changed[:, :8])
    assert not torch.allclose(logits[:, 8:], changed[:, 8:])


@torch.no_grad()
def test_only_full_context_depends_on_the_order_of_the_support_set(contextual, tiny):
    plain = Matching(Matching.Config(filters=8), tiny.task()).eval()
    episodes = tiny.episodes(shots=2)

    def answers(learner, order):
        x, y = episodes.support_x[:, order], episodes.support_y[:, order]
        return learner.predict(learner.adapt(x, y, 5), episodes.query_x)

    there, back = torch.arange(10), torch.arange(9, -1, -1)
    torch.testing.assert_close(answers(plain, there), answers(plain, back), atol=1e-4, rtol=1e-4)
    difference = (answers(contextual, there) - answers(contextual, back)).abs().max()
    assert difference > 1e-2, "the two LSTMs read it from its two ends"


def test_full_context_has_finite_gradients_under_autocast(tiny):
    learner = Matching(Matching.Config(filters=4, fce=True), tiny.task())
    batch = tiny.episodes()
    batch.query_x = torch.zeros_like(batch.query_x)
    batch.support_x = 1e3 * batch.support_x
    with torch.autocast("cpu", torch.bfloat16):
        learner.loss(batch).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


# -- training -------------------------------------------------------------------------------------


def test_training_task():
    task = TaskSpec((1, 28, 28), 5, 5, queries=15)
    asked = Matching.training_task(Matching.Config(), task)
    assert (asked.ways, asked.shots, asked.queries) == (60, 5, 5)
    paper = Matching.training_task(Matching.Config(**Matching.presets["paper"]), task)
    assert paper == task.but(episodes_per_update=16), "the paper trains as it tests"


def test_the_learning_rate_falls_to_zero_and_stays_there():
    learner = Matching(Matching.Config(encoder="pixels"), TaskSpec((1, 1, 2), 2))
    optimizer, schedule = learner.optimizer(10)
    optimizer.step()  # torch warns otherwise
    rates = []
    for _ in range(13):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert rates == pytest.approx([1e-3 * max(0.0, 1 - i / 10) for i in range(13)], abs=1e-9)
