"""Prototypical and matching networks: training as here, and as easyfsl and learn2learn show it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import nn

from bench.api import Episodes, Learner, TaskSpec
from bench.episodes.banks import training_batch
from bench.worker.updates import make_optimizer, update
from bench_plugins.metric_based.matching import Matching
from bench_plugins.metric_based.prototypical import Prototypical
from benchmarks.data import characters, episode_pool
from benchmarks.libraries import (
    Batch,
    EasyEpisodes,
    LearnToLearnEpisodes,
    easyfsl,
    easyfsl_loss,
    prototypical_loss,
)
from benchmarks.measuring import interleaved, under
from benchmarks.part import (
    Asked,
    Measurement,
    Part,
    Row,
    SkippedError,
    at,
    bars,
    milliseconds,
    times,
)


@dataclass(frozen=True)
class Setting:
    """Which learner, and what an update is made of."""

    learner: str
    ways: int
    shots: int
    queries: int
    episodes: int
    side: int = 28
    classes: int = 1028

    def __str__(self) -> str:
        episodes = f"{self.episodes} episode{'s' if self.episodes > 1 else ''}"
        return f"{self.learner}, {self.ways}-way {self.shots}-shot, {episodes}"

    @property
    def task(self) -> TaskSpec:
        """As a learner is told it."""
        return TaskSpec(
            (1, self.side, self.side), self.ways, self.shots, self.queries,
            episodes_per_update=self.episodes, classes=self.classes,
        )  # fmt: skip


def settings(small: bool) -> Iterator[Setting]:
    """The default of both learners, and the usual 5-way episodes in a meta-batch."""
    for learner in ("prototypical", "matching"):
        if small:
            yield Setting(learner, 5, 1, 2, 2, side=16, classes=16)
            continue
        yield Setting(learner, 60, 1, 5, 1)
        yield Setting(learner, 5, 5, 15, 16)


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each setting."""
    for setting in settings(asked.small):
        yield str(setting), partial(measure, setting, asked)


def measure(setting: Setting, asked: Asked) -> Row:
    """Seconds of an update on episodes that are there, and of an update that builds them."""
    device, task = asked.device, setting.task
    data = characters(setting.side, setting.classes)
    pool = episode_pool(device, setting.side, setting.classes, rotations=False)
    learner = ours(setting).to(device).train()
    theirs: Any = copy.deepcopy(learner.encoder)
    optimizer, _ = make_optimizer(learner, 1000)
    numbers = count()
    ready = training_batch(pool, task, 0, 0)
    updates: dict[str, Callable[[], Any]] = {
        "bench": partial(update, learner, optimizer, ready, "fp32")
    }
    loops: dict[str, Callable[[], Any]] = {
        "bench": lambda: update(
            learner, optimizer, training_batch(pool, task, 0, next(numbers)), "fp32"
        )
    }
    row: Row = {"missing": {}}
    for name, prepare in (("easyfsl", easyfsl_way), ("learn2learn", learn2learn_way)):
        try:
            step, build = prepare(setting, copy.deepcopy(theirs), device, data)
        except SkippedError as skipped:
            row["missing"][name] = str(skipped)
            continue
        episodes = apart(ready)
        updates[name] = partial(step, episodes)
        loops[name] = lambda step=step, build=build: step(  # type: ignore[misc]
            [tuple(part.to(device) for part in build()) for _ in range(task.episodes_per_update)]
        )
    row["seconds"] = interleaved(
        {k: under("fp32", v) for k, v in updates.items()}, asked.repeats, device
    )
    row["loop_seconds"] = interleaved(
        {k: under("fp32", v) for k, v in loops.items()}, asked.repeats, device
    )
    for kind, found in (("ratio", row["seconds"]), ("loop_ratio", row["loop_seconds"])):
        row[kind] = {name: t / found["bench"] for name, t in found.items() if name != "bench"}
    return row


def ours(setting: Setting) -> Learner:
    """The learner here; with full context embeddings matching networks, which easyfsl always
    has, and as many steps of attention as easyfsl takes: one for each support image."""
    torch.manual_seed(0)
    if setting.learner == "prototypical":
        return Prototypical(Prototypical.Config(), setting.task)
    config = Matching.Config(fce=True, steps=setting.ways * setting.shots)
    return Matching(config, setting.task)


def apart(batch: Episodes) -> list[Batch]:
    """Episode by episode."""
    parts = batch.support_x, batch.support_y, batch.query_x, batch.query_y
    return list(zip(*parts, strict=True))


Step = Callable[[list[Batch]], Any]


def easyfsl_way(
    setting: Setting, encoder: nn.Module, device: torch.device, data: Any
) -> tuple[Step, Callable[[], Batch]]:
    """An update by easyfsl's method, and its episodes.

    Raises:
        SkippedError: it is not installed.
    """
    methods = easyfsl("methods")
    if setting.learner == "prototypical":
        method = methods.PrototypicalNetworks(encoder)
    else:
        width: Any = encoder.out_features
        method = methods.MatchingNetworks(encoder, feature_dimension=width)
    method = method.to(device).train()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    matching = setting.learner == "matching"

    def step(episodes: list[Batch]) -> float:
        return _updated(
            optimizer, [partial(easyfsl_loss, method, one, matching) for one in episodes]
        )

    return step, EasyEpisodes(data, setting.task).split


def learn2learn_way(
    setting: Setting, encoder: nn.Module, device: torch.device, data: Any
) -> tuple[Step, Callable[[], Batch]]:
    """An update as in learn2learn's example, and its episodes.

    Raises:
        SkippedError: it is not installed, or has no such example.
    """
    if setting.learner != "prototypical":
        raise SkippedError("learn2learn has no matching networks")
    encoder = encoder.to(device).train()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)

    def step(episodes: list[Batch]) -> float:
        return _updated(
            optimizer, [partial(prototypical_loss, encoder, one, setting.ways) for one in episodes]
        )

    return step, LearnToLearnEpisodes(data, setting.task).split


def _updated(optimizer: torch.optim.Optimizer, losses: list[Callable[[], Any]]) -> float:
    """One optimizer step on the mean over some episodes, which come one after the other."""
    optimizer.zero_grad()
    total = 0.0
    for of_episode in losses:
        loss = of_episode() / len(losses)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """How many times as fast as they are."""
    values = {
        "than easyfsl": ("ratio", "easyfsl"),
        "than easyfsl, with its episodes": ("loop_ratio", "easyfsl"),
        "than learn2learn": ("ratio", "learn2learn"),
        "than learn2learn, with its episodes": ("loop_ratio", "learn2learn"),
    }
    bars(axes, found, list(values), lambda row, name: at(row, *values[name]))
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times as fast")


PART = Part(
    title="Training loops",
    about=(
        "An update (loss, backward, Adam) from the same Conv4, on the same images, fp32: here all "
        "episodes of an update together, with easyfsl 1.5.0 and learn2learn 0.2.0 one after the "
        "other, as their examples do it. × says how many times as fast bench is: on episodes that "
        "are there, and with the building of them. Matching networks have full context "
        "embeddings, since easyfsl always has them, with as many steps of attention."
    ),
    rows=rows,
    columns={
        "bench, ms": milliseconds("seconds", "bench"),
        "easyfsl, ms": milliseconds("seconds", "easyfsl"),
        "than easyfsl": times("ratio", "easyfsl"),
        "with episodes": times("loop_ratio", "easyfsl"),
        "learn2learn, ms": milliseconds("seconds", "learn2learn"),
        "than learn2learn": times("ratio", "learn2learn"),
        "with its episodes": times("loop_ratio", "learn2learn"),
    },
    draw=draw,
)
