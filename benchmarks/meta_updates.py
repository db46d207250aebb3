"""MAML's meta-update beside learn2learn's: the same weights, tasks and arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bench.api import Episodes, Learner, MissingRequirementError, TaskSpec
from bench.worker.captured import CapturedLoss
from bench.worker.compiled import CompiledLoss
from bench.worker.evaluation import autocast
from bench_plugins.optimization_based.maml import MAML
from benchmarks.measuring import (
    interleaved,
    operations,
    precisions,
    share_of_peak,
    under,
)
from benchmarks.part import Asked, Measurement, Part, Row, at, bars, milliseconds, percent, times


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


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each setting."""
    for setting in settings(asked.small):
        yield str(setting), partial(measure, setting, asked)


def measure(setting: Setting, asked: Asked) -> Row:
    """Seconds of a meta-gradient, how many times as fast as learn2learn's that is, and the share of
    the product peak."""
    batch, filters = batch_of(setting.task).to(asked.device), 4 if asked.small else 64
    own = made(MAML, setting, filters, asked.device)
    calls = {
        precision: under(precision, update(own, batch, precision))
        for precision in (precisions(asked.device) if asked.device.type == "cuda" else ("fp32",))
    }
    return beside_theirs(setting, calls, batch, asked)


def beside_theirs(
    setting: Setting, calls: dict[str, Callable[[], Any]], batch: Episodes, asked: Asked
) -> Row:
    """Some of our calls against learn2learn's.

    Raises:
        AssertionError: the losses of the same weights are not the same.
    """
    row: Row = {}
    try:
        library = theirs(setting, 4 if asked.small else 64, asked.device)
        calls["learn2learn"] = under("fp32", update(library, batch))
    except MissingRequirementError as missing:
        row["learn2learn"] = str(missing).partition(";")[0]
    losses = {name: float(call()) for name, call in calls.items()}
    for name, loss in losses.items():
        exact = "tf32" not in name and "bf16" not in name
        tolerance = 1e-3 if exact else 0.1  # five steps make much of a rounding
        torch.testing.assert_close(losses["fp32"], loss, atol=tolerance, rtol=tolerance)
    seconds = interleaved(calls, asked.repeats, asked.device)
    row["seconds"] = seconds
    if "learn2learn" in seconds:
        row["ratio"] = {name: seconds["learn2learn"] / found for name, found in seconds.items()}
    # The library's own products are counted where it is there: it multiplies what has to be.
    count = operations(calls.get("learn2learn", calls["fp32"]))
    row["share_of_peak"] = {
        name: share_of_peak(count, found, asked.peaks.get(name.split()[-1]))
        for name, found in seconds.items()
    }
    return row


def made(cls: type[MAML], setting: Setting, filters: int, device: torch.device) -> Learner:
    """A learner, always with the same weights."""
    torch.manual_seed(0)
    config = cls.Config(
        encoder="conv4-strided",  # learn2learn's own, and the smaller: there overhead counts most
        learned_rates=False,
        filters=filters,
        inner_steps=setting.steps,
        first_order=setting.first_order,
    )
    return cls(config, setting.task).train().to(device)


def theirs(setting: Setting, filters: int, device: torch.device) -> Learner:
    """`maml-l2l`.

    Raises:
        MissingRequirementError: learn2learn is not installed.
    """
    from bench_plugins.learn2learn import learners

    return made(learners.MAML, setting, filters, device)


def batch_of(task: TaskSpec) -> Episodes:
    """Random images; the labels in their order."""
    random = torch.Generator().manual_seed(0)
    tasks, items = task.episodes_per_update, task.ways * task.shot_range[1]
    labels = torch.arange(task.ways).repeat(task.shot_range[1]).expand(tasks, items).contiguous()
    support, query = torch.rand(2, tasks, items, *task.input_shape, generator=random)
    return Episodes(task.ways, support, labels, query, labels.clone())


def update(
    learner: Learner,
    batch: Any,
    precision: str = "fp32",
    compiled: CompiledLoss | CapturedLoss | None = None,
) -> Callable[[], torch.Tensor]:
    """A call that computes a meta-gradient."""
    device = next(learner.parameters()).device

    def call() -> torch.Tensor:
        learner.zero_grad(set_to_none=True)
        with autocast(device, precision):
            loss = learner.loss(batch) if compiled is None else compiled(batch)
        loss.backward()
        return loss.detach()

    return call


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """How many times as fast as learn2learn; where that is not there, milliseconds."""
    draw_against(axes, found, ("fp32", "tf32", "bf16"))


def draw_against(axes: Any, found: Mapping[str, Row], series: Sequence[str]) -> None:
    """Bars of the calls of these names."""

    def in_milliseconds(row: Row, name: str) -> float | None:
        seconds = at(row, "seconds", name)
        return None if seconds is None else 1000 * seconds

    if any(at(row, "ratio") for row in found.values()):
        bars(axes, found, series, lambda row, name: at(row, "ratio", name))
        axes.axvline(1, color="black", linewidth=1)
        axes.set_xlabel("times learn2learn's speed")
        return
    bars(axes, found, series, in_milliseconds)
    axes.set_xlabel("ms for a meta-gradient")
    axes.set_xscale("log")


PART = Part(
    title="MAML's meta-gradient",
    about=(
        "5 ways, as many queries as shots, 64 filters; 28x28 has one channel, 32x32 three. Columns "
        "of times (×) say how many times as fast as learn2learn 0.2.0's MAML, from the same "
        "weights, on the same tasks, with the same loss, in fp32. `share` is that of the product "
        "peak which fp32 reaches, with the products counted that learn2learn makes."
    ),
    rows=rows,
    columns={
        "learn2learn, ms": milliseconds("seconds", "learn2learn"),
        "fp32, ms": milliseconds("seconds", "fp32"),
        "fp32": times("ratio", "fp32"),
        "tf32, ms": milliseconds("seconds", "tf32"),
        "tf32": times("ratio", "tf32"),
        "bf16, ms": milliseconds("seconds", "bf16"),
        "bf16": times("ratio", "bf16"),
        "share": percent("share_of_peak", "fp32"),
    },
    draw=draw,
)
