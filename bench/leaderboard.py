"""Cells put together into boards: what the terminal's table and the report's tables both show.

A *board* is one setting of a suite at one budget. Learners stand grouped by family, seeds are
aggregated, and what is missing is counted, never averaged away.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from bench.results import Json, rows

FAMILIES = ("model-based", "metric-based", "optimization-based")
"""The families that come first, in this order; others follow by name."""

UNTRAINED = "none"
"""The budget of a learner that has nothing to train; it stands on the boards of every budget."""


@dataclass(frozen=True)
class Metric:
    """What a board ranks its learners by."""

    column: str
    """Of `bench.results.load_results`; its half-width stands in ``<column>_ci95``."""
    sign: int
    """1 where more is better, -1 where less is."""


ACCURACY = Metric("accuracy", 1)
WRONG_BITS = Metric("bit_errors", -1)


@dataclass(frozen=True)
class Entry:
    """A learner on a board: its cells, one per seed."""

    learner: str
    family: str
    label: str
    """The learner, with device and precision where the board has several."""
    cells: list[Json] = field(repr=False)
    """Rows of `bench.results.load_results`, missing values None."""

    @property
    def done(self) -> list[Json]:
        """The finished cells."""
        return [cell for cell in self.cells if cell["status"] == "done"]

    @property
    def complete(self) -> bool:
        """No cell is missing."""
        return len(self.done) == len(self.cells)

    @property
    def status(self) -> str:
        """What stands in place of figures where no cell is finished."""
        return "failed" if any(c["status"] == "failed" for c in self.cells) else "unfinished"

    def mean(self, column: str) -> float | None:
        """Mean of a column over the finished seeds.

        Of a half-width over episodes this is an upper bound for that of the mean over seeds: the
        seeds answer the same episodes (Minkowski's inequality).
        """
        return _mean(cell[column] for cell in self.done)

    def common(self, column: str) -> Any:
        """The value that all finished cells share; None where they differ."""
        values = {cell[column] for cell in self.done}
        return values.pop() if len(values) == 1 else None

    def curve(self, column: str) -> list[float | None]:
        """Mean over the seeds of a list column, presentation by presentation."""
        curves = [cell[column] for cell in self.done if cell[column]]
        return [_mean(values) for values in zip(*curves, strict=False)]

    def time(self, device: str, phase: str) -> float | None:
        """Seconds of a phase on a device: median over the seeds."""
        times = [cell["timings"].get(device, {}).get(phase) for cell in self.done]
        return _median(times)

    def per_device(self, column: str, device: str) -> float | None:
        """Median over the seeds of ``throughput`` or ``peak_memory``."""
        return _median([cell[column].get(device) for cell in self.done])

    def score(self, metric: Metric) -> float | None:
        """Mean of a metric over the finished seeds."""
        return self.mean(metric.column)

    def half_width(self, metric: Metric) -> float | None:
        """Half-width of its 95 % interval over episodes."""
        return self.mean(f"{metric.column}_ci95")

    def seed_deviation(self, metric: Metric) -> float | None:
        """Standard deviation of a metric between seeds; None below two."""
        means = [c[metric.column] for c in self.done if c[metric.column] is not None]
        return statistics.stdev(means) if len(means) > 1 else None

    @property
    def other_code(self) -> bool:
        """Some of it was measured with other code than is installed."""
        return any(cell["code"] == "other" for cell in self.done)

    @property
    def transductive(self) -> bool:
        """Its queries are answered together."""
        return any(cell["transductive"] for cell in self.done)


@dataclass(frozen=True)
class Board:
    """A setting of a suite at one budget."""

    suite: str
    suite_version: int | None
    setting: str
    budget: str
    protocol: str
    ways: int | None
    ceiling: float | None
    """Online: the highest honest accuracy at the first presentation."""
    families: dict[str, list[Entry]]
    """Within a family: complete entries, the best first, then the others by name."""

    @property
    def online(self) -> bool:
        """Examples arrive one at a time."""
        return self.protocol == "online"

    @property
    def probe(self) -> bool:
        """A memory probe: bits are answered, not classes."""
        return self.protocol == "sequence"

    @property
    def metric(self) -> Metric:
        """What ranks the learners."""
        return WRONG_BITS if self.probe else ACCURACY

    @property
    def cells(self) -> list[Json]:
        """All cells."""
        return [cell for entry in self.entries for cell in entry.cells]

    @property
    def entries(self) -> list[Entry]:
        """All learners, family by family."""
        return [entry for members in self.families.values() for entry in members]

    @property
    def complete(self) -> bool:
        """No cell is missing, so that the learners may be ranked."""
        return all(entry.complete for entry in self.entries)

    @property
    def scored(self) -> list[Entry]:
        """The learners that have a score, the best first, ties in the order of `entries`."""
        metric = self.metric
        scored = [entry for entry in self.entries if entry.score(metric) is not None]
        return sorted(scored, key=lambda entry: -metric.sign * (entry.score(metric) or 0.0))

    @property
    def best(self) -> Entry | None:
        """The best of a complete board."""
        scored = self.scored
        return scored[0] if self.complete and len(scored) > 1 else None

    @property
    def devices(self) -> list[str]:
        """Devices that somebody was timed on."""
        return sorted({d for e in self.entries for c in e.done for d in c["timings"]}, key=natural)

    @property
    def seeds(self) -> int:
        """The most seeds of a learner."""
        return max(len(entry.cells) for entry in self.entries)


def natural(name: str) -> list[Any]:
    """Sort key that puts 5way before 20way."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]


def family_order(families: Iterable[str]) -> list[str]:
    """The known families, then the others by name."""
    found = set(families)
    return [f for f in FAMILIES if f in found] + sorted(found.difference(FAMILIES))


def boards(frame: pd.DataFrame) -> list[Board]:
    """All boards of a results table, suites and settings in natural order."""
    settings: dict[Any, list[Json]] = defaultdict(list)
    for cell in rows(frame):
        settings[cell["suite"], cell["suite_version"] or 0, cell["setting"]].append(cell)
    return [
        board
        for key in sorted(settings, key=lambda k: (natural(k[0]), k[1], natural(k[2])))
        for board in _boards_of(settings[key])
    ]


def _boards_of(cells: list[Json]) -> Iterator[Board]:
    budgets = sorted({cell["budget"] for cell in cells} - {UNTRAINED}, key=natural)
    untrained = [cell for cell in cells if cell["budget"] == UNTRAINED]
    for budget in budgets or [UNTRAINED]:
        trained = [cell for cell in cells if cell["budget"] == budget and budget != UNTRAINED]
        yield _board(budget, trained, _same_bank(untrained, trained))


def _same_bank(untrained: list[Json], trained: list[Json]) -> list[Json]:
    """Of each untrained learner the cells that answered what a trained one did, else the most."""
    banks = {cell["bank"] for cell in trained}
    by_learner: dict[Any, list[Json]] = defaultdict(list)
    for cell in untrained:
        by_learner[cell["learner"], cell["device"], cell["precision"]].append(cell)
    chosen = []
    for cells in by_learner.values():
        most = max(cell["episodes"] or 0 for cell in cells)
        shared = [cell for cell in cells if cell["bank"] in banks]
        chosen += shared or [cell for cell in cells if (cell["episodes"] or 0) == most]
    return chosen


def _board(budget: str, trained: list[Json], untrained: list[Json]) -> Board:
    cells = [*trained, *untrained]
    several = [key for key in ("device", "precision") if len({c[key] for c in cells}) > 1]
    groups: dict[Any, list[Json]] = defaultdict(list)
    times: Counter[Any] = Counter()
    for cell in cells:
        key = tuple(cell[k] for k in ("family", "learner", "device", "precision", "bank"))
        # The same seed twice is two trainings (the learner has changed how it is trained).
        groups[(*key, times[key, cell["seed"]])].append(cell)
        times[key, cell["seed"]] += 1
    families: dict[str, list[Entry]] = defaultdict(list)
    for members in groups.values():
        first = members[0]
        families[first["family"]].append(
            Entry(
                first["learner"],
                first["family"],
                " · ".join([first["learner"], *(first[key] for key in several)]),
                sorted(members, key=lambda cell: int(cell["seed"])),
            )
        )
    first = cells[0]
    board = Board(
        first["suite"],
        first["suite_version"],
        first["setting"],
        budget,
        first["protocol"],
        first["ways"],
        _mean(cell["ceiling"] for cell in cells),
        {},
    )
    for family in family_order(families):
        place = partial(_place, board.metric)
        board.families[family] = sorted(families[family], key=place)
    return board


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
