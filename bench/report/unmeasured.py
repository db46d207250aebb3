"""What is not measured yet though the rest of the report asks for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.report.summary import ranges
from bench.results.boards import UNTRAINED, Board
from bench.results.written import listed


@dataclass(frozen=True)
class Unmeasured:
    """What a report lacks, beside cells that failed or are unfinished."""

    cells: list[tuple[str, Board]]
    """Learners that another setting of the same suite and budget has, and the setting that lacks
    them."""
    seeds: list[Board]
    """Where learners have unequal seeds."""
    untimed: list[Board]
    """Settings with scores and no timing."""

    def sentences(self) -> list[str]:
        """All of it, one sentence for the settings of a suite and budget that lack the same."""
        return [*_cells(self.cells), *_seeds(self.seeds), *_untimed(self.untimed)]


def unmeasured(boards: Sequence[Board]) -> Unmeasured:
    """Of all boards of a report."""
    there: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for board in boards:
        there[board.suite, board.budget].update((entry.learner, None) for entry in board.entries)
    cells = []
    for board in boards:
        own = {entry.learner for entry in board.entries}
        cells += [(name, board) for name in there[board.suite, board.budget] if name not in own]
    return Unmeasured(
        cells,
        [board for board in boards if board.lacking],
        [board for board in boards if not board.places and board.scored],
    )


def _cells(cells: Sequence[tuple[str, Board]]) -> Iterator[str]:
    settings: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for learner, board in cells:
        settings[board.suite, board.budget, learner].append(board.setting)
    learners: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (suite, budget, learner), own in settings.items():
        learners[suite, budget, tuple(own)].append(learner)
    for (suite, budget, lacking), names in learners.items():
        yield f"{suite}, {listed(lacking)}{_at(budget)}: no cell of {listed(names)}."


def _seeds(boards: Sequence[Board]) -> Iterator[str]:
    for board in boards:
        lacking = listed(
            f"{listed(entry.label for entry in entries)} {_lack(len(entries))} "
            f"{'seed' if len(seeds) == 1 else 'seeds'} {ranges(seeds)}"
            for seeds, entries in board.lacking.items()
        )
        yield f"{board.suite}, {board.setting}{_at(board.budget)}: {lacking}."


def _lack(learners: int) -> str:
    return "lacks" if learners == 1 else "lack"


def _untimed(boards: Sequence[Board]) -> Iterator[str]:
    settings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for board in boards:
        settings[board.suite, board.budget].append(board.setting)
    for (suite, budget), own in settings.items():
        yield f"{suite}, {listed(own)}{_at(budget)}: nobody is timed."


def _at(budget: str) -> str:
    return "" if budget == UNTRAINED else f", budget {budget}"
