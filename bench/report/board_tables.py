"""Tables of the report: a board as headed columns of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.report import audits
from bench.report.published import Held, Point, hold_against_papers
from bench.results.boards import Board, Entry
from bench.results.formats import (
    MISSING,
    PRESENTATIONS,
    count,
    duration,
    number,
    ordinal,
    percent,
    wrong_bits,
)
from bench.results.written import score, seeds

HELD_AT = [ordinal(k) for k in PRESENTATIONS]
"""Presentations that are held against the papers'."""


OTHER_CODE, TRANSDUCTIVE, FAILED_AUDIT = "†", "‡", "§"


MARKS = {
    OTHER_CODE: "measured with other code of this learner than is installed now",
    TRANSDUCTIVE: "transductive: the answer to a query depends on the other queries",
    FAILED_AUDIT: "failed an audit of its trained weights: what was found stands below",
}


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
        cells = self.entry.cells
        return sorted({c["device"] for c in cells} | {d for c in cells for d in c["timings"]})

    @property
    def finished(self) -> bool:
        """It has figures."""
        return bool(self.entry.done)


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

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings above the headings, each with the number of columns it spans."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans if any(name for name, _ in spans) else []


def tables(board: Board) -> list[Table]:
    """All tables of a board."""
    made = [accuracy_table, published_table, cost_table, audit_table]
    return [table for make in made if (table := make(board)) is not None]


def accuracy_table(board: Board) -> Table:
    """The score, calibration, and what the training took."""
    columns = [
        Column(
            "wrong bits" if board.probe else "accuracy, %",
            lambda entry: entry.score(board.metric),
            partial(score, board),
        )
    ]
    if board.probe:
        columns += [_column("of", lambda entry: entry.common("bits"), count)]
        columns += [_column("right, %", lambda entry: entry.mean("accuracy"), percent)]
    if board.online:
        columns += [
            _column(ordinal(k), _presentation(k), percent, "by presentation") for k in PRESENTATIONS
        ]
    episodes = "sequences" if board.probe else "episodes"
    if board.seeds > 1 or not board.complete:
        columns += [Column("seeds", lambda entry: len(entry.done), seeds)]
    if board.seeds > 1:
        write = wrong_bits if board.probe else percent
        columns += [_column("seed SD", lambda entry: entry.seed_deviation(board.metric), write)]
    columns += [
        _column("NLL", _mean("nll"), number),
        _column("ECE", _mean("ece"), number),
        _column(episodes, _mean("episodes"), count),
    ]
    if not board.probe:
        columns += [_column("encoder", lambda entry: entry.common("encoder"), _name, "learner")]
    columns += [_column("parameters", _mean("parameters"), count, "learner")]
    if not board.probe:
        columns += [_column("ways", _trained("training_ways"), count, "meta-training")]
    columns += [
        _column("updates", _trained("updates"), count, "meta-training"),
        _column(
            "sequences" if board.probe else "examples", _trained("examples"), count, "meta-training"
        ),
        _column("time", _trained("training_seconds"), duration, "meta-training"),
    ]
    notes = [f"± is the half-width of the 95 % interval over {episodes} (Student-t)"]
    if board.seeds > 1:
        unit = "bits" if board.probe else "points of accuracy"
        notes += [f"seed SD: standard deviation between trainings, in {unit}"]
    notes += [f"NLL in nats per {'bit' if board.probe else 'answer'}"]
    notes += ["ECE: expected calibration error, 15 bins"]
    if board.best is not None:
        notes += ["bold: " + ("the fewest wrong bits" if board.probe else "the highest accuracy")]
    caption = "Wrong bits and meta-training" if board.probe else "Accuracy and meta-training"
    return _table("accuracy", board, caption, columns, notes, best=True)


def published_table(board: Board) -> Table | None:
    """Accuracies beside those that the papers print; None where no learner has any."""
    held = {id(one.entry): one for one in hold_against_papers(board)}
    if not held:
        return None
    keys = [key for key in HELD_AT if any(key in _points(one) for one in held.values())]
    columns = []
    for key in keys if board.online else [""]:
        here, paper, difference = (_held(held, key, of) for of in (0, 1, 2))
        columns += [_column("here", here, percent, key), _column("paper", paper, percent, key)]
        columns += [_column("difference", difference, _signed, key)]
    columns += [
        _words("verdict", lambda entry: _verdict(held[id(entry)])),
        _words("the paper's protocol", lambda entry: _protocol(held[id(entry)])),
        _words("source", lambda entry: held[id(entry)].published.source),
    ]
    notes = [
        "accuracy in percent; difference in points, here less paper",
        "a verdict is given where the protocols are known to be the same: whether the difference "
        "lies inside its 95 % interval over episodes (the paper's interval counts where it prints "
        "one, else the rounding of its figure), which is blind to the training seed",
    ]
    entries = {
        family: [entry for entry in members if id(entry) in held]
        for family, members in board.families.items()
    }
    shown = replace(board, families={family: own for family, own in entries.items() if own})
    return _table("published", shown, "Against published figures", columns, notes)


def cost_table(board: Board) -> Table | None:
    """Time and memory of each phase on each device; None where nothing was timed."""
    phases = {"adapt": "adapt", "first_answer": "first answer", "further_query": "further query"}
    rate = "episodes/s"
    notes = [
        "medians, one episode at a time",
        "first answer: adapt and one query",
        "episodes/s: adapt and all queries, in batches",
    ]
    if board.probe:
        phases, rate = {"step": "step"}, "sequences/s"
        notes = [
            "medians, one sequence at a time",
            "training update: of a middle length",
            "sequences/s: in batches",
        ]
    phases |= {"train_update": "training update"}
    notes += ["memory: highest, of the process on a CPU, else allocated on the device"]
    columns = [
        column
        for device in board.devices
        for column in (
            *(
                _column(title, _time(device, phase), duration, device)
                for phase, title in phases.items()
            ),
            _column(rate, _per_device("throughput", device), _rate, device),
            _column("memory", _per_device("peak_memory", device), _mebibytes, device),
        )
    ]
    return _table("cost", board, "Cost of each phase", columns, notes) if columns else None


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
    families = {
        family: [
            Line(
                entry,
                OTHER_CODE * entry.other_code
                + TRANSDUCTIVE * entry.transductive
                + FAILED_AUDIT * audits.failed(entry),
                [column.text(entry) for column in columns],
                [column.value(entry) for column in columns],
                best and entry is board.best,
            )
            for entry in entries
        ]
        for family, entries in board.families.items()
    }
    used = {mark for lines in families.values() for line in lines for mark in line.marks}
    marks = [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]
    return Table(kind, board, caption, columns, families, notes + marks)


def _column(
    title: str, value: Callable[[Entry], Any], write: Callable[[Any], str], group: str = ""
) -> Column:
    return Column(title, value, lambda entry: write(value(entry)), group, write is not _name)


def _words(title: str, value: Callable[[Entry], str | None]) -> Column:
    return _column(title, value, _name)


def _name(value: str | None) -> str:
    return value or MISSING


def _mean(column: str) -> Callable[[Entry], float | None]:
    return lambda entry: entry.mean(column)


def _trained(column: str) -> Callable[[Entry], float | None]:
    return lambda entry: entry.mean(column) if entry.mean("updates") else None


def _presentation(k: int) -> Callable[[Entry], float | None]:
    def value(entry: Entry) -> float | None:
        curve = entry.curve("accuracy_by_presentation")
        return curve[k - 1] if k <= len(curve) else None

    return value


def _time(device: str, phase: str) -> Callable[[Entry], float | None]:
    return lambda entry: entry.time(device, phase)


def _per_device(column: str, device: str) -> Callable[[Entry], float | None]:
    return lambda entry: entry.per_device(column, device)


def _rate(rate: float | None) -> str:
    return MISSING if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _mebibytes(size: float | None) -> str:
    return MISSING if size is None else f"{size / 2**20:,.0f} MiB"


def _signed(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{100 * fraction:+.2f}".replace("-", "\N{MINUS SIGN}")


def _points(held: Held) -> dict[str, Point]:
    return {point.key: point for point in held.points}


def _held(held: Mapping[int, Held], key: str, of: int) -> Callable[[Entry], float | None]:
    """Measured (0), published (1) or their difference (2); no key: the board's only one."""

    def value(entry: Entry) -> float | None:
        points = _points(held[id(entry)])
        point = points.get(key) if key else next(iter(points.values()))
        return (point.measured, point.published, point.difference)[of] if point else None

    return value


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
    return "; ".join(held.differences) or "the same"
