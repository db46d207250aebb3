"""Reads a results folder into typed rows. The files are described in `bench.store.records`.

What cannot be read (damaged, truncated, foreign) is left out and named in `ResultSet.problems`; it
never stops the reading. A cell whose scores by episode are missing or cut off stays, and is named
too. What an older version did not store reads as missing.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import BenchError, unknown_name
from bench.results.rows import CellRow, text, whole
from bench.results.stored_rows import NOTHING_KNOWN, Trained, row_of, stored_measure
from bench.store import layout
from bench.store.checked import Json, Problem, UnreadableError, missing, read_json
from bench.store.files import scores_at_a_glance
from bench.store.records import CellResult, Failure, Record, TimingResult

REQUIRED = ("suite", "setting", "learner", "family", "seed", "device", "precision", "budget")


@dataclass(frozen=True)
class ResultSet:
    """What a results folder holds."""

    path: Path
    rows: list[CellRow]
    problems: list[Problem]


def read_results(
    path: str | Path = "results", sources: Mapping[str, str] | None = None
) -> ResultSet:
    """One row per cell of a results folder.

    Args:
        path: the results folder.
        sources: source hash of each installed learner by its entry-point name. Without it `code`
            is ``"unknown"``.

    Raises:
        BenchError: there is no such folder, or nothing of ours in it.
    """
    root = Path(path)
    problems: list[Problem] = []
    there = os.path.isdir(root)  # noqa: PTH112 (Path.is_dir raises for some names)
    folders = list(_cell_folders(root / layout.CELLS, problems)) if there else []
    if not folders and not problems:
        what = "is no folder" if os.path.exists(root) else "does not exist"  # noqa: PTH110
        what = "holds no results" if there else what
        raise BenchError(
            f"the results folder {str(root)!r} {what}\n"
            "name another with --results, or make some: bench run --suite glyphs-5way"
        )
    reader = _Reader(root, sources or {}, problems)
    rows = [row for folder in folders if (row := reader.cell(folder))]
    return ResultSet(root, rows, problems)


def select(
    rows: Sequence[CellRow], suites: Sequence[str], learners: Sequence[str]
) -> list[CellRow]:
    """The rows of these suites and learners; no pattern means all.

    Args:
        rows: of `read_results`.
        suites: names, with ``*`` and ``?`` for any characters.
        learners: the same. ``maml`` also selects ``maml[inner_steps=5]``.

    Raises:
        BenchError: for a pattern that nothing stored matches.
    """
    in_suites = _matching("suite", suites, [(row.suite,) for row in rows])
    of_learners = _matching("learner", learners, [(row.learner, row.learner_name) for row in rows])
    return [
        row for row, *is_wanted in zip(rows, in_suites, of_learners, strict=True) if all(is_wanted)
    ]


def _matching(kind: str, patterns: Sequence[str], names: Sequence[tuple[str, ...]]) -> list[bool]:
    """Which of the names any pattern matches, by one of its spellings; all without a pattern."""
    wanted = [not patterns] * len(names)
    for pattern in patterns:
        glob = _glob(pattern)
        matches = [any(map(glob.fullmatch, spellings)) for spellings in names]
        if not any(matches):
            known = {spellings[0] for spellings in names}
            raise unknown_name(kind, pattern, known, "(among the stored results)")
        wanted = [a or b for a, b in zip(wanted, matches, strict=True)]
    return wanted


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
                try:
                    holds_more = entry.is_dir()
                except OSError as error:  # a link that leads to itself
                    problems.append(Problem(entry.path, error.strerror or str(error)))
                    continue
                if holds_more:
                    below.append(Path(entry.path))
                else:
                    problems.append(Problem(entry.path, "is no folder; nothing of ours"))
        level = below
    yield from level


class _Reader:
    """Reads cells; a training that several of them share is read once."""

    def __init__(self, root: Path, sources: Mapping[str, str], problems: list[Problem]) -> None:
        self.root, self.sources, self.problems = root, sources, problems
        self.trainings: dict[str, Trained] = {}

    def cell(self, folder: Path) -> CellRow | None:
        """The row of a cell; None, and a problem noted, where not even its name can be read."""
        names: dict[str, str] = {}
        timing_files: list[os.DirEntry[str]] = []
        try:
            names = {entry.name: entry.path for entry in _entries(folder)}
            if layout.TIMINGS in names:
                timing_files = _entries(folder / layout.TIMINGS)
        except OSError as error:
            self.problems.append(Problem(str(folder), error.strerror or str(error)))
        if not names.keys() & {layout.CELL, layout.RESULT}:
            self._note(folder, f"holds neither {layout.CELL} nor {layout.RESULT}")
            return None
        result = self._read(names.get(layout.RESULT), CellResult)
        failure = self._read(names.get(layout.FAILURE), Failure)
        record = result or self._read(names.get(layout.CELL), CellResult)
        if record is None:
            return None
        if lacking := [key for key in REQUIRED if record.get(key) is None]:
            self._note(folder, f"does not say its {', '.join(lacking)}")
            return None
        if whole(record["seed"]) is None:
            self._note(folder, f"seed: {record['seed']} is out of range")
            return None
        training = record.get("training")
        if training is not None and not layout.is_name(training):
            self._note(folder, f"training: {training!r:.60} names no folder of {layout.TRAININGS}/")
            record["training"] = None
        if record.get("measure") is not None and stored_measure(record) is None:
            self._note(folder, "measure: is not one that bench knows how to write")
        if result:
            self._look_at_scores(folder / layout.EPISODES)
        timings, timing_failures = [], {}
        for entry in timing_files:
            suffix = entry.name.partition(".")[2]
            if suffix == "json" and (timing := self._read(entry.path, TimingResult)):
                timings.append(timing)
            elif suffix == layout.FAILURE and (why := self._read(entry.path, Failure)):
                timing_failures[layout.timed_device(entry.name)] = why
        made_by = self._trained(record.get("training"))
        return row_of(
            record,
            str(folder),
            "done" if result else "failed" if failure else "unfinished",
            self._code(record, made_by),
            failure,
            timings,
            timing_failures,
            made_by,
        )

    def _look_at_scores(self, path: Path) -> None:
        """The row stays: its result says what they came to. Nothing can be paired with it."""
        if why := scores_at_a_glance(str(path)):
            again = "its result is shown, its scores are not; `bench run` computes them again"
            self.problems.append(Problem(str(path), f"{why}; {again}"))

    def _note(self, folder: Path, reason: str) -> None:
        self.problems.append(Problem(str(folder), reason))

    def _read(self, path: str | None, model: type[Record]) -> Json | None:
        if path is None:
            return None
        try:
            record = read_json(path, model)
            given = record.get("id")
            if given is not None and not Path(path).parent.name.endswith(f"-{given}"):
                raise UnreadableError(f"belongs elsewhere: its id is {given!r:.60}")
            return record
        except UnreadableError as error:
            self.problems.append(Problem(path, str(error)))
            return None

    def _code(self, record: Json, trained: Trained) -> Literal["current", "other", "unknown"]:
        """Weights of other code are other code's, whatever tests them."""
        stored = record.get("source")
        installed = self.sources.get(record.get("learner_name") or record["learner"])
        if not stored or not installed:
            return "unknown"
        return "current" if {stored, trained.source or stored} == {installed} else "other"

    def _trained(self, training: str | None) -> Trained:
        if training is None:
            return NOTHING_KNOWN
        if training not in self.trainings:
            self.trainings[training] = trained(self.root, training)
        return self.trainings[training]


def trained(root: Path, training: str) -> Trained:
    """What a finished training says of itself; nothing where it is not there, or damaged (who shows
    its learning curve says so)."""
    path = layout.training_folder(root, training) / layout.RESULT
    if missing(path):
        return NOTHING_KNOWN
    try:
        record = read_json(path)
        machine = record.get("environment") or {}
        threads = whole(record.get("threads") or machine.get("threads"))
        return Trained(threads, text(machine.get("device_name")), text(record.get("source")))
    except (UnreadableError, AttributeError):
        return NOTHING_KNOWN
