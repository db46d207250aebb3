"""Reads a results folder into one tidy table. The files are described in `bench.records`.

What cannot be read (damaged, truncated, foreign) is left out and named in `ResultSet.problems`; it
never stops the reading. What an older version did not store reads as missing.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.errors import BenchError, unknown_name
from bench.records import (
    CellResult,
    EpisodeScores,
    Failure,
    Record,
    TimingResult,
    TrainingResult,
)

Json = dict[str, Any]
FloatArray = NDArray[np.float32]

COLUMNS = {
    **dict.fromkeys(["suite", "setting", "protocol"], "object"),
    **dict.fromkeys(["learner", "learner_name", "family", "encoder"], "object"),
    **dict.fromkeys(["seed"], "Int64"),
    **dict.fromkeys(["device", "precision", "budget", "status", "reason"], "object"),
    **dict.fromkeys(["accuracy", "accuracy_ci95"], "float64"),
    **dict.fromkeys(["episodes"], "Int64"),
    **dict.fromkeys(["nll", "nll_ci95", "ece", "bit_errors", "bit_errors_ci95"], "float64"),
    **dict.fromkeys(["accuracy_by_presentation", "accuracy_by_presentation_ci95"], "object"),
    **dict.fromkeys(["reliability"], "object"),
    **dict.fromkeys(["ceiling"], "float64"),
    **dict.fromkeys(["ways", "training_ways", "items", "bits"], "Int64"),
    **dict.fromkeys(["training_items"], "object"),
    **dict.fromkeys(["updates", "examples", "parameters"], "Int64"),
    **dict.fromkeys(["training_seconds", "test_seconds", "best_val_accuracy"], "float64"),
    **dict.fromkeys(["timings", "throughput", "peak_memory", "code"], "object"),
    **dict.fromkeys(["transductive"], "boolean"),
    **dict.fromkeys(["warnings", "failure", "timing_failures", "environments"], "object"),
    **dict.fromkeys(["suite_version", "bank_episodes"], "Int64"),
    **dict.fromkeys(["dataset", "split"], "object"),
    **dict.fromkeys(["test_rotations"], "boolean"),
    **dict.fromkeys(["task", "config"], "object"),
    **dict.fromkeys(["bank", "finished", "source", "training", "id", "path"], "object"),
}
"""One row per cell. ``status`` is done, failed or unfinished; accuracies are fractions, times are
seconds. Memory probes have no ways: ``items`` are those of the test, ``training_items`` a number or
``[fewest, most]``, ``bits`` what a sequence asks for and ``bit_errors`` how many of them are wrong;
their accuracy is the fraction of right bits. ``timings`` is ``{device: {phase: median}}``,
``throughput`` ``{device: episodes/s}`` and ``peak_memory`` ``{device: bytes}``. ``code`` compares
the stored source hash with the installed learner's: current, other or unknown. ``environments``
lists those of the test and the timings. ``failure`` and ``timing_failures`` (by device) are
`bench.records.Failure` as stored."""

REQUIRED = ("suite", "setting", "learner", "family", "seed", "device", "precision", "budget")


class Problem(NamedTuple):
    """A file or folder that was left out."""

    path: str
    reason: str


@dataclass(frozen=True)
class ResultSet:
    """What a results folder holds."""

    path: Path
    frame: pd.DataFrame
    problems: list[Problem]


@dataclass(frozen=True)
class Weightings:
    """One sequence of a memory probe, the learner's answer, and where its heads were.

    Attributes:
        x: (T, D) input.
        target: (T, E) bits to answer.
        answer: (T, E) probabilities answered.
        mask: (T,) 1 where the answer counts.
        heads: by name, (T, rows).
    """

    x: FloatArray
    target: FloatArray
    answer: FloatArray
    mask: FloatArray
    heads: dict[str, FloatArray]


class Validation(NamedTuple):
    """A meta-validation: one point of a learning curve."""

    examples: float
    """Seen in meta-training so far."""
    seconds: float
    """Of meta-training so far; meta-validation excluded."""
    accuracy: float
    """On episodes of the training's own task: as many ways as it was trained with."""


class _UnreadableError(Exception):
    """Why a file cannot be used."""


def load_results(
    path: str | Path = "results", sources: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One row per cell of a results folder, with the columns `COLUMNS`.

    Args:
        path: the results folder.
        sources: source hash of each installed learner by its entry-point name. Without it the
            column ``code`` is ``"unknown"``.

    Returns:
        The table; ``frame.attrs["problems"]`` lists what could not be read.

    Raises:
        BenchError: there is no such folder, or nothing of ours in it.
    """
    return read_results(path, sources).frame


def read_results(
    path: str | Path = "results", sources: Mapping[str, str] | None = None
) -> ResultSet:
    """`load_results` with the problems beside the table."""
    root = Path(path)
    problems: list[Problem] = []
    cells = list(_cell_folders(root / "cells", problems))
    if not cells and not problems:
        what = "holds no results" if root.is_dir() else "does not exist"
        raise BenchError(
            f"the results folder {str(root)!r} {what}\n"
            "name another with --results, or make some: bench run --suite glyphs-5way"
        )
    found = [row for cell in cells if (row := _read_cell(cell, sources or {}, problems))]
    frame = pd.DataFrame(found, columns=list(COLUMNS), dtype=object).astype(COLUMNS)
    frame.attrs["problems"] = problems
    return ResultSet(root, frame, problems)


def rows(frame: pd.DataFrame) -> list[Json]:
    """The table as plain dictionaries, with None for all that is missing."""
    plain = frame.astype(object)
    records = plain.where(plain.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in records]


def select(frame: pd.DataFrame, suites: Sequence[str], learners: Sequence[str]) -> pd.DataFrame:
    """The rows of these suites and learners; no pattern means all.

    Args:
        frame: what `load_results` returned.
        suites: names, with ``*`` and ``?`` for any characters.
        learners: the same. ``maml`` also selects ``maml[inner_steps=5]``.

    Raises:
        BenchError: for a pattern that nothing stored matches.
    """
    chosen = pd.Series(True, index=frame.index)
    for kind, patterns, columns in (
        ("suite", suites, ["suite"]),
        ("learner", learners, ["learner", "learner_name"]),
    ):
        wanted = pd.Series(not patterns, index=frame.index)
        for pattern in patterns:
            matches = frame[columns].map(_glob(pattern).fullmatch).notna().any(axis=1)
            if not matches.any():
                raise unknown_name(kind, pattern, set(frame[kind]), "(among the stored results)")
            wanted |= matches
        chosen &= wanted
    return frame[chosen]


def episode_scores(cell: str | Path) -> EpisodeScores:
    """The per-episode scores of a finished cell.

    Args:
        cell: its folder, the column ``path`` of `load_results`.

    Raises:
        BenchError: they are missing or damaged.
    """
    path = Path(cell) / "episodes.json"
    try:
        return EpisodeScores.model_validate_json(path.read_bytes())
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValidationError as error:
        why = f"is damaged ({error.errors(include_url=False)[0]['msg']})"
    raise BenchError(f"{path} {why}\ncompute the cell again: bench run --rerun")


def weightings(cell: str | Path) -> Weightings | None:
    """What a memory probe's cell has for a picture; None where its learner had nothing to show.

    Args:
        cell: its folder, the column ``path`` of `load_results`.

    Raises:
        BenchError: the file is damaged.
    """
    path = Path(cell) / "weightings.npz"
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] / np.float32(255) for name in stored.files}
        given = {name: arrays.pop(name) for name in ("x", "target", "answer", "mask")}
        heads = {name.removeprefix("head "): array for name, array in arrays.items()}
        shapes = [array.shape for array in (*given.values(), *heads.values())]
        dimensions = [2, 2, 2, 1, *[2] * len(heads)]
        if [len(s) for s in shapes] != dimensions or len({s[0] for s in shapes}) != 1:
            raise ValueError(f"arrays of {shapes} do not fit together")
        return Weightings(**given, heads=heads)
    except Exception as error:  # numpy, zipfile and zlib raise many kinds for a damaged file
        raise BenchError(f"{path} is damaged ({error})") from error


def training_records(root: str | Path, training: str) -> tuple[list[str], Json | None]:
    """Warnings and failure stored with a training; nothing where the files are unreadable.

    Args:
        root: the results folder.
        training: its folder name, the column ``training`` of `load_results`.
    """
    folder = Path(root) / "trainings" / training
    found: list[Json] = []
    for name in ("result.json", "failure.json"):
        try:
            found.append(_read(folder / name))
        except _UnreadableError:
            found.append({})
    warnings = found[0].get("warnings")
    return [str(w) for w in warnings] if isinstance(warnings, list) else [], found[1] or None


def learning_curve(
    root: str | Path, training: str, problems: list[Problem] | None = None
) -> list[Validation]:
    """The meta-validations of a finished training, the first one first.

    None where the training is unfinished or was not copied with its cells; points that are null
    or lack a number are left out.

    Args:
        root: the results folder.
        training: its folder name, the column ``training`` of `load_results`.
        problems: a damaged file is added to it, once.
    """
    path = Path(root) / "trainings" / training / "result.json"
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file raises for some foreign names)
        return []
    try:
        points = _read(path, TrainingResult).get("curve") or []
    except _UnreadableError as error:
        problem = Problem(str(path), str(error))
        if problems is not None and problem not in problems:
            problems.append(problem)
        return []
    curve = []
    for point in filter(None, points):
        given = [_number(point.get(key)) for key in ("examples", "seconds", "val_accuracy")]
        numbers = [number for number in given if number is not None]
        if len(numbers) == len(given):
            curve.append(Validation(*numbers))
    return curve


def _glob(pattern: str) -> re.Pattern[str]:
    # In a learner's name brackets hold its options; for fnmatch they would be a character class.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, hidden files left out, in a fixed order."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if e.name[0] != "."), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _cell_folders(cells: Path, problems: list[Problem]) -> Iterator[Path]:
    level = [cells]
    for _ in ("suite", "setting", "cell"):
        below: list[Path] = []
        for folder in level:
            try:
                entries = _entries(folder)
            except OSError as error:
                problems.append(Problem(str(folder), error.strerror or str(error)))
                continue
            for entry in entries:
                if entry.is_dir():
                    below.append(Path(entry.path))
                else:
                    problems.append(Problem(entry.path, "is no folder; nothing of ours"))
        level = below
    yield from level


def _read(path: str | Path, model: type[Record] | None = None) -> Json:
    """The JSON object in a file, of the types that `model` states.

    Absent or null fields pass: an older version did not have them, and NaN is stored as null.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (10,000 files: half the time of Path.open)
            content = file.read()
        record = json.loads(content)
    except OSError as error:
        raise _UnreadableError(error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        why = f"is damaged or truncated: {error}" if content else "is empty"
        raise _UnreadableError(why) from None
    if not isinstance(record, dict):
        raise _UnreadableError(f"holds a {type(record).__name__} where an object belongs")
    if model is not None:
        try:
            model.model_validate(record, strict=True)
        except ValidationError as error:
            for wrong in error.errors(include_url=False):
                if wrong["type"] != "missing" and wrong["input"] is not None:
                    where = ".".join(map(str, wrong["loc"]))
                    raise _UnreadableError(f"{where}: {wrong['msg']}") from None
    return record


def _read_cell(folder: Path, sources: Mapping[str, str], problems: list[Problem]) -> Json | None:
    """The row of a cell; None, and a problem noted, where not even its name can be read."""
    names: dict[str, str] = {}
    timing_files: list[os.DirEntry[str]] = []
    try:
        names = {entry.name: entry.path for entry in _entries(folder)}
        if "timings" in names:
            timing_files = _entries(folder / "timings")
    except OSError as error:
        problems.append(Problem(str(folder), error.strerror or str(error)))
    if not names.keys() & {"cell.json", "result.json"}:
        problems.append(Problem(str(folder), "holds neither cell.json nor result.json"))
        return None

    def read(path: str, model: type[Record]) -> Json | None:
        try:
            return _read(path, model)
        except _UnreadableError as error:
            problems.append(Problem(path, str(error)))
            return None

    result = read(names["result.json"], CellResult) if "result.json" in names else None
    failure = read(names["failure.json"], Failure) if "failure.json" in names else None
    record = result or (read(names["cell.json"], CellResult) if "cell.json" in names else None)
    if record is None:
        return None
    if lacking := [key for key in REQUIRED if record.get(key) is None]:
        problems.append(Problem(str(folder), f"does not say its {', '.join(lacking)}"))
        return None
    if _whole(record["seed"]) is None:
        problems.append(Problem(str(folder), f"seed: {record['seed']} is out of range"))
        return None
    timings, timing_failures = [], {}
    for entry in timing_files:
        device, _, kind = entry.name.partition(".")
        if kind == "json" and (timing := read(entry.path, TimingResult)):
            timings.append(timing)
        elif kind == "failure.json" and (why := read(entry.path, Failure)):
            timing_failures[device] = why
    status = "done" if result else "failed" if failure else "unfinished"
    row = _row(record, status, failure, timings, timing_failures, sources)
    return row | {"path": str(folder)}


def _row(
    record: Json,
    status: str,
    failure: Json | None,
    timings: list[Json],
    timing_failures: dict[str, Json],
    sources: Mapping[str, str],
) -> Json:
    row = {key: record.get(key) for key in COLUMNS}  # most columns carry the record's own names
    for name in ("accuracy", "nll", "ece", "bit_errors"):
        interval = (record.get("metrics") or {}).get(name) or {}
        row[name], row[f"{name}_ci95"] = interval.get("mean"), interval.get("ci95")
    curve = [point or {} for point in record.get("by_presentation") or []] or None
    measured = {str(timing.get("device")): timing for timing in timings}
    learner_name = row["learner_name"] = record.get("learner_name") or record["learner"]
    task, trained = record.get("task") or {}, record.get("training_task") or {}
    sizes = {"ways": task.get("ways"), "training_ways": trained.get("ways")}
    if record.get("protocol") == "sequence":
        sizes = {"items": task.get("items"), "training_items": trained.get("items")}
    row |= dict.fromkeys(("ways", "training_ways", "items", "training_items")) | sizes
    row |= {
        "task": task,
        "config": record.get("config") or {},
        "encoder": _text((record.get("config") or {}).get("encoder")),
        "status": status,
        "failure": failure,
        "timing_failures": timing_failures,
        "reason": _text((failure or {}).get("reason")),
        "accuracy_by_presentation": curve and [_number(point.get("mean")) for point in curve],
        "accuracy_by_presentation_ci95": curve and [_number(point.get("ci95")) for point in curve],
        "code": _code(record.get("source"), sources.get(learner_name)),
        "warnings": record.get("warnings") or [],
        "timings": {
            device: {
                phase: _number((stored or {}).get("median"))
                for phase, stored in (timing.get("phases") or {}).items()
            }
            for device, timing in measured.items()
        },
        "throughput": {device: _number(t.get("throughput")) for device, t in measured.items()},
        "peak_memory": {device: _whole(t.get("peak_memory")) for device, t in measured.items()},
        "environments": [e for r in (record, *timings) if (e := r.get("environment"))],
    }
    conversions = {"Int64": _whole, "float64": _number}
    return {
        key: conversions[dtype](row[key]) if dtype in conversions else row[key]
        for key, dtype in COLUMNS.items()
    }


def _code(stored: Any, installed: str | None) -> str:
    if not stored or not installed:
        return "unknown"
    return "current" if stored == installed else "other"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _whole(value: Any) -> int | None:
    """An int that a column of 64 bits can hold."""
    return value if type(value) is int and abs(value) < 2**63 else None


def _number(value: Any) -> float | None:
    """A finite float."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e308 else None
