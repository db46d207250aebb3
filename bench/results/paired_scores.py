"""What the learners of a board answered, and which of them answered the same episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.results.boards import Entry
from bench.results.measures import Metric
from bench.results.rows import CellRow
from bench.store import layout
from bench.store.checked import Problem
from bench.store.files import metric_scores

FloatArray = NDArray[np.float64]


DRAWN_AS = ("ways", "shots", "queries", "length", "items")
"""Fields of the task that do; an older version stored no ``items``."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The scores of an entry, all of its cells."""

    entry: Entry
    scores: FloatArray = field(repr=False)
    """(seeds, episodes) in bank order."""

    @cached_property
    def average(self) -> FloatArray:
        """(episodes,) over the seeds."""
        return self.scores.mean(0)

    @property
    def seeds(self) -> int:
        """How many."""
        return self.scores.shape[0]

    @property
    def episodes(self) -> int:
        """How many."""
        return self.scores.shape[1]


def read_answers(
    entry: Entry, metric: Metric, problems: list[Problem] | None = None
) -> Answers | str:
    """The scores of all cells of an entry; where one is missing or damaged, the reason in words.

    Args:
        problems: damaged files are added to it, each once.
    """
    if not entry.complete:
        counted = Counter(row.status for row in entry.cells if row.status != "done")
        if len(entry.cells) == 1:
            return entry.status
        missing = ", ".join(f"{n} {status}" for status, n in sorted(counted.items()))
        return f"of {len(entry.cells)} cells {missing}"
    scores, damaged = [], []
    for row in entry.cells:
        try:
            scores.append(cell_scores(row, metric))
        except BenchError as error:
            damaged.append(str(error).partition("\n")[0])
            path = _file(row)
            problem = Problem(path, damaged[-1].removeprefix(path).removeprefix(":").strip())
            if problems is not None and problem not in problems:
                problems.append(problem)
    if damaged:
        return damaged[0]
    if len({values.size for values in scores}) != 1:
        return "its seeds answered different numbers of episodes"
    return Answers(entry, np.stack(scores))


def _file(row: CellRow) -> str:
    return f"{row.path}/{layout.EPISODES}"


def cell_scores(row: CellRow, metric: Metric) -> FloatArray:
    """(episodes,) of a finished cell.

    Raises:
        BenchError: its file is missing, damaged or of another run.
    """
    bank, values = metric_scores(row.path, metric.key)
    file = _file(row)
    if values.size == 0 or not np.isfinite(values).all():
        raise BenchError(f"{file} lacks scores")
    # An older version of result.json names neither.
    if row.bank not in (bank, None) or row.episodes not in (values.size, None):
        raise BenchError(f"{file} is of another run than {layout.RESULT} beside it")
    return values


def bank_of(entry: Entry) -> str:
    """Hash of the episodes it answered."""
    return str(entry.cells[0].bank)


def nested(a: Entry, b: Entry) -> bool:
    """One answered the episodes that the other did, or the first part of them.

    The hash of a first part does not follow from that of the whole bank. So where one is longer,
    what both were drawn from decides.
    """
    if bank_of(a) == bank_of(b):
        return True
    first, second = a.cells[0], b.cells[0]
    return (
        first.episodes != second.episodes
        and _drawn_from(first) == _drawn_from(second)
        and all(first.task.get(key, 0) == second.task.get(key, 0) for key in DRAWN_AS)
    )


def _drawn_from(row: CellRow) -> tuple[object, ...]:
    """What decides a bank, within one setting of a suite, besides the task."""
    return *row.asked_of, row.test_rotations, row.bank_episodes


def common_banks(entries: Sequence[Entry]) -> set[str]:
    """The banks that are nested in each other: that of most entries, and what goes with it."""
    kept: dict[str, Entry] = {}
    member = {bank_of(entry): entry for entry in entries}
    for bank, _ in Counter(map(bank_of, entries)).most_common():  # of equals the first
        if all(nested(member[bank], other) for other in kept.values()):
            kept[bank] = member[bank]
    return set(kept)
