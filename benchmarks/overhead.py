"""What the harness itself takes: beside a learner's own time, at the start, of memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import on_the_wall
from benchmarks.part import Asked, Measurement, Part, Row, SkippedError, number

SUITE = Path(__file__).with_name("short.toml")
LEARNERS = ("prototypical", "maml", "mann")


def rows(asked: Asked) -> Iterator[Measurement]:
    """Trainings, then starts."""
    for name in LEARNERS[:1] if asked.small else LEARNERS:
        yield f"{name}: outside the learner", partial(training, name, asked, outside)
        yield f"{name}: memory of its process", partial(training, name, asked, memory)
    yield "bench run, all of it done", partial(finished_run, asked)
    yield "a worker's start, the first", partial(first_start, asked)
    yield "a worker's start, a later one", partial(later_start, asked)
    for command in ("--help", "list learners", "list suites"):
        yield f"bench {command}", partial(command_time, command.split(), asked)


# -- a short training -----------------------------------------------------------------------------

_done: dict[tuple[str, bool], Path] = {}
"""Results folders by learner and size, as long as this process lives."""


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone with this process."""
    return tempfile.TemporaryDirectory(prefix="bench-overhead-")


def run_command(name: str, asked: Asked) -> list[str]:
    """A `bench run` with few examples."""
    device = "cuda:0" if asked.device.type == "cuda" else "cpu/1"
    return [
        *("run", "--suite", str(SUITE), "--learner", name, "--device", device, "--threads", "1"),
        *("--budget", "smoke" if asked.small else "standard"),
        *("--results", f"{scratch().name}/{name}-{asked.small}"),
    ]


def bench(arguments: list[str]) -> None:
    """The command line, in a process of its own.

    Raises:
        SkippedError: it fails, with its last line.
    """
    command = [sys.executable, "-m", "bench.cli", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        words = (ended.stderr or ended.stdout).strip().splitlines()
        raise SkippedError(f"bench {arguments[0]} failed: {words[-1] if words else 'silently'}")


def trained(name: str, asked: Asked) -> Path:
    """The results folder of a short training with its tests and timings."""
    key = name, asked.small
    if key not in _done:
        command = run_command(name, asked)
        bench(command)
        _done[key] = Path(command[-1])
    return _done[key]


def training(name: str, asked: Asked, read: Callable[[Path], Row]) -> Row:
    """What a short training tells of itself."""
    return read(trained(name, asked))


def outside(results: Path) -> Row:
    """The fraction of meta-training time that is not the learner's own."""
    [path] = results.glob("trainings/*/result.json")
    return {"value": 100 * json.loads(path.read_text("utf-8"))["overhead"], "unit": "%"}


def memory(results: Path) -> Row:
    """The most that the process that timed it had, or torch on a GPU.

    Raises:
        SkippedError: it is not measured on this system.
    """
    timings = results.glob("cells/*/*/*/timings/*.json")
    found = [json.loads(path.read_text("utf-8"))["memory"] for path in timings]
    if None in found:
        raise SkippedError("not measured on this system")
    return {"value": max(found) / 2**20, "unit": "MiB"}


def finished_run(asked: Asked) -> Row:
    """The same command once more."""
    trained("prototypical", asked)
    again = partial(bench, run_command("prototypical", asked))
    return {"value": on_the_wall(again, asked.repeats), "unit": "s"}


# -- starts ---------------------------------------------------------------------------------------


def nothing(argument: str, progress: Any) -> None:
    """What a worker is given to do."""
    Path(argument).touch()


def start() -> None:
    """A worker is asked for, does nothing, and is gone."""
    from bench.api.executor import Limits
    from bench.processes.child import Work, carry_out

    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder, "done")
        work = Work(
            function=f"{__name__}:nothing",
            argument=str(done),
            log=Path(folder, "log.txt"),
            done=done.exists,
            preload=("bench.groups.preload",),
        )
        carry_out(work, Limits(), lambda event: None, threading.Event())
        if not done.exists():
            raise SkippedError("the worker ended without doing anything")


def first_start(asked: Asked) -> Row:
    """With a fork server that imports torch."""
    from bench.processes.forkserver import close_server

    def first() -> None:
        close_server()
        start()

    return {"value": on_the_wall(first, asked.repeats), "unit": "s"}


def later_start(asked: Asked) -> Row:
    """By a fork server that is there."""
    start()
    return {"value": on_the_wall(start, asked.repeats), "unit": "s"}


def command_time(arguments: list[str], asked: Asked) -> Row:
    """Of a command, with the start of Python."""
    bench(arguments)
    return {"value": on_the_wall(partial(bench, arguments), asked.repeats), "unit": "s"}


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """Seconds; the rest stands in the table."""
    seconds = {name: row["value"] for name, row in found.items() if row["unit"] == "s"}
    axes.barh(list(seconds), list(seconds.values()))
    axes.invert_yaxis()
    axes.set_xlabel("s")


PART = Part(
    title="The harness",
    about=(
        "The fraction of meta-training time that is not the learner's own "
        "(`benchmarks/short.toml`, 40,000 images); the memory of the process that timed it, on a "
        "GPU what torch had allocated; how long commands and workers take to start, on the wall, "
        "with all that other processes on the machine take from them."
    ),
    rows=rows,
    columns={"": number("value"), "unit": number("unit")},
    draw=draw,
)
