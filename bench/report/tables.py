"""Tables of the report: a board as headed columns of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.leaderboard import Board, Entry
from bench.tables import (
    MISSING,
    PRESENTATIONS,
    count,
    duration,
    number,
    ordinal,
    percent,
    seeds,
    training_time,
)

OTHER_CODE, TRANSDUCTIVE = "†", "‡"
MARKS = {
    OTHER_CODE: "measured with other code of this learner than is installed now",
    TRANSDUCTIVE: "transductive: the answer to a query depends on the other queries",
}


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what stands in it."""

    title: str
    text: Callable[[Entry], str]
    group: str = ""
    """A heading above the headings of neighbouring columns."""
    figures: bool = True
    """Aligned as numbers."""


@dataclass(frozen=True)
class Line:
    """A learner's row."""

    label: str
    marks: str
    cells: list[str]
    best: bool
    finished: bool


@dataclass(frozen=True)
class Table:
    """What the page draws."""

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


def accuracy_table(board: Board) -> Table:
    """Accuracy, calibration, and what the training took."""
    columns = [Column("accuracy, %", _accuracy)]
    if board.online:
        columns += [Column(ordinal(k), _presentation(k), "by presentation") for k in PRESENTATIONS]
    if board.seeds > 1 or not board.complete:
        columns += [Column("seeds", seeds)]
    if board.seeds > 1:
        columns += [Column("seed SD", lambda entry: percent(entry.seed_deviation))]
    columns += [
        Column("NLL", lambda entry: number(entry.mean("nll"))),
        Column("ECE", lambda entry: number(entry.mean("ece"))),
        Column("episodes", lambda entry: count(entry.mean("episodes"))),
        Column("encoder", lambda entry: entry.common("encoder") or MISSING, "learner", False),
        Column("parameters", lambda entry: count(entry.mean("parameters")), "learner"),
        Column("ways", _trained("training_ways"), "meta-training"),
        Column("updates", _trained("updates"), "meta-training"),
        Column("examples", _trained("examples"), "meta-training"),
        Column("time", training_time, "meta-training"),
    ]
    notes = ["± is the half-width of the 95 % interval over episodes (Student-t)"]
    if board.seeds > 1:
        notes += ["seed SD: standard deviation between trainings, in points of accuracy"]
    notes += ["NLL in nats per answer", "ECE: expected calibration error, 15 bins"]
    if board.best is not None:
        notes += ["bold: the highest accuracy"]
    return _table(board, "Accuracy and meta-training", columns, notes, best=True)


def cost_table(board: Board) -> Table | None:
    """Time and memory of each phase on each device; None where nothing was timed."""
    columns = [
        column
        for device in board.devices
        for column in (
            Column("adapt", _time(device, "adapt"), device),
            Column("first answer", _time(device, "first_answer"), device),
            Column("further query", _time(device, "further_query"), device),
            Column("training update", _time(device, "train_update"), device),
            Column("episodes/s", _throughput(device), device),
            Column("memory", _memory(device), device),
        )
    ]
    notes = [
        "medians, one episode at a time",
        "first answer: adapt and one query",
        "episodes/s: adapt and all queries, in batches",
        "memory: highest, of the process on a CPU, else allocated on the device",
    ]
    return _table(board, "Cost of each phase", columns, notes) if columns else None


def _table(
    board: Board, caption: str, columns: list[Column], notes: list[str], best: bool = False
) -> Table:
    families = {
        family: [
            Line(
                entry.label,
                OTHER_CODE * entry.other_code + TRANSDUCTIVE * entry.transductive,
                [column.text(entry) for column in columns],
                best and entry is board.best,
                bool(entry.done),
            )
            for entry in entries
        ]
        for family, entries in board.families.items()
    }
    used = {mark for lines in families.values() for line in lines for mark in line.marks}
    marks = [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]
    return Table(caption, columns, families, notes + marks)


def _accuracy(entry: Entry) -> str:
    if not entry.done:
        return entry.status
    return percent(entry.mean("accuracy"), entry.mean("accuracy_ci95"))


def _trained(column: str) -> Callable[[Entry], str]:
    return lambda entry: count(entry.mean(column) if entry.mean("updates") else None)


def _presentation(k: int) -> Callable[[Entry], str]:
    def text(entry: Entry) -> str:
        curve = entry.curve("accuracy_by_presentation")
        return percent(curve[k - 1]) if k <= len(curve) else MISSING

    return text


def _time(device: str, phase: str) -> Callable[[Entry], str]:
    return lambda entry: duration(entry.time(device, phase))


def _throughput(device: str) -> Callable[[Entry], str]:
    def text(entry: Entry) -> str:
        rate = entry.per_device("throughput", device)
        return MISSING if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"

    return text


def _memory(device: str) -> Callable[[Entry], str]:
    def text(entry: Entry) -> str:
        peak = entry.per_device("peak_memory", device)
        return MISSING if peak is None else f"{peak / 2**20:,.0f} MiB"

    return text
