"""What a phase draws from, whatever its episodes are made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import torch

from bench.api import TaskSpec
from bench.episodes.words import Purpose


class Batch(Protocol):
    """B episodes, of whatever kind a protocol has: `bench.api.Episodes`, for instance."""

    def to(self, device: torch.device | str) -> Self:
        """The same episodes on another device."""


class Pool(Protocol):
    """What one phase (meta-training, -validation, -test) draws its episodes from."""

    @property
    def device(self) -> torch.device:
        """Where batches are built."""

    def to(self, device: torch.device | str) -> Self:
        """The same pool, building batches on another device."""

    def inputs(self, task: TaskSpec) -> int:
        """Inputs of one episode, at most: images, or time steps of a memory probe."""

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Drawn:
        """The random choices of some episodes. Episode b depends on nothing but (seed, purpose,
        number, b): more episodes extend fewer.

        Args:
            task: without ranges, see `draw_sizes`.
            episodes: B.
            seed: the training's or the suite's seed.
            purpose: keeps the batches of the phases apart.
            number: the batch number.
        """

    def build(self, task: TaskSpec, draw: Any, classes: bool = False) -> Any:
        """Turns what `draw` returned into a `Batch` of the protocol on the device.

        Args:
            task: what it was drawn for.
            draw: the random choices.
            classes: gives the batch its class numbers (meta-training only).
        """


@dataclass(frozen=True)
class Drawn:
    """Base of the random choices behind B episodes: arrays, one row per episode."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def part(self, start: int, stop: int) -> Self:
        """Episodes start to stop."""
        return type(self)(*(getattr(self, field.name)[start:stop] for field in fields(self)))

    def digest(self) -> str:
        """sha256 over all arrays: which episodes these are."""
        digest = hashlib.sha256()
        for field in fields(self):
            array = getattr(self, field.name)
            digest.update(f"{field.name}{array.shape}".encode())
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()
