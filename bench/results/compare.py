"""Two result sets, or two learners of one, matched cell by cell and compared: `bench compare`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bench.errors import BenchError, unknown_name
from bench.results.boards import Entry, boards
from bench.results.formats import natural
from bench.results.measures import ACCURACY, WRONG_BITS, Metric
from bench.results.paired_scores import cell_scores
from bench.results.pairs import Comparison, compare_pairs
from bench.results.table import rows
from bench.store.files import Json

ONLY_IN_A, ONLY_IN_B = "only in A", "only in B"


PLACE = ("suite", "suite_version", "setting", "budget")


Loss = Literal["failed", "unfinished", "missing", "damaged"]


Verdict = Literal["worse", "better", "not told apart"]


@dataclass(frozen=True)
class Row:
    """A learner in A beside the one it is compared with in B, on one setting at one budget."""

    suite: str
    suite_version: int | None
    setting: str
    budget: str
    a: Entry | None
    """None where it is only in B."""
    b: Entry | None
    """None where it is only in A."""
    outcome: Comparison | str
    """B - A; else why they are not compared."""
    lost: dict[int, Loss] = field(default_factory=dict)
    """By seed, what became in B of a cell that is done in A; empty for two learners of a folder."""

    @property
    def metric(self) -> Metric:
        """What they are compared by."""
        entry = self.a or self.b
        assert entry is not None, "a row has a side"
        return _metric(entry)

    @property
    def verdict(self) -> Verdict | None:
        """How B does against A; None where they are not compared."""
        if isinstance(self.outcome, str):
            return None
        if not self.outcome.told_apart:
            return "not told apart"
        return "better" if self.metric.sign * self.outcome.mean > 0 else "worse"

    @property
    def regression(self) -> bool:
        """B is worse, and that holds with the variance between seeds."""
        return (
            isinstance(self.outcome, Comparison)
            and self.outcome.about == "learners"
            and self.verdict == "worse"
        )

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Device, precision and episodes answered, where A and B do not share them."""
        if self.a is None or self.b is None:
            return {}
        sides = self.a.cells[0], self.b.cells[0]
        keys = ("device", "precision", "episodes")
        pairs = {key: (sides[0][key], sides[1][key]) for key in keys}
        return {key: (a, b) for key, (a, b) in pairs.items() if a != b and None not in (a, b)}


def compare_results(a: pd.DataFrame, b: pd.DataFrame) -> list[Row]:
    """The same learners in two result sets.

    Cells match by suite, its version, setting, budget and learner with its options. Where a side
    has several of those, device, precision and bank decide.

    Args:
        a, b: what `bench.results.table.load_results` returned, or some of its rows.

    Raises:
        BenchError: they have nothing in common.
    """
    sides = [_by_place(rows(frame)) for frame in (a, b)]
    matched = [
        Row(**dict(zip(PLACE, where, strict=True)), a=one, b=other, outcome=reason)
        for *where, learner in sorted(set(sides[0]) | set(sides[1]), key=_order)
        for one, other, reason in _match(*(side.get((*where, learner), []) for side in sides))
    ]
    if not any((row.a and row.b) or row.outcome for row in matched):
        held = [", ".join(sorted({"/".join((p[0], p[2], p[3])) for p in side})) for side in sides]
        raise BenchError(
            "A and B have no suite, version, setting, budget and learner in common\n"
            f"A holds {held[0] or 'nothing'}\nB holds {held[1] or 'nothing'}"
        )
    return [replace(row, lost=_lost(row)) for row in _compared(matched)]


def compare_learners(frame: pd.DataFrame, a: str, b: str) -> list[Row]:
    """Two learners of one result set, on every setting and budget that has either.

    Args:
        frame: what `bench.results.table.load_results` returned, or some of its rows.
        a, b: learners with their options, as the column ``learner`` names them.

    Raises:
        BenchError: one is not there, both are the same, or they have no setting in common.
    """
    for name in (a, b):
        if name not in set(frame["learner"]):
            raise unknown_name("learner", name, set(frame["learner"]), "(among the stored results)")
    if a == b:
        raise BenchError(f"A and B are both {a!r}\nname two learners, or two results folders")
    matched = [
        Row(board.suite, board.suite_version, board.setting, board.budget, one, other, reason)
        for board in boards(frame[frame["learner"].isin([a, b])])
        for one, other, reason in _match(
            *([entry for entry in board.entries if entry.learner == name] for name in (a, b))
        )
    ]
    if not any((row.a and row.b) or row.outcome for row in matched):
        raise BenchError(
            f"{a!r} and {b!r} have no setting at the same budget in common\n"
            "bench results --learner NAME lists what each has"
        )
    return _compared(matched)


def _metric(entry: Entry) -> Metric:
    return WRONG_BITS if entry.cells[0]["protocol"] == "sequence" else ACCURACY


def _order(place: tuple[Any, ...]) -> Any:
    suite, version, setting, budget, learner = place
    return natural(suite), version or 0, natural(setting), natural(budget), natural(learner)


def _by_place(cells: Iterable[Json]) -> dict[tuple[Any, ...], list[Entry]]:
    """Entries by suite, version, setting, budget and learner."""
    groups: dict[Any, list[Json]] = defaultdict(list)
    for cell in cells:
        variant = tuple(cell[key] for key in ("device", "precision", "bank"))
        groups[(*(cell[key] for key in (*PLACE, "learner")), variant)].append(cell)
    found: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for (*place, _), group in groups.items():
        members = sorted(group, key=lambda cell: int(cell["seed"]))
        first = members[0]
        entry = Entry(first["learner"], first["family"], first["learner"], members)
        found[tuple(place)].append(entry)
    return found


def _match(
    a: Sequence[Entry], b: Sequence[Entry]
) -> Iterator[tuple[Entry | None, Entry | None, str]]:
    """Pairs what is alike, then what is least unlike; what is left stands alone, with the reason
    where both sides have some left."""
    left = [list(a), list(b)]
    for columns in (("device", "precision", "bank"), ("device", "precision"), ("precision",), ()):
        alike: dict[Any, tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
        for side, entries in enumerate(left):
            for entry in entries:
                alike[tuple(entry.cells[0][key] for key in columns)][side].append(entry)
        for ones, others in alike.values():
            if len(ones) == len(others) == 1:
                yield ones[0], others[0], ""
                left = [
                    [e for e in side if e is not ones[0] and e is not others[0]] for side in left
                ]
    reason = _ambiguous(left[0], left[1]) if left[0] and left[1] else ""
    yield from ((entry, None, reason) for entry in left[0])
    yield from ((None, entry, reason) for entry in left[1])


def _ambiguous(a: Sequence[Entry], b: Sequence[Entry]) -> str:
    """Why entries of both sides are left: one has several, and none of them is the obvious one."""
    several = [
        f"{side} has {len(entries)} trainings here that could be meant ({_apart(entries)})"
        for side, entries in (("A", a), ("B", b))
        if len(entries) > 1
    ]
    return "; ".join(several) + "; keep one of them in a results folder of its own"


def _apart(entries: Sequence[Entry]) -> str:
    """What tells entries of one learner apart."""
    labels = [entry.label for entry in entries]
    if len(set(labels)) < len(labels):
        cells = [entry.cells[0] for entry in entries]
        labels = [f"{c['device']} {c['precision']}, {Path(c['path']).name}" for c in cells]
    return "; ".join(labels)


def _compared(matched: list[Row]) -> list[Row]:
    """Fills in the outcomes. Holm runs over all of them, so that with nothing changed the exit code
    of a whole command is a false alarm in at most 5 %."""
    ready = [row for row in matched if row.a and row.b and not _twice(row)]
    made = iter(compare_pairs([(row.a, row.b, row.metric) for row in ready if row.a and row.b]))
    done = {id(row): next(made) for row in ready}
    return [
        replace(row, outcome=done.get(id(row)) or row.outcome or _alone(row)) for row in matched
    ]


def _twice(row: Row) -> bool:
    """A side has two trainings of one seed: the learner has changed how it is trained."""
    return any(_doubled(side) for side in (row.a, row.b) if side)


def _doubled(side: Entry) -> bool:
    return len(side.seeds) < len(side.cells)


def _alone(row: Row) -> str:
    if row.a is None or row.b is None:
        return ONLY_IN_B if row.a is None else ONLY_IN_A
    names = [name for name, side in (("A", row.a), ("B", row.b)) if side and _doubled(side)]
    return (
        f"{' and '.join(names)} has one seed trained twice; keep one of the two trainings in a "
        "results folder of its own"
    )


def _lost(row: Row) -> dict[int, Loss]:
    """By seed, the cells that are done in A and of no use in B."""
    lost: dict[int, Loss] = {}
    if row.b is None and row.outcome != ONLY_IN_A:
        return lost  # B has it, more than once
    for seed in sorted({int(cell["seed"]) for cell in (row.a.done if row.a else [])}):
        cells = [cell for cell in (row.b.cells if row.b else []) if cell["seed"] == seed]
        done = [cell for cell in cells if cell["status"] == "done"]
        if not cells:
            lost[seed] = "missing"
        elif not done:
            lost[seed] = "failed" if any(c["status"] == "failed" for c in cells) else "unfinished"
        elif isinstance(row.outcome, str) and not any(_readable(cell, row.metric) for cell in done):
            lost[seed] = "damaged"
    return lost


def _readable(cell: Json, metric: Metric) -> bool:
    try:
        cell_scores(cell, metric)
    except BenchError:
        return False
    return True
