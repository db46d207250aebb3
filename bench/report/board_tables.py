"""Tables of the report: a board as headed columns of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from bench.report import audits, folds
from bench.report.marks import legend, marks_of
from bench.report.published import Held, Point, hold_against_papers
from bench.results.boards import Board, Entry
from bench.results.formats import (
    MISSING,
    PRESENTATIONS,
    count,
    duration,
    number,
    ordinal,
    part,
    percent,
)
from bench.results.labels import devices, notes_of
from bench.results.measures import PHASES
from bench.results.pairs import ENOUGH_SEEDS
from bench.results.rows import CellRow, Place
from bench.results.training_times import (
    TrainedAt,
    places_of_training,
    training_places,
    training_seconds,
)
from bench.results.written import listed, score, seeds, sharing

LEARNER, TRAINING = "learner", "meta-training"
"""Headings above those of neighbouring columns."""

OF_PAPER = "of paper"
"""Heads the share of the paper's schedule."""

HELD_AT = [ordinal(k) for k in PRESENTATIONS]
"""Presentations that are held against the papers'."""


Value = float | int | str | None


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what stands in it."""

    title: str
    value: Callable[[Entry], Value]
    """What a reader sorts by, and what files hold: fractions, seconds, bytes, names."""
    text: Callable[[Entry], str]
    group: str = ""
    """A heading above the headings of neighbouring columns."""
    figures: bool = True
    """Aligned as numbers."""
    device: str = ""
    """That it is about: a reader of the page may choose one."""


class Group(NamedTuple):
    """A heading above the headings of neighbouring columns."""

    name: str
    span: int
    """Columns."""
    device: str
    """That they are about."""


@dataclass(frozen=True)
class Line:
    """A learner's row."""

    entry: Entry
    marks: str
    cells: list[str]
    values: list[Value]
    best: bool

    @property
    def label(self) -> str:
        """The learner, as it is called on its board."""
        return self.entry.label

    @property
    def devices(self) -> list[str]:
        """Where it was tested or timed."""
        return devices(self.entry.cells)

    @property
    def finished(self) -> bool:
        """It has figures."""
        return bool(self.entry.done)

    def seconds(self, place: Place | None) -> float | None:
        """To the first answer."""
        return self.entry.time(place, "first_answer") if place else None


@dataclass(frozen=True)
class Table:
    """What the page draws, and what the files hold."""

    kind: str
    """``accuracy``, ``published``, ``cost`` or ``audits``: the end of a file's name."""
    board: Board
    caption: str
    columns: list[Column]
    families: dict[str, list[Line]]
    notes: list[str]
    fold: str = ""
    """The heading of the fold that it lies in on a page; nothing: it is shown."""

    @property
    def groups(self) -> list[Group]:
        """Headings above the headings; none where no column has one."""
        spans: list[Group] = []
        for column in self.columns:
            if spans and spans[-1].name == column.group:
                spans[-1] = spans[-1]._replace(span=spans[-1].span + 1)
            else:
                spans.append(Group(column.group, 1, column.device))
        return spans if any(group.name for group in spans) else []


def tables(board: Board) -> list[Table]:
    """All tables of a board."""
    kinds = {
        accuracy_table: "",
        published_table: "",
        cost_table: folds.COST,
        audit_table: folds.AUDITS,
    }
    made = ((make(board), fold) for make, fold in kinds.items())
    return [replace(table, fold=fold) for table, fold in made if table is not None]


def accuracy_table(board: Board) -> Table:
    """The score, calibration, and what the training took."""
    kind, metric = board.kind, board.metric
    [usual] = places_of_training([board])
    columns = [
        Column(metric.heading, lambda entry: entry.score(metric), partial(score, board)),
        *_told(board, [_column(also.heading, also.value, also.write) for also in kind.also]),
    ]
    if kind.series:
        columns += [
            _column(kind.series.name(k), partial(_at, k), percent, kind.series.heading)
            for k in kind.series.shown
        ]
    if board.seeds > 1 or not board.complete:
        columns += [Column("seeds", lambda entry: len(entry.done), seeds)]
    if board.seeds > 1:
        columns += [_column("seed SD", lambda entry: entry.seed_deviation(metric), metric.write)]
    calibration = [
        _column("NLL", _mean(lambda row: row.score("nll").mean), number),
        _column("ECE", _mean(lambda row: row.score("ece").mean), number),
    ]
    calibration = _told(board, calibration)
    columns += [
        *calibration,
        _column(kind.episodes, _mean(lambda row: row.episodes), count),
    ]
    if kind.classes:
        columns += [_words("encoder", lambda entry: entry.common(lambda row: row.encoder), LEARNER)]
    columns += [_column("parameters", _mean(lambda row: row.parameters), count, LEARNER)]
    if kind.classes:
        columns += [_column("ways", _trained(lambda row: row.training_ways), count, TRAINING)]
    published = [_column(OF_PAPER, _trained(lambda row: row.published_share), part, TRAINING)]
    # Of a memory probe a learner may answer with what its paper trained for on images.
    published = _told(board, published) if kind.classes else []
    columns += [
        _column("updates", _trained(lambda row: row.updates), count, TRAINING),
        *published,
        _column(kind.examples, _trained(lambda row: row.examples), count, TRAINING),
        _column("time", lambda entry: training_seconds(entry, usual), duration, TRAINING),
    ]
    notes = [f"± is the half-width of the 95 % interval over {kind.episodes} (Student-t)"]
    if board.seeds > 1:
        notes += [f"seed SD: standard deviation between trainings, in {metric.deviation_units}"]
    if calibration:
        notes += [f"NLL in nats per {kind.answer}", "ECE: expected calibration error, 15 bins"]
    if published:
        notes += [f"{OF_PAPER}: by the updates of the paper's own schedule, – where none is stated"]
        notes += ["it is no share of the paper's data: an update may have more episodes there"]
    notes += _notes_of_places(board, usual)
    if board.best is not None:
        notes += [f"bold: {metric.best}"]
    notes += notes_of(board)
    caption = f"{metric.title} and meta-training"
    return _table("accuracy", board, caption, columns, notes, best=True)


def _notes_of_places(board: Board, usual: TrainedAt | None) -> list[str]:
    """Whose seconds of meta-training are of which seeds, where not all are of one place."""
    places = {entry: training_places(entry) for entry in board.scored}
    notes = []
    if any(len(own) > 1 for own in places.values()):
        notes += ["time: of the seeds that were trained in one place, where most learners were"]
    elsewhere = [entry.label for entry, own in places.items() if own and usual not in own]
    if elsewhere:
        notes += [
            f"time of {listed(elsewhere)}: of another place, and no measure beside the others"
        ]
    return notes


def _told(board: Board, columns: list[Column]) -> list[Column]:
    """Those in which something stands: numbers, for instance, have no calibration."""
    entries = [entry for family in board.families.values() for entry in family if entry.done]
    return [c for c in columns if any(c.text(entry) != MISSING for entry in entries)]


def published_table(board: Board) -> Table | None:
    """Scores beside those that the papers print; None where no learner has any."""
    held = {one.entry: one for one in hold_against_papers(board)}
    if not held:
        return None
    keys = [key for key in HELD_AT if any(one.point(key) for one in held.values())]
    columns = [
        column
        for key in (keys if board.kind.series else [""])
        for column in _beside_papers(held, key)
    ]
    columns += [
        _words("verdict", lambda entry: _verdict(held[entry])),
        _words("the paper's test protocol", lambda entry: _protocol(held[entry])),
        _words("source", lambda entry: held[entry].published.source),
    ]
    notes = [
        "accuracy in percent; difference in points, here less paper",
        "a verdict is given where the protocols of the test are known to be the same, and from "
        f"{ENOUGH_SEEDS} seeds on: whether the difference lies inside its 95 % interval over "
        "trainings and episodes (the paper's figure counts as one training, with the interval over "
        "episodes that it prints, else with one as wide as ours)",
    ]
    entries = {
        family: [entry for entry in members if entry in held]
        for family, members in board.families.items()
    }
    shown = replace(board, families={family: own for family, own in entries.items() if own})
    return _table("published", shown, "Against published figures", columns, notes)


def _beside_papers(held: Mapping[Entry, Held], key: str) -> list[Column]:
    """The columns of one key; no key: the board's only one."""

    def at(figure: Callable[[Point], float]) -> Callable[[Entry], float | None]:
        def value(entry: Entry) -> float | None:
            point = held[entry].point(key) if key else held[entry].points[0]
            return figure(point) if point else None

        return value

    return [
        _column("here", at(lambda point: point.measured), percent, key),
        _column("paper", at(lambda point: point.published), percent, key),
        _column("difference", at(lambda point: point.difference), _signed, key),
    ]


def cost_table(board: Board) -> Table | None:
    """Time and memory of each phase on each device; None where nothing was timed."""
    columns = [column for place in board.places for column in _costs(board, place)]
    notes = list(board.kind.cost_notes)
    if any(map(board.measured_memory, board.places)):
        notes.append(
            "memory: highest while the phases were measured, of the process on a CPU, else "
            "allocated on the device"
        )
    return _table("cost", board, "Cost of each phase", columns, notes) if columns else None


def _costs(board: Board, place: Place) -> list[Column]:
    """The columns of a device."""
    phases = {phase: PHASES[phase] for phase in board.phases}
    columns = [
        _column(title, partial(_time, place, phase), duration, place.label)
        for phase, title in (phases | {"train_update": "training update"}).items()
    ]
    columns += [
        _column(f"{board.kind.episodes}/s", lambda e: e.throughput(place), _rate, place.label)
    ]
    if board.measured_memory(place):
        columns += [
            _column("memory", lambda entry: entry.peak_memory(place), _mebibytes, place.label)
        ]
    return [replace(column, device=place.device) for column in columns]


def audit_table(board: Board) -> Table | None:
    """What the audits found in the trained weights; None where no training was audited."""
    names = audits.audit_names(board)
    columns = [
        Column(
            audits.title(name),
            partial(audits.outcome, name=name),
            partial(audits.outcome_text, name=name),
            figures=False,
        )
        for name in names
    ]
    notes = audits.notes(board, names)
    return (
        _table("audits", board, "Audits of the trained weights", columns, notes) if names else None
    )


def _table(
    kind: str,
    board: Board,
    caption: str,
    columns: list[Column],
    notes: list[str],
    best: bool = False,
) -> Table:
    bests = sharing(board, board.best) if best and board.best else []
    families = {
        family: [
            Line(
                entry,
                marks_of(entry),
                [column.text(entry) for column in columns],
                [column.value(entry) for column in columns],
                entry in bests,
            )
            for entry in entries
        ]
        for family, entries in board.families.items()
    }
    marks = legend(line.marks for lines in families.values() for line in lines)
    return Table(kind, board, caption, columns, families, notes + marks)


def _column(
    title: str,
    value: Callable[[Entry], float | None],
    write: Callable[[float | None], str],
    group: str = "",
) -> Column:
    return Column(title, value, lambda entry: write(value(entry)), group)


def _words(title: str, value: Callable[[Entry], str | None], group: str = "") -> Column:
    return Column(title, value, lambda entry: value(entry) or MISSING, group, figures=False)


def _mean(value: Callable[[CellRow], float | None]) -> Callable[[Entry], float | None]:
    return lambda entry: entry.mean(value)


def _trained(value: Callable[[CellRow], float | None]) -> Callable[[Entry], float | None]:
    """What a training took; nothing where there was none."""
    return lambda entry: entry.mean(value) if entry.mean(lambda row: row.updates) else None


def _at(k: int, entry: Entry) -> float | None:
    """The score at the k-th presentation."""
    curve = entry.curve()
    return curve[k - 1] if k <= len(curve) else None


def _time(place: Place, phase: str, entry: Entry) -> float | None:
    return entry.time(place, phase)


def _rate(rate: float | None) -> str:
    return MISSING if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _mebibytes(size: float | None) -> str:
    return MISSING if size is None else f"{size / 2**20:,.0f} MiB"


def _signed(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{100 * fraction:+.2f}".replace("-", "\N{MINUS SIGN}")


def _verdict(held: Held) -> str | None:
    if held.differences:
        return None
    verdicts = [point.verdict for point in held.points]
    return (
        verdicts[0]
        if len(set(verdicts)) == 1
        else ", ".join(f"{point.key} {point.verdict}" for point in held.points)
    )


def _protocol(held: Held) -> str:
    """The differences in the test's protocol; where there are none, those in the training."""
    return "; ".join(held.differences or ["the same", *held.training])
