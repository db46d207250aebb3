"""The batches of a meta-training, and frozen banks of episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bench.api import TaskSpec
from bench.episodes.pools import Drawn, Pool
from bench.episodes.words import Purpose, random_words


def draw_sizes(task: TaskSpec, seed: int, update: int) -> TaskSpec:
    """The task of one update: a range of shots or items becomes one number of it, drawn
    uniformly."""
    word = int(random_words(seed, Purpose.SHOTS, update, 1)[0])

    def one(low: int, high: int) -> int:
        return low + word % (high - low + 1)

    return task.but(shots=one(*task.shot_range), items=one(*task.item_range))


def typical(task: TaskSpec) -> TaskSpec:
    """The task of a typical update, the one to time: of a range of items the middle. What a probe
    costs grows with its items; that of images, as with shots, is timed as drawn."""
    return task.but(items=sum(task.item_range) // 2)


def training_batch(pool: Pool, task: TaskSpec, seed: int, update: int) -> Any:
    """The batch of one meta-training update: a pure function of (seed, update)."""
    task = draw_sizes(task, seed, update)
    draw = pool.draw(task, task.episodes_per_update, seed, Purpose.TRAIN, update)
    return pool.build(task, draw, classes=True)


@dataclass(frozen=True)
class Bank:
    """A frozen list of episodes that all learners answer.

    Banks are nested: the first n episodes of a bank are the bank of n episodes.

    Attributes:
        pool: what the episodes are drawn from.
        task: what they look like.
        draw: the random choices behind them.
    """

    pool: Pool
    task: TaskSpec
    draw: Drawn

    @classmethod
    def drawn(cls, pool: Pool, task: TaskSpec, episodes: int, seed: int, purpose: Purpose) -> Bank:
        """Draws a bank of that many episodes."""
        return cls(pool, task, pool.draw(task, episodes, seed, purpose))

    def __len__(self) -> int:
        return len(self.draw)

    def first(self, episodes: int) -> Bank:
        """The first part of the bank."""
        return Bank(self.pool, self.task, self.draw.part(0, episodes))

    def to(self, device: torch.device | str) -> Bank:
        """The same bank, building its episodes on another device."""
        return Bank(self.pool.to(device), self.task, self.draw)

    def batches(self, size: int) -> Iterator[Any]:
        """All episodes in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.pool.build(self.task, self.draw.part(start, start + size))
