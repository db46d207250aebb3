"""Tiny tasks, as each protocol makes them, on which a learner can be trained within seconds."""

from __future__ import annotations

from typing import Any

from bench.api import TaskSpec
from bench.protocols.images import PATTERNS
from bench.registry.installed import protocol, protocols

__all__ = ["PATTERNS", "draw", "tiny_protocols", "tiny_task", "training_batch"]


def tiny_protocols() -> list[str]:
    """The protocols in which learners can be checked."""
    return [name for name, one in protocols().things.items() if one.tiny_task() is not None]


def tiny_task(name: str, ways: int = 5) -> TaskSpec:
    """A test task of a protocol: k-shot, 1-shot with two queries per class; online, with two
    presentations of a class; a memory probe, with three vectors to copy."""
    task = protocol(name).tiny_task(ways)
    assert task is not None, "one of `tiny_protocols`"
    return task


def draw(task: TaskSpec, episodes: int, seed: int, training: bool = False) -> Any:
    """Episodes of a task, with the fewest shots or items that it allows.

    Args:
        task: `TaskSpec.classes` says among how many patterns to choose.
        episodes: B.
        seed: the same episodes for the same seed.
        training: says which patterns they show, as in meta-training.
    """
    return protocol(task.protocol).tiny_batch(task, episodes, seed, training)


def training_batch(task: TaskSpec, number: int) -> Any:
    """The batch of meta-training update `number`; ranges of shots and items are gone through."""
    (fewest, most), (short, long) = task.shot_range, task.item_range
    task = task.but(
        shots=fewest + number % (most - fewest + 1), items=short + number % (long - short + 1)
    )
    return draw(task, task.episodes_per_update, seed=1000 + number, training=True)
