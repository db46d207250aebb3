"""The feed-forward baseline knows one step only."""

from __future__ import annotations

import math

import pytest
import torch

from bench.api import SequenceLearner, TaskSpec
from bench_plugins.model_based.feedforward import FeedForward


def made(**options):
    torch.manual_seed(0)
    config = FeedForward.Config(encoder="pixels", hidden=6, **options)
    return FeedForward(config, TaskSpec((1, 2, 2), 3)).eval()


@torch.no_grad()
def test_all_steps_at_once_equal_the_steps():
    learner, z, labels = made(), torch.rand(2, 5, 6), torch.rand(2, 5, 3)
    fused, stepped = learner.feed((), z, labels), SequenceLearner.feed(learner, (), z, labels)
    torch.testing.assert_close(fused, stepped)


@torch.no_grad()
def test_of_the_support_set_it_knows_nothing():
    learner, query = made(), torch.rand(2, 4, 1, 2, 2)
    x, y = torch.rand(2, 5, 1, 2, 2), torch.randint(0, 3, (2, 5))
    answers = learner.predict(learner.adapt(x, y, 3), query)
    assert torch.equal(answers, learner.predict(learner.adapt(1 - x, (y + 1) % 3, 3), query))


@torch.no_grad()
def test_with_the_papers_offset_it_knows_the_last_label_only():
    learner = made(offset_labels=True)
    x, y, query = torch.rand(2, 5, 1, 2, 2), torch.randint(0, 3, (2, 5)), torch.rand(2, 4, 1, 2, 2)
    answers = learner.predict(learner.adapt(x, y, 3), query)
    other_y = (y + 1) % 3
    other_y[:, -1] = y[:, -1]
    same = learner.predict(learner.adapt(1 - x, other_y, 3), query)
    assert torch.equal(answers, same)
    other_y[:, -1] = (y[:, -1] + 1) % 3
    assert not torch.allclose(answers, learner.predict(learner.adapt(x, other_y, 3), query))


def test_trained_it_is_no_better_than_chance(tiny):
    torch.manual_seed(0)
    config = FeedForward.Config(encoder="pixels")
    learner = FeedForward(config, FeedForward.training_task(config, tiny.task("online")))
    last = tiny.train(learner, 150)
    assert last == pytest.approx(math.log(5), abs=0.06)
    stream = tiny.stream(batch=200, seed=7)
    with torch.no_grad():
        right = learner.unroll(stream.x, stream.y, 5).argmax(-1) == stream.y
    # 3,000 answers: a standard error of 0.7 points; not to name the class just seen gives 1 more.
    assert right.float().mean().item() == pytest.approx(0.2, abs=0.05)


def test_it_takes_part_in_no_memory_probe():
    assert FeedForward.protocols == ("kshot", "online")
