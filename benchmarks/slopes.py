"""How the cost of an update grows: with shots, ways, the side of an image, episodes per update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.api import TaskSpec
from bench.episodes.banks import training_batch
from bench.registry.contestants import contestants
from bench.registry.installed import learners
from bench.worker.updates import make_optimizer, update
from benchmarks.data import built, episode_pool
from benchmarks.measuring import interleaved, under
from benchmarks.part import Asked, Measurement, Part, Row, at, bars, number, significant

LEARNERS = ("prototypical", "maml", "snail", "mann")
BASE = {"ways": 5, "shots": 1, "side": 28, "episodes": 8}
ALONG: Mapping[str, tuple[int, ...]] = {
    "shots": (1, 2, 5, 10),
    "ways": (2, 5, 10, 20),
    "side": (16, 28, 42, 56),
    "episodes": (2, 4, 8, 16),
}
SMALL: Mapping[str, tuple[int, ...]] = {
    "shots": (1, 2),
    "ways": (2, 3),
    "side": (16, 20),
    "episodes": (1, 2),
}
QUERIES = 2
"""Per class."""


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each learner and axis."""
    for name in LEARNERS[:1] if asked.small else LEARNERS:
        for axis in ALONG:
            yield f"{name}, {axis}", partial(measure, name, axis, asked)


def measure(name: str, axis: str, asked: Asked) -> Row:
    """Seconds at each point, and the slope of a line through their logarithms."""
    points = (SMALL if asked.small else ALONG)[axis]
    base = BASE | {"episodes": 2} if asked.small else BASE
    calls = {str(point): call_of(name, base | {axis: point}, asked) for point in points}
    seconds = interleaved(calls, asked.repeats, asked.device)
    return {"seconds": seconds, "slope": slope(points, list(seconds.values()))}


def slope(points: tuple[int, ...], seconds: list[float]) -> float:
    """Of the line through the logarithms, by least squares: 1 is twice the cost for twice."""
    return float(np.polyfit(np.log(points), np.log(seconds), 1)[0])


def call_of(name: str, at_point: Mapping[str, int], asked: Asked) -> Callable[[], Any]:
    """An update of a learner on such a task."""
    pool = episode_pool(asked.device, at_point["side"], classes=64, rotations=False)
    task = TaskSpec(
        pool.input_shape, at_point["ways"], at_point["shots"], QUERIES,
        episodes_per_update=at_point["episodes"], classes=len(pool),
    )  # fmt: skip
    [contestant] = contestants([name], learners(name))
    learner = built(contestant.within("kshot"), task, asked.device)
    optimizer, _ = make_optimizer(learner, 1000)
    batch = training_batch(pool, task, 0, 0)
    return under("fp32", partial(update, learner, optimizer, batch, "fp32"))


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """Slopes, for each learner one of each axis."""
    by_learner: dict[str, Row] = {}
    for name, row in found.items():
        learner, _, axis = name.partition(", ")
        by_learner.setdefault(learner, {})[axis] = row["slope"]
    bars(axes, by_learner, list(ALONG), at)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("slope: 1 is twice the cost for twice as much")


def _points(row: Row) -> str:
    return ", ".join(f"{significant(1000 * t)} ({x})" for x, t in at(row, "seconds").items())


PART = Part(
    title="What cost grows with",
    about=(
        f"An update at {BASE['ways']} ways, {BASE['shots']} shot, {QUERIES} queries a class, "
        f"{BASE['side']}x{BASE['side']}, {BASE['episodes']} episodes, and one of these changed. "
        "The slope is that of a line through the logarithms: 1 is twice the cost for twice as "
        "much; of the side 2 is the cost of the pixels."
    ),
    rows=rows,
    columns={"slope": number("slope"), "ms (at)": _points},
    draw=draw,
)
