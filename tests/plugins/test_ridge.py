"""Ridge regression as the last layer (Bertinetto et al. 2019), by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, Learner, TaskSpec
from bench_plugins.optimization_based.ridge import Ridge


@pytest.fixture
def plane():
    """On points of the plane, without a network; λ = 1, α = 2, and β = 3."""
    config = Ridge.Config(encoder="pixels", penalty=1.0, scale=2.0)
    learner = Ridge(config, TaskSpec((1, 1, 2), 2))
    with torch.no_grad():
        learner.novelty.value.fill_(-3 / learner.novelty.unit)
    return learner


def points(*rows):
    """One episode of points: (1, S, 1, 1, 2)."""
    return torch.tensor(rows).view(1, -1, 1, 1, 2)


@torch.no_grad()
def test_a_single_item_by_woodbury(plane):
    # W = zᵀ (|z|² + λ)⁻¹ y = (3, 4) / 26, for class 1.
    state = plane.adapt(points([3.0, 4.0]), torch.tensor([[1]]), 2)
    expected = torch.tensor([[[0.0, 3 / 26], [0.0, 4 / 26]]])
    torch.testing.assert_close(state["weights"], expected)
    # The query (1, 0): α 3/26; class 0 has no support, and -β in place of β for the others.
    logits = plane.predict(state, points([1.0, 0.0]))
    torch.testing.assert_close(logits, torch.tensor([[[-3.0, 6 / 26]]]))


@torch.no_grad()
def test_three_items_of_two_features_by_the_normal_equations(plane):
    # ZᵀZ + I = [[1 + 4 + 0, 0], [0, 9]] + I = diag(6, 10); ZᵀY = [[3, 0], [0, 3]].
    support, labels = points([1.0, 0.0], [2.0, 0.0], [0.0, 3.0]), torch.tensor([[0, 0, 1]])
    state = plane.adapt(support, labels, 2)
    expected = torch.tensor([[[3 / 6, 0.0], [0.0, 3 / 10]]])
    torch.testing.assert_close(state["weights"], expected)


@torch.no_grad()
@pytest.mark.parametrize("items", [1, 5, 6, 7, 20])
def test_both_forms_are_one(items):
    """Fewer items than the 6 features, as many, and more, each against both forms."""
    torch.manual_seed(0)
    learner = Ridge(Ridge.Config(encoder="pixels", penalty=0.3), TaskSpec((1, 2, 3), 3))
    x, y = torch.randn(2, items, 1, 2, 3), torch.randint(0, 3, (2, items))
    z, member = x.flatten(2).double(), F.one_hot(y, 3).double()
    few = z.mT @ torch.linalg.solve(z @ z.mT + 0.3 * torch.eye(items).double(), member)
    many = torch.linalg.solve(z.mT @ z + 0.3 * torch.eye(6).double(), z.mT @ member)
    weights = learner.adapt(x, y, 3)["weights"].double()
    torch.testing.assert_close(few, many)
    torch.testing.assert_close(weights, many, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_penalty_is_what_holds_the_weights_down(plane):
    support, labels = points([3.0, 4.0]), torch.tensor([[1]])
    plane.log_penalty.fill_(math.log(75))
    weights = plane.adapt(support, labels, 2)["weights"][0, :, 1]
    assert weights.tolist() == pytest.approx([3 / 100, 4 / 100])


def test_penalty_scale_and_novelty_are_learned(plane):
    support, query = points([3.0, 4.0]), points([1.0, 0.0])
    batch = Episodes(2, support, torch.tensor([[1]]), query, torch.tensor([[0]]))
    plane.loss(batch).backward()
    for parameter in (plane.log_penalty, plane.log_scale, plane.novelty.value):
        assert parameter.grad != 0


def test_the_gradient_flows_through_the_solution():
    """One feature: for support z and query q the logit is α q z / (z² + λ), whose derivative by z
    is α q (λ - z²) / (z² + λ)². A solution taken as a constant has none."""
    config = Ridge.Config(encoder="pixels", penalty=1.0, scale=2.0)
    learner = Ridge(config, TaskSpec((1, 1, 1), 1))
    z = torch.tensor([3.0], requires_grad=True)
    state = learner.adapt(z.view(1, 1, 1, 1, 1), torch.tensor([[0]]), 1)
    logit = learner.predict(state, torch.full((1, 1, 1, 1, 1), 5.0))
    logit.sum().backward()
    assert logit.item() == pytest.approx(2 * 5 * 3 / 10)
    assert z.grad.item() == pytest.approx(2 * 5 * (1 - 9) / 100)


@torch.no_grad()
@pytest.mark.parametrize("length", [15, 40])
def test_one_factor_answers_all_prefixes(tiny, length):
    """Prefixes shorter and longer than the 16 features."""
    learner = Ridge(Ridge.Config(filters=16), tiny.task("online")).eval()
    learner.novelty.value.fill_(-0.03)
    stream = tiny.stream(length=length)
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-3, rtol=1e-3)
    assert (fast[:, 0] == -3).all(), "nothing seen: every class alike"


@pytest.mark.parametrize("fill", [0.0, 1.0, 1e3])
def test_gradients_are_finite_where_all_items_are_alike(fill):
    learner = Ridge(Ridge.Config(encoder="pixels"), TaskSpec((1, 2, 2), 3))
    x = torch.full((2, 9, 1, 2, 2), fill, requires_grad=True)
    logits = learner.unroll(x, torch.arange(9).expand(2, 9) % 3, 3)
    logits.logsumexp(-1).sum().backward()
    assert logits.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite() for parameter in learner.parameters())


def test_one_training_serves_all_shots_and_ways():
    task = TaskSpec((1, 28, 28), 5)
    asked = Ridge.training_task(Ridge.Config(), task)
    assert asked == Ridge.training_task(Ridge.Config(), task.but(ways=20, shots=5))
    assert (asked.ways, asked.shots) == (20, 1)
    as_tested = Ridge.training_task(Ridge.Config(max_shots=None), task.but(shots=5))
    assert as_tested.shots == 5
    paper = Ridge.Config(**Ridge.presets["paper"])
    asked = Ridge.training_task(paper, task)
    assert asked == Ridge.training_task(paper, task.but(ways=20, shots=5))
    assert (asked.ways, asked.shots) == (60, (1, 5))
    as_tested = Ridge.training_task(Ridge.Config(training_ways=None), task)
    assert as_tested.ways == 5
