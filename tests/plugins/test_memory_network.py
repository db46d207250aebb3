"""The end-to-end memory network (Sukhbaatar et al. 2015), by hand and against a naive loop."""

from __future__ import annotations

import math

import pytest
import torch

from bench.api import TaskSpec
from bench_plugins.model_based.memory_network import MemoryNetwork, attention

SMALL = MemoryNetwork.Config(encoder="pixels", width=8, hops=3, scale=6.0)


@pytest.fixture
def learner():
    """All weights random, as if far from the start."""
    torch.manual_seed(0)
    learner = MemoryNetwork(SMALL, TaskSpec((1, 2, 2), 3, protocol="online", length=9))
    with torch.no_grad():
        for parameter in (learner.A, learner.C, learner.H, learner.empty):
            parameter.copy_(torch.randn_like(parameter))
    return learner


def by_hand(hops):
    """Width 2, two ways: images are embedded as they are, labels as (1, 0) and (0, 1)."""
    config = MemoryNetwork.Config(encoder="pixels", width=2, hops=hops)
    learner = MemoryNetwork(config, TaskSpec((2,), 2))
    with torch.no_grad():
        learner.A.copy_(torch.eye(2))
        learner.C.copy_(torch.eye(2))
        learner.H.copy_(torch.eye(2))
        learner.log_beta.fill_(math.log(math.log(2)))  # β = ln 2
        learner.empty.copy_(torch.tensor([1.0, 0.0]))
    return learner


# -- equation (1) ---------------------------------------------------------------------------------


def test_attention_by_hand():
    keys = torch.tensor([[[math.log(3), 5.0], [math.log(4), -5.0], [0.0, 9.0]]])
    question = torch.tensor([[[1.0, 0.0], [2.0, 0.0]]])
    # exp of the products: 3, 4, 1 and, for twice the question, 9, 16, 1.
    expected = torch.tensor([[[3.0, 4.0, 1.0], [9.0, 16.0, 1.0]]]) / torch.tensor([[[8.0], [26.0]]])
    torch.testing.assert_close(attention(question, keys), expected)


def test_attention_rows_sum_to_one_over_the_slots_before():
    u, keys = torch.randn(2, 4, 3), torch.randn(2, 5, 3)
    earlier = torch.ones(4, 4, dtype=torch.bool).tril(-1)
    p = attention(u, keys, earlier)
    torch.testing.assert_close(p.sum(-1), torch.ones(2, 4))
    assert not p[..., :4].masked_select(~earlier).any()
    assert p[:, 0].tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]] * 2, "nothing but the empty slot"


# -- one hop and two ------------------------------------------------------------------------------


@torch.no_grad()
def test_one_hop_by_hand():
    learner = by_hand(hops=1)
    support = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    state = learner.adapt(support, torch.tensor([[1, 0]]), 2)
    logits = learner.predict(state, torch.tensor([[[7.0, 0.0]]]))
    # Unit vectors: u = (1, 0); products with (1, 0), (0, 1) and the empty (1, 0): 1, 0, 1; times
    # ln 2 and exp: 2, 1, 2 of 5. o = 2/5 (0, 1) + 1/5 (1, 0); u + o = (6/5, 2/5), read off by I.
    torch.testing.assert_close(logits, torch.tensor([[[1.2, 0.4]]]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_two_hops_by_hand():
    learner = by_hand(hops=2)
    support = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    state = learner.adapt(support, torch.tensor([[1, 0]]), 2)
    logits = learner.predict(state, torch.tensor([[[7.0, 0.0]]]))
    # The second question is (6/5, 2/5): exp of the products 2^1.2, 2^0.4, 2^1.2.
    a, b = 2**1.2, 2**0.4
    o = torch.tensor([b, a]) / (2 * a + b)
    expected = (torch.tensor([1.2, 0.4]) + o).view(1, 1, 2)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_at_the_start_what_is_read_does_not_disturb_where_to_look():
    learner = MemoryNetwork(MemoryNetwork.Config(filters=8, width=16), TaskSpec((1, 16, 16), 5))
    both = torch.cat([learner.A, learner.C], dim=1)
    gram = both.T @ both
    torch.testing.assert_close(gram, gram.diag().diag(), atol=1e-5, rtol=1e-5)
    # 2 hops of |c|² = 5 each make the logit of a certain answer 10.
    torch.testing.assert_close(gram.diag(), torch.tensor([1.0] * 8 + [5.0] * 5))


# -- the whole ------------------------------------------------------------------------------------


def naive_logits(learner, support_x, support_y, query_x):
    """One question, one slot after the other."""

    def unit(x):
        m = learner.A @ x.flatten()
        return m / (m.square().sum() + 1e-6).sqrt()

    u, beta = unit(query_x), learner.log_beta.exp()
    for _ in range(SMALL.hops):
        scores = [beta * (u @ unit(x)) for x in support_x] + [beta * (u @ learner.empty)]
        p = torch.stack(scores).softmax(0)
        o = sum((p[i] * learner.C[:, label] for i, label in enumerate(support_y)), 0 * u)
        u = learner.H @ u + o
    novelty = learner.novelty.unit * learner.novelty.value
    seen = support_y.tolist()
    return torch.stack([learner.C[:, n] @ u if n in seen else novelty for n in range(3)])


@torch.no_grad()
def test_both_views_against_the_paper_read_aloud(learner):
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


@torch.no_grad()
def test_the_order_of_the_support_set_does_not_matter(learner):
    x, y, query = torch.rand(2, 6, 1, 2, 2), torch.arange(6).expand(2, 6) % 3, torch.rand(2, 4, 4)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    query = query.view(2, 4, 1, 2, 2)
    one = learner.predict(learner.adapt(x, y, 3), query)
    other = learner.predict(learner.adapt(x[:, order], y[:, order], 3), query)
    torch.testing.assert_close(one, other)
    renamed = learner.predict(learner.adapt(x, y[:, order], 3), query)
    assert not torch.allclose(one, renamed), "and the labels do matter"


@pytest.mark.parametrize("fill", [0.0, 1e-20, 1e6])
def test_gradients_are_finite_at_extremes(learner, fill):
    x = torch.full((2, 9, 1, 2, 2), fill, requires_grad=True)
    logits = learner.unroll(x, torch.randint(0, 3, (2, 9)), 3)
    logits.logsumexp(-1).sum().backward()
    assert logits.isfinite().all()
    assert x.grad.isfinite().all()
    for name, parameter in learner.named_parameters():
        assert parameter.grad.isfinite().all(), name


def test_one_training_serves_one_shot_and_five():
    task, config = TaskSpec((1, 28, 28), 5), MemoryNetwork.Config()
    asked = MemoryNetwork.training_task(config, task)
    assert asked == MemoryNetwork.training_task(config, task.but(shots=5))
    assert (asked.ways, asked.shots) == (20, (1, 5))
    as_tested = MemoryNetwork.Config(training_ways=None)
    assert MemoryNetwork.training_task(as_tested, task).ways == 5
