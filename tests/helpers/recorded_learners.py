"""Learners as small as can be, with all that an update may leave behind, and some whose update
nobody can record."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from bench.worker.updates import update


@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    ways: int = 5


class Small(nn.Module):
    """Buffers, random numbers, and a parameter that nothing is computed of."""

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


UNRECORDABLE = [
    (Counts, "changes updates"),
    (Hidden, "loss another by"),
    (Reads, "a number of a tensor decides"),
]
"""And a pattern of the reason."""


def batches(count):
    generator = torch.Generator().manual_seed(1)
    return [Batch(torch.randn(6, 4, generator=generator)) for _ in range(count)]


def train(learner, loss=None, count=6, precision="fp32"):
    """The losses of some updates, the harness's own."""
    learner.train()
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01, weight_decay=0.1)
    losses = []
    for number, batch in enumerate(batches(count)):
        torch.manual_seed(number)
        losses.append(update(learner, optimizer, batch, precision, loss))
    return losses


def same_state(one, other):
    for (name, own), (_, two) in zip(
        one.state_dict().items(), other.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(own, two, msg=name)


def without_compiling(monkeypatch):
    """Lets what is recorded run as it is, not compiled: that takes a minute. What was recorded."""
    calls = []

    def keep(module, **_):
        calls.append(module)
        return module

    monkeypatch.setattr(torch, "compile", keep)
    return calls
