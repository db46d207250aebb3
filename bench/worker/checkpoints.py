"""States of a training: taken, given back, and tried out before hours depend on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench.api import Learner
from bench.errors import BenchError
from bench.store import layout
from bench.store.checked import UnreadableError
from bench.store.tensors import load_torch, readable

Optimizer = torch.optim.Optimizer
Scheduler = torch.optim.lr_scheduler.LRScheduler


def resumable_state(
    learner: Learner, optimizer: Optimizer, scheduler: Scheduler | None
) -> dict[str, Any]:
    """What a training needs to go on, besides its history."""
    return {
        "learner": learner.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
    }


def give_state(
    content: dict[str, Any],
    learner: Learner,
    optimizer: Optimizer,
    scheduler: Scheduler | None,
) -> None:
    """Gives them what `resumable_state` took."""
    learner.load_state_dict(content["learner"])
    optimizer.load_state_dict(content["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(content["scheduler"])


def try_out(
    content: dict[str, Any],
    learner: Learner,
    optimizer: Optimizer,
    scheduler: Scheduler | None,
) -> None:
    """Reads a state back as a file would be read, and gives it to a new learner.

    Raises:
        BenchError: it could be written, and an interrupted training could not go on from it.
    """
    read = readable(content)
    try:
        give_state(read, learner, optimizer, scheduler)
    except Exception as error:  # the learner's own set_extra_state may raise anything
        raise BenchError(
            "the state of this learner can be stored, and not given to a new one, as resuming and "
            f"testing do: {type(error).__name__}: {error}"
        ) from error


def best_weights(folder: Path) -> dict[str, Any]:
    """The weights of the best meta-validation, as a state dict on the CPU.

    Raises:
        UnreadableError: the file is missing or damaged.
    """
    content = load_torch(folder / layout.WEIGHTS)
    if not isinstance(content.get("learner"), dict):
        raise UnreadableError("holds no weights")
    weights: dict[str, Any] = content["learner"]
    return weights
