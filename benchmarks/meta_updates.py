"""MAML's meta-update beside learn2learn's: the same weights, tasks and arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bench.api import Episodes, Learner, MissingRequirementError, TaskSpec
from bench_plugins.optimization_based.maml import MAML


@dataclass(frozen=True)
class Setting:
    """What an update is made of."""

    shots: int
    steps: int
    first_order: bool
    side: int
    tasks: int

    def __str__(self) -> str:
        order = "first order" if self.first_order else "second order"
        steps = f"{self.steps} step{'s' if self.steps > 1 else ''}"
        return f"{self.shots}-shot, {steps}, {order}, {self.side}x{self.side}, {self.tasks} tasks"

    @property
    def task(self) -> TaskSpec:
        """5 ways, as many queries as shots; 3 colours where the side is 32."""
        shape = (3 if self.side == 32 else 1, self.side, self.side)
        return TaskSpec(shape, 5, self.shots, self.shots, episodes_per_update=self.tasks)


def settings(small: bool) -> Iterator[Setting]:
    """All of them; where nothing is to be timed two tiny ones."""
    if small:
        yield from (Setting(1, 1, first_order, 12, 2) for first_order in (False, True))
        return
    for side in (28, 32):
        for first_order in (False, True):
            for shots, steps, tasks in ((1, 1, 32), (5, 1, 16), (1, 5, 16), (5, 5, 8)):
                yield Setting(shots, steps, first_order, side, tasks)


def contestants(setting: Setting, filters: int) -> dict[str, Learner]:
    """`maml`, and `maml-l2l` from the same weights where learn2learn is installed.

    Raises:
        MissingRequirementError: it is not.
    """
    from bench_plugins.learn2learn import learners

    made: dict[str, Learner] = {}
    for name, cls in (("maml", MAML), ("learn2learn", learners.MAML)):
        torch.manual_seed(0)
        config = cls.Config(
            filters=filters, inner_steps=setting.steps, first_order=setting.first_order
        )
        made[name] = cls(config, setting.task).train()
    return made


def batch_of(task: TaskSpec) -> Episodes:
    """Random images; the labels in their order."""
    tasks, items = task.episodes_per_update, task.ways * task.shot_range[1]
    labels = torch.arange(task.ways).repeat(task.shot_range[1]).expand(tasks, items).contiguous()
    support, query = torch.rand(2, tasks, items, *task.input_shape)
    return Episodes(task.ways, support, labels, query, labels.clone())


def update(learner: Learner, batch: Any) -> Callable[[], Any]:
    """A call that computes a meta-gradient."""

    def call() -> torch.Tensor:
        learner.zero_grad(set_to_none=True)
        loss = learner.loss(batch)
        loss.backward()
        return loss.detach()

    return call


def available() -> str | None:
    """Why it cannot be measured; None: it can."""
    try:
        from bench_plugins.learn2learn import learners  # noqa: F401
    except MissingRequirementError as missing:
        return str(missing)
    return None
