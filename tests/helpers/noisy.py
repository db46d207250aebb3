"""A learner with everything that must survive a resumption, and classes to train it on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Learner
from bench.episodes.words import uniform
from bench.protocols.kshot import EpisodePool

CLASSES, EACH = 12, 8


def codes(first: int) -> EpisodePool:
    """12 random binary 4x4 images, 8 noisy copies of each."""
    shape = (CLASSES, EACH, 1, 4, 4)
    clean = uniform(first, (CLASSES, 1, 1, 4, 4)) < 0.5
    images = 255 * (clean ^ (uniform(first + 1, shape) < 0.1))
    starts = np.arange(CLASSES) * EACH
    flat = torch.from_numpy(images.astype(np.uint8)).flatten(0, 1)
    return EpisodePool(flat, starts, np.full(CLASSES, EACH))


class Noisy(Learner):
    """Prototypes of a linear embedding, with a scheduler, momentum, dropout and a buffer: all that
    must survive a resumption."""

    family, contract = "test", 1

    @dataclass(frozen=True)
    class Config:
        width: int = 8
        lr: float = 0.05

    def __init__(self, config, task) -> None:
        super().__init__(config, task)
        self.embed = nn.Sequential(nn.Flatten(2), nn.Linear(16, config.width), nn.Dropout(0.3))
        self.register_buffer("calls", torch.zeros(()))

    def adapt(self, support_x, support_y, ways):
        member = F.one_hot(support_y, ways).float()
        return member.mT @ self.embed(support_x) / member.sum(1)[..., None]

    def predict(self, state, query_x):
        return -torch.cdist(self.embed(query_x), state)

    def loss(self, batch):
        self.calls += 1
        return super().loss(batch)

    def optimizer(self, updates):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.config.lr, momentum=0.9)
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]), key
