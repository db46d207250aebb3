"""Two result sets, or two learners of one, matched cell by cell and compared: `bench compare`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

from bench.errors import BenchError, unknown_name
from bench.results.boards import Entry, Setting, boards, by_device
from bench.results.formats import natural
from bench.results.measures import Metric
from bench.results.paired_scores import cell_scores
from bench.results.pairs import Comparison, compare_pairs
from bench.results.rows import CellRow
from bench.results.written import suite_names
from bench.store.options import without_paths

ONLY_IN_A, ONLY_IN_B = "only in A", "only in B"


Loss = Literal["failed", "unfinished", "missing", "damaged"]


Verdict = Literal["worse", "better", "not told apart"]


MADE_WITH: dict[str, Callable[[CellRow], Any]] = {
    "device": lambda row: row.device_kind,
    "device name": lambda row: row.model_trained_on,
    "training threads": lambda row: row.training_threads,
    "precision": lambda row: row.precision,
    "episodes": lambda row: row.episodes,
    "training ways": lambda row: row.training_ways,
    "torch": lambda row: row.machine and row.machine.torch,
}
"""What may differ between two sides that are compared, and changes their results or their times."""

NOT_THERE = "no such option"
"""What an option was before it was there, or after it was gone."""

ALIKE = ((0, 1, 2, 3), (0, 1, 2), (0, 1), (0, 2), (0,), ())
"""What of `_variant` two entries have to share to be a pair, the most alike first."""


@dataclass(frozen=True)
class Row:
    """A learner in A beside the one it is compared with in B, on one setting at one budget."""

    board: Setting
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
        rows = [row for entry in (self.a, self.b) if entry for row in entry.cells]
        return next((row for row in rows if row.measure), rows[0]).kind.metric

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
    def changes(self) -> dict[str, tuple[str, str]]:
        """What A and B do not share of how they were made, by what it is called: ``1 or 2`` where
        the seeds of a side differ. What is not stored is no change. Of one learner its code (the
        beginning of the hash) and its options are told too; the name of the learner tells only
        those that differ from the defaults, which were others in an older version."""
        if self.a is None or self.b is None:
            return {}
        made, sides = dict(MADE_WITH), (self.a, self.b)
        if len({row.learner_name for side in sides for row in side.cells}) == 1:
            made["code"] = lambda row: row.source and row.source[:12]
            options = {key: None for side in sides for row in side.cells for key in row.config}
            made |= {f"option {key}": partial(_option, key) for key in options}
        found = {}
        for name, value in made.items():
            a, b = (
                {str(value(row)) for row in side.cells if value(row) is not None} for side in sides
            )
            if a and b and a != b:
                found[name] = _either(a), _either(b)
        return found


def _option(key: str, row: CellRow) -> str | None:
    """What an option was; None where no options are stored."""
    if not row.config:
        return None
    value = without_paths(row.config.get(key, NOT_THERE))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _either(values: Iterable[str]) -> str:
    return " or ".join(sorted(values, key=natural))


def compare_results(a: Iterable[CellRow], b: Iterable[CellRow]) -> list[Row]:
    """The same learners in two result sets.

    Cells match by suite, its version, setting, budget and learner with its options. Where a side
    has several of those, the options that are defaults, precision, device and bank decide. Seeds
    of several devices are one entry, as on a board; what A holds for each device apart is asked of
    B in the same way.

    Args:
        a, b: of `bench.results.reading.read_results`.

    Raises:
        BenchError: they have nothing in common.
    """
    cells = [_by_training(rows) for rows in (a, b)]
    apart = {key for key, own in cells[0].items() if len(by_device(own)) > 1}
    sides = [_by_learner(own, apart) for own in cells]
    matched = [
        Row(learner[0], one, other, reason)
        for learner in sorted(set(sides[0]) | set(sides[1]), key=_order)
        for one, other, reason in _match(*(side.get(learner, []) for side in sides))
    ]
    if not any((row.a and row.b) or row.outcome for row in matched):
        held = _held(*({of for of, _ in side} for side in sides))
        raise BenchError(
            "A and B have no suite, version, setting, budget and learner in common\n"
            f"A holds {held[0] or 'nothing'}\nB holds {held[1] or 'nothing'}"
        )
    return [replace(row, lost=_lost(row)) for row in _compared(matched)]


def compare_learners(rows: Sequence[CellRow], a: str, b: str) -> list[Row]:
    """Two learners of one result set, on every setting and budget that has either.

    Args:
        rows: of `bench.results.reading.read_results`.
        a, b: learners with their options, as the column ``learner`` names them.

    Raises:
        BenchError: one is not there, both are the same, or they have no setting in common.
    """
    known = {row.learner for row in rows}
    for name in (a, b):
        if name not in known:
            raise unknown_name("learner", name, known, "(among the stored results)")
    if a == b:
        raise BenchError(f"A and B are both {a!r}\nname two learners, or two results folders")
    matched = [
        Row(board.key, one, other, reason)
        for board in boards(row for row in rows if row.learner in (a, b))
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


def _order(learner: tuple[Setting, str]) -> Any:
    (suite, version, setting, budget), name = learner
    return natural(suite), version or 0, natural(setting), natural(budget), natural(name)


def _held(a: Collection[Setting], b: Collection[Setting]) -> list[str]:
    """The settings of both sides in words."""
    names = suite_names([*a, *b])

    def words(of: Setting) -> str:
        return f"{names[of.suite, of.suite_version]}/{of.setting}/{of.budget}"

    return [", ".join(sorted(map(words, side))) for side in (a, b)]


Training = tuple[Setting, str, str, str, str | None]
"""A learner on a board, its options, precision and bank: cells that seed and device tell apart."""


def _by_training(rows: Iterable[CellRow]) -> dict[Training, list[CellRow]]:
    """The cells of each learner on each board that the seed and the device tell apart.

    Not by the learner's name alone, but also by the options that it does not tell, which are the
    defaults of some version: seeds of several make no entry.
    """
    found: dict[Training, list[CellRow]] = defaultdict(list)
    for row in rows:
        board = Setting(row.suite, row.suite_version, row.setting, row.budget)
        found[board, row.learner, _options(row), row.precision, row.bank].append(row)
    return found


def _by_learner(
    cells: Mapping[Training, Sequence[CellRow]], apart: Collection[Training]
) -> dict[tuple[Setting, str], list[Entry]]:
    """The entries of each learner on each board; one for each device of those of `apart`."""
    found: dict[tuple[Setting, str], list[Entry]] = defaultdict(list)
    for key, own in cells.items():
        board, learner, *_ = key
        for group in by_device(own, key in apart):
            members = tuple(sorted(group, key=lambda row: row.seed))
            found[board, learner].append(Entry(learner, members[0].family, learner, members))
    return found


def _variant(entry: Entry) -> tuple[str | None, ...]:
    """In which a learner's entries may differ, what matters most first."""
    first, kinds = entry.cells[0], {row.device_kind for row in entry.cells}
    return first.precision, " and ".join(sorted(kinds)), first.bank, _devices(entry)


def _devices(entry: Entry) -> str:
    return " and ".join(sorted({row.device for row in entry.cells}))


def _options(row: CellRow) -> str:
    """How it was trained, which matters more than all of `_variant`."""
    trained_as = without_paths(row.config), row.training_ways, row.training_items
    return json.dumps(trained_as, sort_keys=True, default=str)


def _match(
    a: Sequence[Entry], b: Sequence[Entry]
) -> Iterator[tuple[Entry | None, Entry | None, str]]:
    """Pairs what is alike, then what is least unlike; what is left stands alone, with the reason
    where both sides have some left."""
    left = [list(a), list(b)]
    # The same options, and all of `_variant`, then less and less of it; then other options too.
    for options, shared in product((True, False), ALIKE):
        alike: dict[Any, tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
        for side, entries in enumerate(left):
            for entry in entries:
                variant = _variant(entry)
                key = options and _options(entry.cells[0]), *(variant[k] for k in shared)
                alike[key][side].append(entry)
        for ones, others in alike.values():
            if meant := _meant(ones, others):
                yield *meant, ""
                left = [[e for e in side if all(e is not one for one in meant)] for side in left]
    reason = _ambiguous(left[0], left[1]) if left[0] and left[1] else ""
    yield from ((entry, None, reason) for entry in left[0])
    yield from ((None, entry, reason) for entry in left[1])


def _meant(a: Sequence[Entry], b: Sequence[Entry]) -> tuple[Entry, Entry] | None:
    """Which two of those that are alike belong together; None where it is not clear.

    The only two do. Where seeds of several devices are one entry on one side, and each device is
    an entry on the other, the device does that has most of its cells.
    """
    pairs = list(product(a, b))
    if len(pairs) == 1:
        return pairs[0]
    one, several = sorted((a, b), key=len)
    if len(one) != 1 or len({row.device_kind for row in one[0].cells}) == 1:
        return None
    firsts = [entry.cells[0] for entry in several]
    trained = {(_options(row), row.precision, row.bank) for row in firsts}
    if len(trained) > 1 or len({_devices(entry) for entry in several}) < len(several):
        return None  # more than the device tells them apart
    cells = [[{(row.seed, row.device_kind) for row in e.cells} for e in pair] for pair in pairs]
    shared = [len(first & second) for first, second in cells]
    most = max(shared)
    return pairs[shared.index(most)] if most and shared.count(most) == 1 else None


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
        labels = [
            f"{_devices(entry)} {entry.cells[0].precision}, {Path(entry.cells[0].path).name}"
            for entry in entries
        ]
    return "; ".join(labels)


def _compared(matched: list[Row]) -> list[Row]:
    """Fills in the outcomes. Holm runs over all of them, so that with nothing changed the exit code
    of a whole command is a false alarm in at most 5 %."""
    pairs = {
        place: (row.a, row.b, row.metric)
        for place, row in enumerate(matched)
        if row.a and row.b and not _twice(row)
    }
    outcomes = dict(zip(pairs, compare_pairs(list(pairs.values())), strict=True))
    return [
        replace(row, outcome=outcomes.get(place) or row.outcome or _alone(row))
        for place, row in enumerate(matched)
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
    for seed in sorted({cell.seed for cell in (row.a.done if row.a else [])}):
        cells = [cell for cell in (row.b.cells if row.b else []) if cell.seed == seed]
        done = [cell for cell in cells if cell.status == "done"]
        if not cells:
            lost[seed] = "missing"
        elif not done:
            lost[seed] = "failed" if any(c.status == "failed" for c in cells) else "unfinished"
        elif isinstance(row.outcome, str) and not any(_readable(cell, row.metric) for cell in done):
            lost[seed] = "damaged"
    return lost


def _readable(cell: CellRow, metric: Metric) -> bool:
    try:
        cell_scores(cell, metric)
    except BenchError:
        return False
    return True
