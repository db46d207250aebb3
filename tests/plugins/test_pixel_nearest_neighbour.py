"""Pixel nearest neighbour by hand."""

from __future__ import annotations

import pytest
import torch

from bench.api import TaskSpec
from bench.nn import cosine_similarity
from bench_plugins.metric_based.pixel_nearest_neighbour import PixelNearestNeighbour


@pytest.fixture
def learner():
    config = PixelNearestNeighbour.Config(scale=10.0, novelty=0.25)
    return PixelNearestNeighbour(config, TaskSpec((1, 1, 2), 3))


def images(*rows):
    """One episode of images with two pixels: (1, S, 1, 1, 2)."""
    return torch.tensor(rows).view(1, -1, 1, 1, 2)


def test_a_class_is_its_best_match_times_the_scale(learner):
    support = images([1.0, 0.0], [3.0, 4.0], [0.0, 2.0])
    state = learner.adapt(support, torch.tensor([[0, 0, 1]]), 3)
    logits = learner.predict(state, images([0.0, 1.0], [2.0, 0.0]))
    # Cosines of (0, 1): 0, 0.8 | 1. Of (2, 0): 1, 0.6 | 0. Class 2 was not seen.
    torch.testing.assert_close(logits, torch.tensor([[[8.0, 10.0, 2.5], [10.0, 0.0, 2.5]]]))


def test_a_seen_class_may_score_below_novelty(learner):
    state = learner.adapt(images([1.0, 0.0]), torch.tensor([[1]]), 3)
    assert learner.predict(state, images([0.0, 1.0])).tolist() == [[[2.5, 0.0, 2.5]]]


def test_the_first_step_of_a_stream_knows_nothing(learner):
    logits = learner.unroll(images([1.0, 0.0], [1.0, 0.0]), torch.tensor([[2, 2]]), 3)
    assert logits.tolist() == [[[2.5, 2.5, 2.5], [2.5, 2.5, 10.0]]]


def test_against_a_loop_over_classes(learner):
    x, q = torch.rand(4, 12, 1, 5, 5), torch.rand(4, 7, 1, 5, 5)
    y = torch.arange(4).repeat(3).expand(4, -1)
    logits = learner.predict(learner.adapt(x, y, 4), q)
    for c in range(4):
        members = x[:, y[0] == c]
        best = cosine_similarity(q.flatten(2), members.flatten(2)).amax(-1)
        torch.testing.assert_close(logits[..., c], 10 * best)


def test_it_has_nothing_to_train(learner):
    assert not PixelNearestNeighbour.trained
    assert not list(learner.parameters())
