"""Cells put together into boards: what the terminal's table and the report's tables both show.

A *board* is one setting of a suite at one budget. Learners stand grouped by family, seeds are
aggregated, and what is missing is counted, never averaged away.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

from bench.results.formats import natural
from bench.results.labels import distinct, label_of, places
from bench.results.measures import PHASES, Kind, Metric
from bench.results.rows import CellRow, Place, Timing
from bench.store.options import without_paths

T = TypeVar("T")

FAMILIES = ("model-based", "metric-based", "optimization-based")
"""The families that come first, in this order; others follow by name."""

UNTRAINED = "none"
"""The budget of a learner that has nothing to train; it stands on the boards of every budget."""


@dataclass(frozen=True)
class Entry:
    """A learner on a board: its cells, one per seed.

    An entry is its own key: two are equal where label and cells are, and it can be looked up by.
    """

    learner: str
    family: str
    label: str
    """The learner, with its device where it has entries from several, with its precision where the
    board has several, and with what tells its trainings apart where it was trained more than once;
    no other entry of the board has it."""
    cells: tuple[CellRow, ...] = field(repr=False)
    _known: dict[str, tuple[float | None, float | None]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def done(self) -> list[CellRow]:
        """The finished cells."""
        return [row for row in self.cells if row.status == "done"]

    @property
    def complete(self) -> bool:
        """No cell is missing."""
        return len(self.done) == len(self.cells)

    @property
    def untrained(self) -> bool:
        """It has nothing to train, so that there is no variance between trainings."""
        return any(row.budget == UNTRAINED for row in self.cells)

    @property
    def seeds(self) -> frozenset[int]:
        """Those of its cells, finished or not."""
        return frozenset(row.seed for row in self.cells)

    @property
    def status(self) -> str:
        """What stands in place of figures where no cell is finished."""
        return "failed" if any(row.status == "failed" for row in self.cells) else "unfinished"

    def mean(self, value: Callable[[CellRow], float | None]) -> float | None:
        """Mean over the finished seeds.

        Of a half-width over episodes this is an upper bound for that of the mean over seeds: the
        seeds answer the same episodes (Minkowski's inequality).
        """
        return _mean(map(value, self.done))

    def common(self, value: Callable[[CellRow], T | None]) -> T | None:
        """What all finished cells share; None where they differ."""
        values = {value(row) for row in self.done}
        return values.pop() if len(values) == 1 else None

    def score(self, metric: Metric) -> float | None:
        """Mean of a metric over the finished seeds."""
        return self._scores(metric.key)[0]

    def half_width(self, metric: Metric) -> float | None:
        """Half-width of its 95 % interval over episodes; None of a single episode, and where all
        are alike: no variance tells how wide it is."""
        return self._scores(metric.key)[1]

    def _scores(self, metric: str) -> tuple[float | None, float | None]:
        """Both, computed once: many tables and figures ask for them."""
        if metric not in self._known:
            found = [row.score(metric) for row in self.done]
            self._known[metric] = (
                _mean(s.mean for s in found),
                _mean(s.ci95 for s in found) or None,
            )
        return self._known[metric]

    def seed_deviation(self, metric: Metric) -> float | None:
        """Standard deviation of a metric between seeds; None below two."""
        scores = (row.score(metric.key).mean for row in self.done)
        means = [mean for mean in scores if mean is not None]
        return statistics.stdev(means) if len(means) > 1 else None

    def curve(self) -> list[float | None]:
        """Mean over the seeds of the score by presentation."""
        curves = [row.by_presentation for row in self.done if row.by_presentation]
        return [_mean(point.mean for point in points) for points in zip(*curves, strict=False)]

    def curve_half_widths(self) -> list[float | None]:
        """Of the 95 % intervals of `curve`."""
        curves = [row.by_presentation for row in self.done if row.by_presentation]
        halves = (_mean(point.ci95 for point in points) for points in zip(*curves, strict=False))
        return [half or None for half in halves]

    def timings(self, place: Place) -> list[Timing]:
        """What was measured there, one for each finished seed that was timed."""
        return [timing for row in self.done if (timing := row.timing(place))]

    def time(self, place: Place, phase: str) -> float | None:
        """Seconds of a phase on a device: median over the seeds."""
        return _median([timing.phases.get(phase) for timing in self.timings(place)])

    def throughput(self, place: Place) -> float | None:
        """Episodes per second on a device: median over the seeds."""
        return _median([timing.throughput for timing in self.timings(place)])

    def peak_memory(self, place: Place) -> float | None:
        """Bytes on a device: median over the seeds; None where it was not measured."""
        return _median([timing.peak_memory for timing in self.timings(place)])

    @property
    def other_code(self) -> bool:
        """Some of it was measured with other code than is installed."""
        return any(row.code == "other" for row in self.done)

    @property
    def transductive(self) -> bool:
        """Its queries are answered together."""
        return any(row.transductive for row in self.done)


class Setting(NamedTuple):
    """What makes a board: a setting of a suite at one budget."""

    suite: str
    suite_version: int | None
    setting: str
    budget: str


@dataclass(frozen=True)
class Board:
    """A setting of a suite at one budget."""

    suite: str
    suite_version: int | None
    setting: str
    budget: str
    kind: Kind
    """How its results are read."""
    ways: int | None
    ceiling: float | None
    """The highest honest accuracy at the first presentation, where there is such a thing."""
    families: dict[str, list[Entry]]
    """Within a family: complete entries, the best first, then the others by name."""

    @property
    def key(self) -> Setting:
        """What tells it from all other boards."""
        return Setting(self.suite, self.suite_version, self.setting, self.budget)

    @property
    def metric(self) -> Metric:
        """What ranks the learners."""
        return self.kind.metric

    @property
    def cells(self) -> list[CellRow]:
        """All cells."""
        return [row for entry in self.entries for row in entry.cells]

    @property
    def entries(self) -> list[Entry]:
        """All learners, family by family."""
        return [entry for members in self.families.values() for entry in members]

    @property
    def complete(self) -> bool:
        """No cell is missing."""
        return all(entry.complete for entry in self.entries)

    @property
    def lacking(self) -> dict[tuple[int, ...], list[Entry]]:
        """Trained learners by the seeds that they lack and others have; empty where none does."""
        trained = [entry for entry in self.entries if not entry.untrained]
        seeds = frozenset[int]().union(*(entry.seeds for entry in trained))
        lacking: dict[tuple[int, ...], list[Entry]] = defaultdict(list)
        for entry in trained:
            if missing := seeds - entry.seeds:
                lacking[tuple(sorted(missing))].append(entry)
        return dict(lacking)

    @property
    def one_bank(self) -> bool:
        """All answered the same episodes, or first parts of the same bank: one bank a length."""
        answered = {(row.bank, row.episodes) for entry in self.entries for row in entry.done}
        return len({episodes for _, episodes in answered}) == len(answered)

    @cached_property
    def scored(self) -> list[Entry]:
        """The learners that have a score, the best first, ties in the order of `entries`."""
        metric = self.metric
        scored = [entry for entry in self.entries if entry.score(metric) is not None]
        return sorted(scored, key=lambda entry: -metric.sign * (entry.score(metric) or 0.0))

    @cached_property
    def best(self) -> Entry | None:
        """The best of a board where no cell is missing, the trained learners share their seeds, and
        all answered one bank or first parts of it; None elsewhere."""
        scored = self.scored
        fair = self.complete and self.one_bank and not self.lacking
        return scored[0] if fair and len(scored) > 1 else None

    @cached_property
    def places(self) -> list[Place]:
        """Devices that somebody was timed on."""
        return places(row for entry in self.entries for row in entry.done)

    def measured_memory(self, place: Place) -> bool:
        """Whether the memory of somebody's timings there is known."""
        return any(entry.peak_memory(place) is not None for entry in self.entries)

    @property
    def phases(self) -> list[str]:
        """Of `bench.results.measures.PHASES` those that its learners are timed in."""
        timed = {
            phase
            for entry in self.entries
            for row in entry.done
            for timing in row.timings.values()
            for phase in timing.phases
        }
        return [phase for phase in PHASES if phase in (self.kind.phases or timed)]

    @property
    def seeds(self) -> int:
        """The most seeds of a learner."""
        return max(len(entry.cells) for entry in self.entries)


def family_order(families: Iterable[str]) -> list[str]:
    """The known families, then the others by name."""
    found = set(families)
    return [f for f in FAMILIES if f in found] + sorted(found.difference(FAMILIES))


def boards(rows: Iterable[CellRow]) -> list[Board]:
    """All boards of stored results, suites and settings in natural order."""
    settings: dict[tuple[str, int, str], list[CellRow]] = defaultdict(list)
    for row in rows:
        settings[row.suite, row.suite_version or 0, row.setting].append(row)
    return [
        board
        for key in sorted(settings, key=lambda k: (natural(k[0]), k[1], natural(k[2])))
        for board in _boards_of(settings[key])
    ]


def _boards_of(cells: list[CellRow]) -> Iterator[Board]:
    budgets = sorted({row.budget for row in cells} - {UNTRAINED}, key=natural)
    untrained = [row for row in cells if row.budget == UNTRAINED]
    for budget in budgets or [UNTRAINED]:
        trained = [row for row in cells if row.budget == budget and budget != UNTRAINED]
        yield _board(budget, trained, _same_bank(untrained, trained))


def _same_bank(untrained: list[CellRow], trained: list[CellRow]) -> list[CellRow]:
    """Of each untrained learner the cells that answered what a trained one did, else the most."""
    banks = {row.bank for row in trained}
    by_learner: dict[Any, list[CellRow]] = defaultdict(list)
    for row in untrained:
        by_learner[row.learner, row.device, row.precision].append(row)
    chosen: list[CellRow] = []
    for cells in by_learner.values():
        most = max(row.episodes or 0 for row in cells)
        shared = [row for row in cells if row.bank in banks]
        chosen += shared or [row for row in cells if (row.episodes or 0) == most]
    return chosen


def _board(budget: str, trained: list[CellRow], untrained: list[CellRow]) -> Board:
    cells = [*trained, *untrained]
    groups: dict[Any, list[CellRow]] = defaultdict(list)
    for row in cells:
        groups[_separates(row)].append(row)
    entries = [
        Entry(members[0].learner, members[0].family, label_of(members, cells), tuple(members))
        for group in groups.values()
        for own in by_device(group)
        for members in _trainings(own)
    ]
    families: dict[str, list[Entry]] = defaultdict(list)
    for entry in distinct(entries):
        families[entry.family].append(entry)
    first = cells[0]
    # What ranks learners need not be stored with all of them: not in what an older version wrote.
    kind = next((row.kind for row in cells if row.measure), first.kind)
    place = partial(_place, kind.metric)
    return Board(
        first.suite,
        first.suite_version,
        first.setting,
        budget,
        kind,
        first.ways,
        _mean(row.ceiling for row in cells),
        {family: sorted(families[family], key=place) for family in family_order(families)},
    )


def _separates(row: CellRow) -> tuple[Any, ...]:
    """What makes another entry: the learner, what it answered, and what of its training a cell
    tells, besides the seed and the device."""
    trained_as = (without_paths(row.config), row.training_ways, row.training_items)
    return (
        *(row.family, row.learner, row.precision, row.bank),
        *(json.dumps(value, sort_keys=True, default=str) for value in trained_as),
    )


def by_device(cells: Sequence[CellRow], apart: bool = False) -> list[list[CellRow]]:
    """Cells that the seed and the device tell apart, by entry; where asked for, devices apart.

    Seeds of several devices are one entry: what a learner reaches is a matter of its seed, and the
    device changes the order of sums. Where a seed is there twice, each device is an entry, so
    that they can be held against each other.
    """
    if not apart and len({row.seed for row in cells}) == len(cells):
        return [[*cells]]
    devices: dict[str, list[CellRow]] = defaultdict(list)
    for row in cells:
        devices[row.device].append(row)
    return list(devices.values())


def _trainings(cells: list[CellRow]) -> list[list[CellRow]]:
    """Cells that nothing but the seed tells apart, by training: one cell a seed, in its order.

    A seed is there twice where something has changed that a cell does not tell (a suite's budget,
    the dataset). Then the learner's code separates them, and after that the time: the first
    trainings of all seeds are one entry, the second ones another. What is not finished has neither
    code nor time and is the latest.
    """
    if len({row.seed for row in cells}) == len(cells):
        return [sorted(cells, key=lambda row: row.seed)]
    finished = sorted(cells, key=lambda row: (row.finished or "~", row.path))
    codes = {row.source: None for row in finished if row.source}
    if len(codes) > 1:
        latest = list(codes)[-1]
        return [
            part
            for code in codes
            if (own := [row for row in finished if (row.source or latest) == code])
            for part in _trainings(own)
        ]
    nth: Counter[int] = Counter()
    parts: dict[int, list[CellRow]] = defaultdict(list)
    for row in finished:
        parts[nth[row.seed]].append(row)
        nth[row.seed] += 1
    return [sorted(part, key=lambda row: row.seed) for part in parts.values()]


def _place(metric: Metric, entry: Entry) -> tuple[bool, float, str]:
    score = entry.score(metric)
    ranked = entry.complete and score is not None
    return not ranked, -metric.sign * (score or 0.0) if ranked else 0.0, entry.label


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None


def _median(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None
