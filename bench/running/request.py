"""What `bench run` is asked for."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

from bench.errors import BenchError, unknown_name
from bench.planning.jobs import Precision
from bench.registry.discovery import names_of
from bench.worker.assignment import ANSWERS
from bench.worker.devices import Device

LARGEST_SEED = 2**63 - 1
"""What a table of results holds."""

MOST_JOBS, MOST_THREADS = 4096, 9999

LONGEST = 1e9
"""Seconds: 32 years."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `bench run` is asked for: its options, and the arguments of `bench.run`.

    Each value is checked and brought into one form; whether what is named exists is seen by
    `bench.running.prepare.prepare`.

    **The same results again** need, beside the same request: the same kind of device and number
    of threads, the same processor or GPU (their instructions round differently), the same versions
    of torch and of the learner's code. All of them stand in the environment that is stored with
    every result. Then they are equal to the bit on a CPU, however often a training was
    interrupted, and whatever `jobs` is where `threads` is given (by default the cores are shared
    among the jobs); on a GPU up to sums that torch makes in no fixed order. Of these only
    the kind of device is a part of a training's identity: what is finished is kept.

    Attributes:
        suites: names, globs or paths of TOML files; `bench.Suite` makes one of data in Python.
        learners: as ``maml[inner_steps=1,5]``; empty: all that are installed.
        seeds: one training per seed.
        devices: meta-trains and meta-tests on the first, times on all. ``cuda`` is every GPU that
            is visible, for timings the first of them; ``cuda:1`` just that one.
        budget: ``smoke``, ``standard``, ``paper``, ``<n>examples`` or ``<n>min``.
        precision: ``fp32`` or ``bf16`` (autocast).
        compile: compiles the update of each learner, which has to be one that can be.
        data_dir: where the datasets lie; None: ``$BENCH_DATA_DIR``, the cache, a download.
        results: the results folder.
        executor: what carries out trainings and cells.
        jobs: groups at once, each a training with its tests and audit; None: as many as there are
            GPUs to choose from with `devices=["cuda"]`, else one.
        threads: CPU threads of each training, its audits and its tests; None: the number that the
            first device states, else the machine's cores shared among the jobs. A training that
            has begun keeps the number it began with. A timing has the threads of its device:
            `cpu` all cores, `cpu/1` one.
        timeout: seconds that one process may run.
        memory: bytes that one process may have resident.
        rerun: computes again what is done.
        retry_failed: tries again what has failed.
        options: of the executor, as ``{"partition": "gpu"}``.
        store: what is stored beside results: ``answers`` keeps each answer, for `bench
            show-episode` and for accuracies by class. No part of what makes a cell another.
        tracker: who is told how trainings go, as ``tensorboard``; empty: nobody.

    Raises:
        BenchError: for a value of the wrong type or range.
    """

    suites: Sequence[str | os.PathLike[str]]
    learners: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    devices: Sequence[str] = ("cpu",)
    budget: str = "standard"
    precision: Precision = "fp32"
    compile: bool = False
    data_dir: str | Path | None = None
    results: str | Path = "results"
    executor: str = "local"
    jobs: int | None = None
    threads: int | None = None
    timeout: float | None = None
    memory: int | None = None
    rerun: bool = False
    retry_failed: bool = False
    options: Mapping[str, str] | None = None
    store: Sequence[str] = ()
    tracker: str = ""

    def __post_init__(self) -> None:
        checked = {
            "suites": _texts("suites", self.suites, 'suites=["glyphs-5way"]', paths=True),
            "learners": _texts("learners", self.learners, 'learners=["maml"]', empty=True),
            "seeds": _seeds(self.seeds),
            "devices": _texts("devices", self.devices, 'devices=["cpu"]'),
            "budget": _text("budget", self.budget, "standard"),
            "precision": _text("precision", self.precision, "fp32", get_args(Precision)),
            "compile": _flag("compile", self.compile),
            "data_dir": None if self.data_dir is None else _path("data_dir", self.data_dir),
            "results": _path("results", self.results),
            "executor": _text("executor", self.executor, "local"),
            "jobs": None if self.jobs is None else _count("jobs", self.jobs, MOST_JOBS),
            "threads": None
            if self.threads is None
            else _count("threads", self.threads, MOST_THREADS),
            "timeout": None if self.timeout is None else _seconds("timeout", self.timeout),
            "memory": None if self.memory is None else _count("memory", self.memory, 2**63 - 1),
            "rerun": _flag("rerun", self.rerun),
            "retry_failed": _flag("retry_failed", self.retry_failed),
            "options": None if self.options is None else _options("options", self.options),
            "store": _stored(self.store),
            "tracker": _tracker(self.tracker),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        first = Device.parse(self.devices[0])
        if self.threads is not None and first.threads not in {None, self.threads}:
            raise BenchError(
                f"threads: {self.threads} are asked for, and the device {first.name} that trains "
                f"has {first.threads}; leave one of the two out"
            )


# -- values ---------------------------------------------------------------------------------------


def wrong_value(name: str, expected: str, value: Any) -> BenchError:
    """The error for a value of the wrong type or range."""
    return BenchError(f"{name}: expected {expected}, got {_told(value)}")


def _told(value: Any) -> str:
    """A value in short; Python writes no number of 4,400 digits."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return f"a number of {value.bit_length()} bits"


def _items(name: str, values: Any, expected: str) -> list[Any]:
    if isinstance(values, str | bytes | os.PathLike) or not isinstance(values, Iterable):
        raise wrong_value(name, expected, values)
    return list(values)


def _texts(
    name: str, values: Any, example: str, *, empty: bool = False, paths: bool = False
) -> tuple[str, ...]:
    """A list of texts, each once."""
    expected = f"a list of names, as {example}"
    items = _items(name, values, expected)
    if not items and not empty:
        raise BenchError(f"{name}: the list is empty; expected one or more, as {example}")
    for place, item in enumerate(items):
        if paths and isinstance(item, os.PathLike):
            items[place] = os.fspath(item)
        elif isinstance(item, type):
            named = f"{item.__module__}:{item.__qualname__}"
            raise BenchError(
                f"{name}: a class is named by where it lies, as package.module:Class or "
                f"path/to/file.py:Class, since workers import it; got the class {named}"
            )
        elif not isinstance(item, str) or not item:
            raise wrong_value(name, expected, values)
    return tuple(dict.fromkeys(items))


def _tracker(value: Any) -> str:
    """An installed one; nothing is imported."""
    if value == "":
        return ""
    name, known = _text("tracker", value, "tensorboard"), names_of("tracker")
    if name not in known:
        raise unknown_name("tracker", name, known, "(entry points of the group bench.trackers)")
    return name


def _stored(values: Any) -> tuple[str, ...]:
    """What may be stored, each once."""
    found = _texts("store", values, 'store=["answers"]', empty=True)
    for item in found:
        if item != ANSWERS:
            raise wrong_value("store", 'a list of "answers", or an empty one', item)
    return found


def _seeds(values: Any) -> tuple[int, ...]:
    """Whole numbers, each once."""
    expected = "a list of whole numbers of 0 or more, as seeds=[0, 1, 2]"
    items = _items("seeds", values, expected)
    if not items:
        raise BenchError("seeds: the list is empty; expected one or more, as seeds=[0, 1, 2]")
    for item in items:
        if not _is_whole(item) or item < 0:
            raise wrong_value("seeds", expected, item)
        if item > LARGEST_SEED:
            raise BenchError(f"seeds: {_told(item)} is too large; the largest is {LARGEST_SEED}")
    return tuple(dict.fromkeys(int(item) for item in items))


def _is_whole(value: Any) -> bool:
    """numpy's integers are Integral too; True and False are not meant as 1 and 0."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _text(name: str, value: Any, example: str, allowed: Sequence[str] = ()) -> str:
    if not isinstance(value, str) or not value or (allowed and value not in allowed):
        expected = " or ".join(map(repr, allowed)) or f"a text, as {name}={example!r}"
        raise wrong_value(name, expected, value)
    return value


def _path(name: str, value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise wrong_value(name, "the path of a folder", value)
    return Path(value)


def _count(name: str, value: Any, most: int) -> int:
    if not _is_whole(value) or value < 1:
        raise wrong_value(name, "a whole number of 1 or more", value)
    if value > most:
        raise BenchError(f"{name}: {_told(value)} is too large; the largest is {most}")
    return int(value)


def _seconds(name: str, value: Any) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise wrong_value(name, "a number of seconds above 0", value)
    if value > LONGEST:
        raise BenchError(f"{name}: {_told(value)} s is too large; the largest is {LONGEST:.0f} s")
    return float(value)


def _options(name: str, value: Any) -> dict[str, str]:
    expected = 'names and values, as options={"partition": "gpu"}'
    if not isinstance(value, Mapping):
        raise wrong_value(name, expected, value)
    for key, text in value.items():
        if not isinstance(key, str) or not isinstance(text, str) or "\0" in key + text:
            raise wrong_value(name, expected, {key: text})
    return dict(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong_value(name, "True or False", value)
    return value
