"""Losses recorded once and replayed: here by a recorder of torch's operations, which like a CUDA
graph repeats what was done, with what now lies in the same memory, and nothing that Python
decides."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from bench.worker.captured import CHECKS, CapturedLoss
from tests.helpers.recorded_learners import (
    UNRECORDABLE,
    Batch,
    Hidden,
    Small,
    batches,
    same_state,
    train,
)


class Operations:
    """Records as a CUDA graph does."""

    def __init__(self):
        self.recorded = 0

    def record(self, run):
        self.recorded += 1
        absent = []

        def present():
            result = run()
            absent[:] = [value is None for value in result]
            return [value for value in result if value is not None]

        graph = make_fx(present)()

        def replay():
            with torch.no_grad():
                there = iter(graph())
            return [None if missing else next(there) for missing in absent]

        return replay


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_captured_training_is_the_ordinary_one(precision):
    torch.manual_seed(0)
    ordinary = Small()
    learner = copy.deepcopy(ordinary)
    captured = CapturedLoss(learner, Operations())
    assert train(learner, captured, precision=precision) == pytest.approx(
        train(ordinary, precision=precision), rel=1e-6
    )
    assert captured.refused is None
    assert captured.graphs.recorded == 1
    same_state(learner, ordinary)
    assert learner.idle.grad is None  # weight decay would move it else
    assert torch.equal(learner.idle, torch.ones(2))


def test_each_shape_is_recorded_once_and_checked_twice():
    learner, graphs = Small().train(), Operations()
    captured = CapturedLoss(learner, graphs)
    for number in range(8):
        captured(Batch(torch.randn(4 + number % 2, 4))).backward()
    assert graphs.recorded == 2
    assert [one.checks for one in captured._by_shape.values()] == [CHECKS, CHECKS]
    captured.seconds = 0.0
    captured(Batch(torch.randn(4, 4))).backward()
    assert captured.seconds == 0.0
    captured(Batch(torch.randn(4, 4), ways=3)).backward()
    assert graphs.recorded == 3  # Python may decide by a number of the batch


@pytest.mark.parametrize(("kind", "reason"), UNRECORDABLE)
def test_what_cannot_be_captured_trains_in_the_ordinary_way_and_says_why(kind, reason):
    torch.manual_seed(0)
    ordinary = kind()
    learner = copy.deepcopy(ordinary)
    captured = CapturedLoss(learner, Operations())
    if kind is Hidden:  # each call counts, that of the recording too: no two orders are the same
        train(learner, captured)
    else:
        assert train(learner, captured) == train(ordinary)
    assert re.search(reason, captured.refused)
    assert not captured._by_shape


def test_what_comes_from_above_scales_the_gradient():
    torch.manual_seed(0)
    learner = Small().train()
    captured = CapturedLoss(learner, Operations())
    found = []
    for scale in (1.0, 1.0, 1.0, 3.0):
        learner.zero_grad()
        torch.manual_seed(4)
        (captured(batches(1)[0]) * scale).backward()
        found.append(learner.layers[0].weight.grad.clone())
    torch.testing.assert_close(found[3], 3 * found[0])
    torch.testing.assert_close(found[2], found[0])
