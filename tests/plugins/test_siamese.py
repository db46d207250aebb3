"""Siamese networks (Koch et al. 2015) by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench_plugins.metric_based.siamese import Siamese


@pytest.fixture
def plane():
    """Siamese without a network, on points of the plane: log-odds 1 - 2 |Δx| - 3 |Δy|."""
    learner = Siamese(Siamese.Config(encoder="pixels"), TaskSpec((1, 1, 2), 3))
    with torch.no_grad():
        learner.compare.weight.copy_(torch.tensor([[-2.0, -3.0]]))
        learner.compare.bias.fill_(1.0)
    return learner


def points(*rows):
    """One episode of points: (1, S, 1, 1, 2)."""
    return torch.tensor(rows).view(1, -1, 1, 1, 2)


def test_the_best_match_of_each_class(plane):
    support = points([0.0, 0.0], [1.0, 1.0], [4.0, 0.0])
    state = plane.adapt(support, torch.tensor([[0, 0, 1]]), 3)
    # Query (1, 2). To (0, 0): 1 - 2 - 6 = -7; to (1, 1): 1 - 3 = -2; to (4, 0): 1 - 6 - 6 = -11.
    # Class 2 was not seen: its log-likelihood ratio is 0.
    assert plane.predict(state, points([1.0, 2.0])).tolist() == [[[-2.0, -11.0, 0.0]]]


def test_same_and_different_pairs_count_equally(plane):
    x, y = points([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]), torch.tensor([[0, 0, 1]])
    # Same: (0, 1) with 1 - 2 = -1. Different: (0, 2) with 1 - 3 = -2, (1, 2) with 1 - 2 - 3 = -4.
    same = math.log1p(math.exp(1))
    different = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-4))) / 2
    expected = (same + different) / 2
    assert plane.loss(Stream(2, x, y)).item() == pytest.approx(expected, rel=1e-5)
    episodes = Episodes(2, x[:, 1:], y[:, 1:], x[:, :1], y[:, :1])
    assert plane.loss(episodes).item() == pytest.approx(expected, rel=1e-5), "all images pair up"


def test_the_loss_against_a_loop_over_pairs(tiny):
    learner = Siamese(Siamese.Config(filters=4), tiny.task("online")).eval()
    stream = tiny.stream(batch=2, length=10)
    z, w, b = learner.encoder(stream.x), learner.compare.weight[0], learner.compare.bias[0]
    costs = {True: [], False: []}
    for e in range(2):
        for i in range(10):
            for j in range(i):
                same = bool(stream.y[e, i] == stream.y[e, j])
                odds = (w * (z[e, i] - z[e, j]).abs()).sum() + b
                costs[same].append(-F.logsigmoid(odds if same else -odds))
    expected = (torch.stack(costs[True]).mean() + torch.stack(costs[False]).mean()) / 2
    torch.testing.assert_close(learner.loss(stream), expected)


def test_balanced_pairs_make_the_logit_a_log_likelihood_ratio():
    """An image that says nothing ends at 0 however rare "same" is: the logit of a new class."""
    learner = Siamese(Siamese.Config(encoder="pixels"), TaskSpec((1, 1, 1), 20))
    optimizer = torch.optim.Adam([learner.compare.bias], lr=0.1)
    x, y = torch.zeros(1, 40, 1, 1, 1), torch.arange(20).repeat(2)[None]
    for _ in range(200):
        optimizer.zero_grad()
        learner.loss(Stream(20, x, y)).backward()
        optimizer.step()
    assert learner.compare.bias.item() == pytest.approx(0, abs=0.01)


@torch.no_grad()
def test_the_fast_unroll_equals_the_default_one(tiny):
    learner = Siamese(Siamese.Config(filters=4), tiny.task("online")).eval()
    stream = tiny.stream()
    fast = learner.unroll(stream.x, stream.y, 5)
    slow = Learner.unroll(learner, stream.x, stream.y, 5)
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


def test_identical_and_extreme_images_have_finite_gradients(tiny):
    learner = Siamese(Siamese.Config(filters=4), tiny.task())
    for scale in (0.0, 1e4):
        batch = tiny.episodes()
        batch.support_x, batch.query_x = scale * batch.support_x, scale * batch.query_x
        learner.zero_grad()
        learner.loss(batch).backward()
        assert all(p.grad.isfinite().all() for p in learner.parameters()), scale


def test_the_paper_has_sigmoid_units_after_the_encoder(tiny):
    learner = Siamese(Siamese.Config(filters=4, units=7), tiny.task())
    state = learner.adapt(tiny.episodes().support_x, tiny.episodes().support_y, 5)
    assert state["z"].shape == (4, 5, 7)
    assert ((state["z"] > 0) & (state["z"] < 1)).all()
    assert learner.compare.weight.shape == (1, 7)


def test_one_training_serves_every_setting():
    config = Siamese.Config()
    one, five, twenty = (
        Siamese.training_task(config, TaskSpec((1, 28, 28), ways, shots))
        for ways, shots in ((5, 1), (5, 5), (20, 1))
    )
    assert one == five == twenty
    assert (one.ways, one.examples_per_update) == (32, 128)
