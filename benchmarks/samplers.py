"""How many episodes a second are built: here, by learn2learn and by easyfsl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

from bench.api import TaskSpec
from bench.episodes.banks import training_batch
from benchmarks.data import characters, episode_pool
from benchmarks.libraries import EasyEpisodes, LearnToLearnEpisodes
from benchmarks.measuring import interleaved
from benchmarks.part import Asked, Measurement, Part, Row, SkippedError, at, bars, number, times

TOGETHER = 32
"""Episodes in a batch of ours. Theirs are built one by one."""
TASKS = ((5, 1, 15), (5, 5, 15), (20, 1, 15), (60, 1, 5))
"""Ways, shots, queries."""


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each task."""
    for ways, shots, queries in ((5, 1, 2),) if asked.small else TASKS:
        task = TaskSpec((1, 28, 28), ways, shots, queries, episodes_per_update=TOGETHER)
        name = f"{ways}-way {shots}-shot, {queries} queries"
        yield name, partial(measure, task, asked)


def measure(task: TaskSpec, asked: Asked) -> Row:
    """Seconds per episode, of each, on the device where training is."""
    device, numbers = asked.device, count()
    classes = 64 if asked.small else 1028
    pool = episode_pool(device, classes=classes, rotations=False)
    calls: dict[str, Callable[[], Any]] = {
        "bench": lambda: training_batch(pool, task, 0, next(numbers))
    }
    made = {"bench": TOGETHER}
    row: Row = {"missing": {}}
    decoding = partial(LearnToLearnEpisodes, decoding=True)
    kinds: dict[str, Callable[..., Any]] = {
        "learn2learn": LearnToLearnEpisodes,
        "learn2learn, decoding": decoding,
        "easyfsl": EasyEpisodes,
    }
    for name, kind in kinds.items():
        try:
            episodes = kind(characters(classes=classes), task)
        except SkippedError as skipped:
            row["missing"][name] = str(skipped)
            continue
        calls[name] = partial(_some, episodes, device)
        made[name] = 4
    seconds = interleaved(calls, asked.repeats, device)
    row["per_second"] = {name: made[name] / found for name, found in seconds.items()}
    row["ratio"] = {
        name: row["per_second"]["bench"] / found
        for name, found in row["per_second"].items()
        if name != "bench"
    }
    return row


def _some(episodes: Any, device: Any) -> None:
    for _ in range(4):
        for part in episodes.split():
            part.to(device)


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """Episodes per second."""
    bars(
        axes,
        found,
        ("bench", "learn2learn", "learn2learn, decoding", "easyfsl"),
        lambda row, name: at(row, "per_second", name),
    )
    axes.set_xscale("log")
    axes.set_xlabel("episodes per second")


PART = Part(
    title="Episodes",
    about=(
        f"Episodes per second, of 28x28 images, one process: here {TOGETHER} together, as "
        "meta-training takes them, from 8-bit images; learn2learn's Taskset and easyfsl's "
        "TaskSampler in a DataLoader one by one, from images that lie in memory as float32. "
        "`decoding` is learn2learn as its `omniglot_tasksets` sets it up: each image is decoded "
        "and resized when it is taken. × says how many times as many are built here."
    ),
    rows=rows,
    columns={
        "bench": number("per_second", "bench"),
        "learn2learn": number("per_second", "learn2learn"),
        "than learn2learn": times("ratio", "learn2learn"),
        "decoding": number("per_second", "learn2learn, decoding"),
        "than decoding": times("ratio", "learn2learn, decoding"),
        "easyfsl": number("per_second", "easyfsl"),
        "than easyfsl": times("ratio", "easyfsl"),
    },
    draw=draw,
)
