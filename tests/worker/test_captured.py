"""Losses recorded once and replayed: here by a recorder of torch's operations, which like a CUDA
graph repeats what was done, with what now lies in the same memory, and nothing that Python
decides."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from bench.worker.captured import CHECKS, CapturedLoss
from bench.worker.updates import update

UPDATES = 6


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

    def random_state(self):
        return torch.get_rng_state()

    def set_random_state(self, state):
        torch.set_rng_state(state)


@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    ways: int = 5


class Small(nn.Module):
    """A loss with all that an update may leave behind: buffers, random numbers, a parameter that
    nothing is computed of."""

    max_grad_norm = None

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.idle = nn.Parameter(torch.ones(2))

    def loss(self, batch):
        return self.layers(batch.x).square().mean()


class Counts(Small):
    def __init__(self):
        super().__init__()
        self.updates = 0

    def loss(self, batch):
        self.updates += 1
        return super().loss(batch) * 0.9**self.updates


class Hidden(Small):
    """Decides by what no plain attribute says."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def loss(self, batch):
        self.seen.append(1)
        return super().loss(batch) * len(self.seen)


class Reads(Small):
    def loss(self, batch):
        loss = super().loss(batch)
        return loss * 2 if float(loss.detach()) > 0.5 else loss


def batches(count=UPDATES):
    generator = torch.Generator().manual_seed(1)
    return [Batch(torch.randn(6, 4, generator=generator)) for _ in range(count)]


def train(learner, loss=None, count=UPDATES, precision="fp32"):
    """The losses of some updates, the harness's own."""
    learner.train()
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01, weight_decay=0.1)
    losses = []
    for number, batch in enumerate(batches(count)):
        torch.manual_seed(number)
        losses.append(update(learner, optimizer, batch, precision, loss))
    return losses


@pytest.fixture(params=["fp32", "bf16"])
def precision(request):
    return request.param


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
    for (name, own), (_, other) in zip(
        learner.state_dict().items(), ordinary.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(own, other, msg=name)
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


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(Counts, "changes updates"), (Hidden, "is another"), (Reads, "RuntimeError")],
)
def test_what_cannot_be_captured_trains_in_the_ordinary_way_and_says_why(kind, reason):
    torch.manual_seed(0)
    ordinary = kind()
    learner = copy.deepcopy(ordinary)
    captured = CapturedLoss(learner, Operations())
    if kind is Hidden:  # each call counts, that of the recording too: no two orders are the same
        train(learner, captured)
    else:
        assert train(learner, captured) == train(ordinary)
    assert reason in captured.refused
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
