"""What a tracker is: the contract of the entry-point group ``bench.trackers``.

A tracker shows curves while they grow: it is told each meta-validation and now and then the loss,
in the process that trains. What it raises ends the tracking, and never the training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Tracked:
    """A meta-training that is tracked."""

    folder: Path
    """Of the training; whatever a tracker writes into a folder of its own in it is kept."""
    id: str
    """No other training has it."""
    learner: str
    """With the options that differ from the defaults."""
    family: str
    dataset: str
    seed: int
    budget: str
    config: Mapping[str, Any]
    """Every option, as JSON has it."""
    updates: int
    """Made before: above 0 where an interrupted training goes on."""


class Tracker(ABC):
    """Told how a training goes; one for each, made in its process.

    Args:
        tracked: the training.

    Raises:
        MissingRequirementError: it needs what is not installed.
    """

    def __init__(self, tracked: Tracked) -> None:
        self.tracked = tracked

    @abstractmethod
    def log(self, update: int, values: Mapping[str, float]) -> None:
        """Values after so many updates: ``loss``, ``examples``, ``seconds``, and of a
        meta-validation ``val_accuracy``, ``val_nll`` and whatever its protocol measures."""

    def close(self) -> None:  # noqa: B027 (nothing to close is usual)
        """The training has ended, or is interrupted."""
