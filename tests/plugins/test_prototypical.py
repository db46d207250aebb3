"""Prototypical networks (Snell et al. 2017) by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, Learner, TaskSpec
from bench_plugins.metric_based.prototypical import Prototypical


@pytest.fixture
def plane():
    """Prototypical without a network, on points of the plane."""
    return Prototypical(Prototypical.Config(encoder="pixels"), TaskSpec((1, 1, 2), 2))


def points(*rows):
    """One episode of points: (1, S, 1, 1, 2)."""
    return torch.tensor(rows).view(1, -1, 1, 1, 2)


def test_prototypes_are_class_means(plane):
    support = points([0.0, 0.0], [2.0, 4.0], [5.0, 1.0])
    state = plane.adapt(support, torch.tensor([[0, 0, 1]]), 2)
    assert state["prototypes"].tolist() == [[[1.0, 2.0], [5.0, 1.0]]]


def test_softmax_over_squared_distances(plane):
    support = points([0.0, 0.0], [2.0, 0.0])
    state = plane.adapt(support, torch.tensor([[0, 1]]), 2)
    # Query (0.5, 1): squared distances 0.25 + 1 and 2.25 + 1; p = 1 / (1 + e^-2).
    logits = plane.predict(state, points([0.5, 1.0]))
    torch.testing.assert_close(logits, torch.tensor([[[-1.25, -3.25]]]))
    assert logits.softmax(-1)[0, 0, 0].item() == pytest.approx(0.880797)


def test_the_loss_is_the_mean_negative_log_probability(plane):
    batch = Episodes(
        2,
        points([0.0, 0.0], [2.0, 0.0]),
        torch.tensor([[0, 1]]),
        points([0.5, 1.0], [1.0, 7.0]),
        torch.tensor([[1, 0]]),
    )
    # Queries: the one above, with the wrong label, and one at equal distances.
    expected = (-math.log(1 - 0.880797) + math.log(2)) / 2
    assert plane.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_an_unseen_class_has_the_novelty_logit(plane):
    with torch.no_grad():
        plane.novelty.value.fill_(-7 / plane.novelty.unit)
    state = plane.adapt(points([1.0, 0.0]), torch.tensor([[1]]), 2)
    torch.testing.assert_close(
        plane.predict(state, points([0.0, 0.0])), torch.tensor([[[-7.0, -1.0]]])
    )


@torch.no_grad()
def test_the_vectorised_unroll_equals_the_default_one(tiny):
    learner = Prototypical(Prototypical.Config(filters=4), tiny.task("online")).eval()
    learner.novelty.value.fill_(-0.03)
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast[:, 1:], slow[:, 1:], atol=1e-4, rtol=1e-4)
    assert (fast[:, 0] == -3).all(), "nothing seen: every class alike"


def test_support_and_query_share_one_batch_normalisation(tiny):
    """In training the statistics are those of support and query together."""
    learner = Prototypical(Prototypical.Config(filters=4), tiny.task()).train()
    batch = tiny.episodes()
    loss = learner.loss(batch)
    z = learner.encoder(torch.cat([batch.support_x, batch.query_x], dim=1))
    support, query = z[:, :5], z[:, 5:]
    pairs = zip(support, batch.support_y, strict=True)
    means = [torch.stack([s[y == c].mean(0) for c in range(5)]) for s, y in pairs]
    prototypes = torch.stack(means)
    logits = -torch.cdist(query, prototypes, compute_mode="donot_use_mm_for_euclid_dist").square()
    expected = F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())
    torch.testing.assert_close(loss, expected)


def test_it_trains_on_more_classes_than_it_is_tested_on():
    config = Prototypical.Config()
    task = Prototypical.training_task(config, TaskSpec((1, 28, 28), 5, 5))
    assert (task.ways, task.shots, task.queries, task.episodes_per_update) == (60, 5, 5, 1)
    twenty = Prototypical.training_task(config, TaskSpec((1, 28, 28), 20, 5))
    assert task == twenty, "one training serves 5 and 20 ways"


def test_the_learning_rate_falls_linearly_to_zero_over_the_budget():
    learner = Prototypical(Prototypical.Config(filters=1), TaskSpec((1, 16, 16), 5))
    optimizer, schedule = learner.optimizer(4)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4, 0])


def test_the_paper_halves_its_learning_rate_every_2000_episodes():
    config = Prototypical.Config(**{**Prototypical.presets["paper"], "filters": 1})
    learner = Prototypical(config, TaskSpec((1, 16, 16), 5))
    optimizer, schedule = learner.optimizer(10_000)
    optimizer.step()  # torch warns otherwise
    rates = []
    for _ in range(4001):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert [rates[i] for i in (0, 1999, 2000, 3999, 4000)] == [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4]
