"""Meta-test on a frozen bank: what every protocol's answers go through."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import Learner, TaskSpec
from bench.episodes.banks import Bank
from bench.protocols.answers import answer
from bench.protocols.base import Protocol
from bench.registry.installed import protocol
from bench.worker.devices import seed_generators

BATCH_IMAGES = {"cpu": 1280, "gpu": 20480}
"""Images that are handled together, about: enough to be fast, few enough for the memory."""
FULL_PIXELS = 32 * 32
"""Height times width up to which as many are; of larger ones fewer, in proportion, since what an
encoder keeps of an image grows with its pixels."""


def protocol_of(bank: Bank) -> Protocol[Any, Any]:
    """The protocol of a bank's episodes."""
    return protocol(bank.task.protocol)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of one precision: ``bf16`` casts matrix products and convolutions."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def batch_size(bank: Bank) -> int:
    """Episodes of this bank that are handled together."""
    most = BATCH_IMAGES["cpu" if bank.pool.device.type == "cpu" else "gpu"]
    most *= protocol_of(bank).inputs_per_image
    return fitting(bank.task, most) // bank.pool.inputs(bank.task) or 1


def fitting(task: TaskSpec, count: int) -> int:
    """Of what is meant for images of up to `FULL_PIXELS`, as much as takes the same memory with
    this task's."""
    pixels = math.prod(task.input_shape[1:])
    return count if pixels <= FULL_PIXELS else max(1, count * FULL_PIXELS // pixels)


@torch.no_grad()
def evaluate(
    learner: Learner,
    bank: Bank,
    precision: str = "fp32",
    progress: Callable[[int], object] = lambda episodes: None,
    kept: list[dict[str, Tensor]] | None = None,
) -> Any:
    """Lets a learner answer every episode of a bank, in ``eval()`` mode and without gradients.

    The learner's mode is restored afterwards. torch is seeded per batch, so that a learner that
    draws random numbers answers the same twice.

    Args:
        learner: on the device of the bank's pool.
        bank: the episodes.
        precision: ``fp32`` or ``bf16``.
        progress: told how many episodes are done.
        kept: is given what of each batch's answers is to be stored.

    Returns:
        The protocol's `bench.protocols.answers.Scores`.

    Raises:
        ContractError: see `bench.protocols.answers.answer`.
    """
    own = protocol_of(bank)
    was_training = learner.training
    learner.eval()
    parts: list[dict[str, Tensor]] = []
    try:
        done = 0
        for number, batch in enumerate(bank.batches(batch_size(bank))):
            seed_generators(number)
            with autocast(bank.pool.device, precision):
                logits = answer(own, learner, batch)
            if kept is not None:
                kept.append({key: value.cpu() for key, value in own.kept(logits, batch).items()})
            parts.append({name: mark.cpu() for name, mark in own.mark(logits, batch).items()})
            done += len(logits)
            progress(done)
    finally:
        learner.train(was_training)
    marks = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return own.scores(marks, bank.task)


def picture(learner: Learner, bank: Bank) -> dict[str, NDArray[Any]] | None:
    """What its protocol has to show of a learner, see `bench.protocols.base.Protocol.picture`.

    Raises:
        ContractError: the learner shows something of another shape.
    """
    was_training = learner.training
    learner.eval()
    try:
        return protocol_of(bank).picture(learner, bank)
    finally:
        learner.train(was_training)
