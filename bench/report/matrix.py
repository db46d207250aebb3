"""The overview: learners by settings, a cell each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bench.report.figures.style import short
from bench.results.boards import UNTRAINED, Board, Entry, family_order
from bench.results.families import NO_CONTROLS, is_control
from bench.results.formats import natural
from bench.results.joined import joined
from bench.results.rows import Place
from bench.results.tradeoff import main_place
from bench.results.written import seeds

BRIEF = 24
"""Characters of a learner's name."""
TINTS = 6
"""Steps from the worst of a column to its best."""


class Head(NamedTuple):
    """A column: a board."""

    suite: str
    setting: str
    budget: str
    """With the version where a suite has several; empty where all columns of the suite share it."""
    board: Board

    @property
    def unranked(self) -> bool:
        """There are figures to rank, and cells or seeds are missing, or episodes differ."""
        return self.board.best is None and len(self.board.scored) > 1


class Cell(NamedTuple):
    """A learner on a board."""

    text: str
    half: str
    """Half-width of its interval; empty where there is none."""
    value: float | None
    """What a reader sorts by."""
    tint: int | None
    """By its place in the column: 0 the worst, `TINTS` - 1 the best; None of one alone, and where
    the board is not ranked."""
    best: bool
    """The best figure of a board that is ranked."""
    seeds: str
    """``2 of 3`` where some are missing."""
    state: Literal["done", "failed", "unfinished", "absent"]
    chance: bool
    """Its interval reaches what guessing gets."""
    seconds: float | None = None
    """To the first answer, at the matrix's place."""
    entry: Entry | None = None
    """Whose figure it is; None where there is none."""


@dataclass(frozen=True)
class Row:
    """A learner over all columns."""

    learner: str
    brief: str
    """What fits beside its cells."""
    name: str
    """Without options."""
    family: str
    control: bool
    cells: list[Cell]
    devices: list[str]


@dataclass(frozen=True)
class Matrix:
    """Learners, grouped by family, by settings."""

    heads: list[Head]
    families: dict[str, list[Row]]
    left_out: int
    """Columns of further lengths of memory probes."""
    place: Place | None = None
    """Where most were timed."""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Suites and how many columns each has."""
        spans: list[tuple[str, int]] = []
        for head in self.heads:
            if spans and spans[-1][0] == head.suite:
                spans[-1] = head.suite, spans[-1][1] + 1
            else:
                spans.append((head.suite, 1))
        return spans

    @property
    def unranked(self) -> bool:
        """Some column is."""
        return any(head.unranked for head in self.heads)

    @property
    def timed(self) -> bool:
        """Somebody's first answer is."""
        return any(cell.seconds is not None for row in self.rows for cell in row.cells)

    @property
    def entries(self) -> list[Entry]:
        """What stands on the boards."""
        return [cell.entry for row in self.rows for cell in row.cells if cell.entry]

    @property
    def rows(self) -> list[Row]:
        """All learners."""
        return [row for rows in self.families.values() for row in rows]


def matrix(
    boards: Sequence[Board], controls: Collection[str] = NO_CONTROLS, *, whole: bool = False
) -> Matrix:
    """The boards as columns.

    Args:
        boards: in their order.
        controls: names of learners that are no members of their family.
        whole: every length of a memory probe has a column, not the longest alone.
    """
    shown = list(boards) if whole else longest(boards)
    cells_at = Counter[str]()
    for board in shown:
        cells_at[board.budget] += len(board.cells)
    suites = list(dict.fromkeys(board.suite for board in shown))
    # Accuracies beside each other; of a suite first what most was computed for.
    shown.sort(
        key=lambda board: (
            not board.metric.in_percent, suites.index(board.suite), -cells_at[board.budget]
        )
    )  # fmt: skip
    place = main_place(shown)
    names = joined(shown)
    cells: dict[tuple[str, str], dict[int, Entry]] = defaultdict(dict)
    for column, board in enumerate(shown):
        there = Counter(names[entry] for entry in board.entries)
        for entry in board.entries:
            family, learner = names[entry]
            if there[names[entry]] > 1:  # by what tells it from the others of the board
                learner = entry.label + learner.removeprefix(entry.learner)
            cells[family, learner][column] = entry
    columns = [_column(board) for board in shown]
    families: dict[str, list[Row]] = {}
    for family in family_order(family for family, _ in cells):
        own = {learner: found for (of, learner), found in cells.items() if of == family}
        families[family] = sorted(
            (_row(learner, found, columns, controls, place) for learner, found in own.items()),
            key=lambda row: (row.control, natural(row.learner.lower())),
        )
    return Matrix(_heads(shown), families, len(boards) - len(shown), place)


def longest(boards: Sequence[Board]) -> list[Board]:
    """Of a memory probe only the longest sequences."""
    last: dict[tuple[object, ...], Board] = {}
    for board in boards:
        if board.kind.settings == "items":
            last[board.suite, board.suite_version, board.budget] = board
    return [
        board
        for board in boards
        if board.kind.settings != "items"
        or last[board.suite, board.suite_version, board.budget] is board
    ]


def _heads(boards: Sequence[Board]) -> list[Head]:
    told: dict[str, set[str]] = defaultdict(set)
    for board in boards:
        told[board.suite].add(_budget(board))
    return [
        Head(
            board.suite,
            board.setting,
            _budget(board) if len(told[board.suite]) > 1 else "",
            board,
        )
        for board in boards
    ]


def _budget(board: Board) -> str:
    version = f"v{board.suite_version}, " if (board.suite_version or 1) > 1 else ""
    return version + ("nothing to train" if board.budget == UNTRAINED else board.budget)


class _Column(NamedTuple):
    """A board and its distinct scores, the worst first."""

    board: Board
    scores: list[float]


def _column(board: Board) -> _Column:
    sign = board.metric.sign
    scores = {score for e in board.entries if (score := e.score(board.metric)) is not None}
    return _Column(board, sorted(scores, key=lambda score: sign * score))


def _row(
    learner: str,
    found: dict[int, Entry],
    columns: list[_Column],
    controls: Collection[str],
    place: Place | None,
) -> Row:
    first = next(iter(found.values()))
    return Row(
        learner,
        short(learner, BRIEF),
        first.cells[0].learner_name,
        first.family,
        is_control(first, controls),
        [_cell(column, found.get(k), place) for k, column in enumerate(columns)],
        sorted({row.place for entry in found.values() for row in entry.cells}),
    )


def _cell(column: _Column, entry: Entry | None, where: Place | None) -> Cell:
    if entry is None:
        return Cell("", "", None, None, False, "", "absent", False)
    board, metric = column.board, column.board.metric
    score, half = entry.score(metric), entry.half_width(metric)
    missing = "" if entry.complete else seeds(entry)
    if score is None:
        state: Literal["failed", "unfinished"] = (
            "failed" if entry.status == "failed" else "unfinished"
        )
        return Cell(state, "", None, None, False, "", state, False)
    text, _, written = metric.write(score, half).partition(" ± ")
    last = len(column.scores) - 1
    place = column.scores.index(score)
    ranked = board.best is not None
    tint = round(place / last * (TINTS - 1)) if last and ranked else None
    best = ranked and place == last
    return Cell(
        text,
        written,
        score,
        tint,
        best,
        missing,
        "done",
        at_chance(board, entry),
        entry.time(where, "first_answer") if where else None,
        entry,
    )


def chance(board: Board, entry: Entry) -> float | None:
    """What guessing gets: a fraction of answers, or wrong bits; None where that is not known."""
    if board.kind.classes and board.metric.in_percent and board.ways:
        return 1 / board.ways
    bits = entry.common(lambda row: row.bits)
    return bits / 2 if bits and board.kind.settings == "items" else None


def at_chance(board: Board, entry: Entry) -> bool:
    """Its interval reaches what guessing gets, or lies beyond it."""
    guessing, score = chance(board, entry), entry.score(board.metric)
    if guessing is None or score is None:
        return False
    half = entry.half_width(board.metric) or 0.0
    return board.metric.sign * (score - guessing) <= half
