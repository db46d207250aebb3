"""Cells put together into boards: what the terminal's table and the report's tables both show.

A *board* is one setting of a suite at one budget. Learners stand grouped by family, seeds are
aggregated, and what is missing is counted, never averaged away.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.formats import natural
from bench.results.measures import ACCURACY, WRONG_BITS, Metric
from bench.results.table import rows
from bench.store.files import Json

FAMILIES = ("model-based", "metric-based", "optimization-based")
"""The families that come first, in this order; others follow by name."""

UNTRAINED = "none"
"""The budget of a learner that has nothing to train; it stands on the boards of every budget."""

SEPARATE = ("family", "learner", "device", "precision", "bank")
"""Columns that make another entry."""

TRAINED_AS = ("config", "training_ways", "training_items")
"""Columns of what decides a training besides those."""

MOST_OPTIONS = 3
"""Options that a label tells."""


@dataclass(frozen=True)
class Entry:
    """A learner on a board: its cells, one per seed."""

    learner: str
    family: str
    label: str
    """The learner, with device and precision where the board has several, and with what tells its
    trainings apart where it was trained more than once; no other entry of the board has it."""
    cells: list[Json] = field(repr=False)
    """Rows of `bench.results.table.load_results`, missing values None."""

    @property
    def done(self) -> list[Json]:
        """The finished cells."""
        return [cell for cell in self.cells if cell["status"] == "done"]

    @property
    def complete(self) -> bool:
        """No cell is missing."""
        return len(self.done) == len(self.cells)

    @property
    def untrained(self) -> bool:
        """It has nothing to train, so that there is no variance between trainings."""
        return any(cell["budget"] == UNTRAINED for cell in self.cells)

    @property
    def seeds(self) -> frozenset[int]:
        """Those of its cells, finished or not."""
        return frozenset(int(cell["seed"]) for cell in self.cells)

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
        answered = {
            (cell["bank"], cell["episodes"]) for entry in self.entries for cell in entry.done
        }
        return len({episodes for _, episodes in answered}) == len(answered)

    @property
    def scored(self) -> list[Entry]:
        """The learners that have a score, the best first, ties in the order of `entries`."""
        metric = self.metric
        scored = [entry for entry in self.entries if entry.score(metric) is not None]
        return sorted(scored, key=lambda entry: -metric.sign * (entry.score(metric) or 0.0))

    @property
    def best(self) -> Entry | None:
        """The best of a board where no cell is missing, the trained learners share their seeds, and
        all answered one bank or first parts of it; None elsewhere."""
        scored = self.scored
        fair = self.complete and self.one_bank and not self.lacking
        return scored[0] if fair and len(scored) > 1 else None

    @property
    def devices(self) -> list[str]:
        """Devices that somebody was timed on."""
        return sorted({d for e in self.entries for c in e.done for d in c["timings"]}, key=natural)

    @property
    def seeds(self) -> int:
        """The most seeds of a learner."""
        return max(len(entry.cells) for entry in self.entries)


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
    for cell in cells:
        decides = (*(cell[key] for key in SEPARATE), *_trained_as(cell))
        groups[decides].append(cell)
    entries = []
    for members in (part for group in groups.values() for part in _trainings(group)):
        first = members[0]
        label = " · ".join([first["learner"], *(first[key] for key in several)])
        entries.append(Entry(first["learner"], first["family"], label, members))
    families: dict[str, list[Entry]] = defaultdict(list)
    for entry in _distinct(entries):
        families[entry.family].append(entry)
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


def _trained_as(cell: Json) -> tuple[str, ...]:
    """What of a training a cell tells, besides its seed."""
    return tuple(json.dumps(cell[key], sort_keys=True, default=str) for key in TRAINED_AS)


def _trainings(cells: list[Json]) -> list[list[Json]]:
    """Cells that nothing but the seed tells apart, by training: one cell a seed, in its order.

    A seed is there twice where something has changed that a cell does not tell (a suite's budget,
    the dataset). Then the learner's code separates them, and after that the time: the first
    trainings of all seeds are one entry, the second ones another. What is not finished has neither
    code nor time and is the latest.
    """
    if len({cell["seed"] for cell in cells}) == len(cells):
        return [sorted(cells, key=lambda cell: int(cell["seed"]))]
    finished = sorted(cells, key=lambda cell: (cell["finished"] or "~", cell["path"] or ""))
    codes = {cell["source"]: None for cell in finished if cell["source"]}
    if len(codes) > 1:
        latest = list(codes)[-1]
        return [
            part
            for code in codes
            if (own := [cell for cell in finished if (cell["source"] or latest) == code])
            for part in _trainings(own)
        ]
    nth: Counter[Any] = Counter()
    parts: dict[int, list[Json]] = defaultdict(list)
    for cell in finished:
        parts[nth[cell["seed"]]].append(cell)
        nth[cell["seed"]] += 1
    return [sorted(part, key=lambda cell: int(cell["seed"])) for part in parts.values()]


def _distinct(entries: list[Entry]) -> list[Entry]:
    """The entries with what tells them apart appended to labels that would repeat."""
    same: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        same[entry.label].append(entry)
    named = {
        id(entry): replace(entry, label=f"{entry.label} · {what}")
        for alike in same.values()
        if len(alike) > 1
        for entry, what in zip(alike, _tell_apart(alike), strict=True)
    }
    return [named.get(id(entry), entry) for entry in entries]


def _tell_apart(entries: list[Entry]) -> list[str]:
    """The first of these that differs between all: episodes, options, code, date, folder."""
    keys = _options(entries)
    for how in (
        lambda entry: entry.common("episodes") and f"{entry.common('episodes'):,} episodes",
        lambda entry: ", ".join(_option(entry, key) for key in keys[:MOST_OPTIONS]),
        lambda entry: entry.common("source") and f"code {entry.common('source')[:6]}",
        lambda entry: _finished(entry)[:10],
        lambda entry: _finished(entry)[:16].replace("T", " "),
    ):
        told = [how(entry) if entry.done else entry.status for entry in entries]
        if all(told) and len(set(told)) == len(told):
            return told
    return [Path(entry.cells[0]["path"]).name for entry in entries]


def _option(entry: Entry, key: str) -> str:
    config = entry.cells[0]["config"]
    return f"{key}={config[key]}" if key in config else f"no {key}"


def _options(entries: list[Entry]) -> list[str]:
    """Options whose values differ between entries of one learner."""
    configs = [entry.cells[0]["config"] for entry in entries]
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]


def _finished(entry: Entry) -> str:
    """When its last cell was; nothing where none is."""
    return max((str(cell["finished"]) for cell in entry.done if cell["finished"]), default="")


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
