"""What is not measured yet though the rest of the report asks for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.report.summary import ranges
from bench.results.boards import UNTRAINED, Board
from bench.results.written import listed, suite_names


@dataclass(frozen=True)
class Unmeasured:
    """What a report lacks, beside cells that failed or are unfinished."""

    cells: list[tuple[str, Board]]
    """Learners that another setting of the same suite, version and budget has, and the setting that
    lacks them."""
    seeds: list[Board]
    """Where learners have unequal seeds."""
    untimed: list[Board]
    """Settings with scores and no timing."""
    names: Mapping[tuple[str, int | None], str]
    """Of the suites of all boards, by name and version."""

    def sentences(self) -> list[str]:
        """All of it, one sentence for the settings of a suite and budget that lack the same."""
        return [*self._cells(), *self._seeds(), *self._untimed()]

    def _cells(self) -> Iterator[str]:
        settings: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for learner, board in self.cells:
            settings[self._suite(board), board.budget, learner].append(board.setting)
        learners: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
        for (suite, budget, learner), own in settings.items():
            learners[suite, budget, tuple(own)].append(learner)
        for (suite, budget, lacking), names in learners.items():
            yield f"{suite}, {listed(lacking)}{_at(budget)}: no cell of {listed(names)}."

    def _seeds(self) -> Iterator[str]:
        for board in self.seeds:
            lacking = listed(
                f"{listed(entry.label for entry in entries)} {_lack(len(entries))} "
                f"{'seed' if len(seeds) == 1 else 'seeds'} {ranges(seeds)}"
                for seeds, entries in board.lacking.items()
            )
            yield f"{self._suite(board)}, {board.setting}{_at(board.budget)}: {lacking}."

    def _untimed(self) -> Iterator[str]:
        settings: dict[tuple[str, str], list[str]] = defaultdict(list)
        for board in self.untimed:
            settings[self._suite(board), board.budget].append(board.setting)
        for (suite, budget), own in settings.items():
            yield f"{suite}, {listed(own)}{_at(budget)}: nobody is timed."

    def _suite(self, board: Board) -> str:
        return self.names[board.suite, board.suite_version]


def unmeasured(boards: Sequence[Board]) -> Unmeasured:
    """Of all boards of a report. Versions of a suite ask for nothing of each other."""
    there: dict[tuple[str, int | None, str], dict[str, None]] = defaultdict(dict)
    for board in boards:
        own = there[board.suite, board.suite_version, board.budget]
        own.update((entry.learner, None) for entry in board.entries)
    cells = []
    for board in boards:
        has = {entry.learner for entry in board.entries}
        asked = there[board.suite, board.suite_version, board.budget]
        cells += [(name, board) for name in asked if name not in has]
    return Unmeasured(
        cells,
        [board for board in boards if board.lacking],
        [board for board in boards if not board.places and board.scored],
        suite_names(boards),
    )


def _lack(learners: int) -> str:
    return "lacks" if learners == 1 else "lack"


def _at(budget: str) -> str:
    return "" if budget == UNTRAINED else f", budget {budget}"
