"""Reads a results folder into one tidy table. The files are described in `bench.store.records`.

What cannot be read (damaged, truncated, foreign) is left out and named in `ResultSet.problems`; it
never stops the reading. What an older version did not store reads as missing.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError, unknown_name
from bench.store import layout
from bench.store.files import Json, Problem, UnreadableError, number, read_json
from bench.store.records import CellResult, Failure, Record, TimingResult

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
`bench.store.records.Failure` as stored."""


REQUIRED = ("suite", "setting", "learner", "family", "seed", "device", "precision", "budget")


@dataclass(frozen=True)
class ResultSet:
    """What a results folder holds."""

    path: Path
    frame: pd.DataFrame
    problems: list[Problem]


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
    cells = list(_cell_folders(root / layout.CELLS, problems)) if root.is_dir() else []
    if not cells and not problems:
        what = "is no folder" if root.exists() else "does not exist"
        what = "holds no results" if root.is_dir() else what
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


def _read_cell(folder: Path, sources: Mapping[str, str], problems: list[Problem]) -> Json | None:
    """The row of a cell; None, and a problem noted, where not even its name can be read."""
    names: dict[str, str] = {}
    timing_files: list[os.DirEntry[str]] = []
    try:
        names = {entry.name: entry.path for entry in _entries(folder)}
        if layout.TIMINGS in names:
            timing_files = _entries(folder / layout.TIMINGS)
    except OSError as error:
        problems.append(Problem(str(folder), error.strerror or str(error)))
    if not names.keys() & {layout.CELL, layout.RESULT}:
        problems.append(Problem(str(folder), f"holds neither {layout.CELL} nor {layout.RESULT}"))
        return None

    def read(path: str, model: type[Record]) -> Json | None:
        try:
            return read_json(path, model)
        except UnreadableError as error:
            problems.append(Problem(path, str(error)))
            return None

    result = read(names[layout.RESULT], CellResult) if layout.RESULT in names else None
    failure = read(names[layout.FAILURE], Failure) if layout.FAILURE in names else None
    record = result or (read(names[layout.CELL], CellResult) if layout.CELL in names else None)
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
        elif kind == layout.FAILURE and (why := read(entry.path, Failure)):
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
        "accuracy_by_presentation": curve and [number(point.get("mean")) for point in curve],
        "accuracy_by_presentation_ci95": curve and [number(point.get("ci95")) for point in curve],
        "code": _code(record.get("source"), sources.get(learner_name)),
        "warnings": record.get("warnings") or [],
        "timings": {
            device: {
                phase: number((stored or {}).get("median"))
                for phase, stored in (timing.get("phases") or {}).items()
            }
            for device, timing in measured.items()
        },
        "throughput": {device: number(t.get("throughput")) for device, t in measured.items()},
        "peak_memory": {device: _whole(t.get("peak_memory")) for device, t in measured.items()},
        "environments": [e for r in (record, *timings) if (e := r.get("environment"))],
    }
    conversions = {"Int64": _whole, "float64": number}
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
