"""Tables of the report: a board as headed columns of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.leaderboard import Board, Entry
from bench.tables import (
    MISSING,
    PRESENTATIONS,
    count,
    duration,
    number,
    ordinal,
    percent,
    score,
    seeds,
    training_time,
    wrong_bits,
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
    """The score, calibration, and what the training took."""
    columns = [Column("wrong bits" if board.probe else "accuracy, %", partial(score, board))]
    if board.probe:
        columns += [Column("of", lambda entry: count(entry.common("bits")))]
        columns += [Column("right, %", lambda entry: percent(entry.mean("accuracy")))]
    if board.online:
        columns += [Column(ordinal(k), _presentation(k), "by presentation") for k in PRESENTATIONS]
    episodes = "sequences" if board.probe else "episodes"
    if board.seeds > 1 or not board.complete:
        columns += [Column("seeds", seeds)]
    if board.seeds > 1:
        write = wrong_bits if board.probe else percent
        columns += [Column("seed SD", lambda entry: write(entry.seed_deviation(board.metric)))]
    columns += [
        Column("NLL", lambda entry: number(entry.mean("nll"))),
        Column("ECE", lambda entry: number(entry.mean("ece"))),
        Column(episodes, lambda entry: count(entry.mean("episodes"))),
    ]
    if not board.probe:
        columns += [
            Column("encoder", lambda entry: entry.common("encoder") or MISSING, "learner", False)
        ]
    columns += [Column("parameters", lambda entry: count(entry.mean("parameters")), "learner")]
    if not board.probe:
        columns += [Column("ways", _trained("training_ways"), "meta-training")]
    columns += [
        Column("updates", _trained("updates"), "meta-training"),
        Column("sequences" if board.probe else "examples", _trained("examples"), "meta-training"),
        Column("time", training_time, "meta-training"),
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
    return _table(board, caption, columns, notes, best=True)


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
            *(Column(title, _time(device, phase), device) for phase, title in phases.items()),
            Column(rate, _throughput(device), device),
            Column("memory", _memory(device), device),
        )
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
