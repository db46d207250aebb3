"""Learners ranked over several datasets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.results.boards import Board
from bench.statistics.significance import rank_over_datasets

ENOUGH_DATASETS = 6
"""Below this learners are not ranked over datasets."""


@dataclass(frozen=True)
class CriticalDifference:
    """Learners ranked over independent datasets."""

    budget: str
    datasets: list[str]
    learners: list[str]
    """The best first."""
    ranks: list[float]
    """Mean rank of each, 1 the best."""
    p: float
    """Friedman's test of "all are alike"."""
    critical_difference: float
    """Nemenyi: mean ranks this far apart differ."""
    groups: list[list[str]]
    """Maximal groups whose mean ranks lie closer than that, the best first."""
    left_out: list[str]
    """Learners that are not complete on every board."""


def critical_difference(boards: Sequence[Board]) -> CriticalDifference | None:
    """Ranks learners over independent datasets.

    A dataset counts once, however many suites and settings use it: the learners are ranked by the
    mean over its boards. Only those take part that stand on every board exactly once and complete.
    What is ranked by another measure asks for other learners (a memory probe for others than
    classification does): of several measures only that of most boards counts.

    Args:
        boards: of one budget.

    Returns:
        None where there are fewer than `ENOUGH_DATASETS` datasets or three learners.

    Raises:
        ValueError: for boards of several budgets.
    """
    budgets = {board.budget for board in boards}
    if len(budgets) > 1:
        raise ValueError(f"boards of several budgets: {', '.join(sorted(budgets))}")
    counted = Counter(board.metric.key for board in boards)
    boards = [board for board in boards if board.metric.key == counted.most_common(1)[0][0]]
    everywhere = _scores_everywhere(boards)
    learners = [name for name, scores in everywhere.items() if scores is not None]
    datasets = [str(board.cells[0].dataset) for board in boards]
    distinct = sorted(set(datasets))
    if len(distinct) < ENOUGH_DATASETS or len(learners) < 3:
        return None
    scores = np.array([everywhere[name] for name in learners]).T  # (boards, learners)
    means = [scores[[name == d for d in datasets]].mean(0) for name in distinct]
    ranked = rank_over_datasets(means)
    order = np.argsort(ranked.mean, kind="stable").tolist()
    ranks = ranked.mean[order]
    names = [learners[k] for k in order]
    return CriticalDifference(
        budgets.pop(),
        distinct,
        names,
        ranks.tolist(),
        ranked.p,
        ranked.critical_difference,
        [names[i:j] for i, j in _runs(ranks, ranked.critical_difference)],
        [name for name, scores in everywhere.items() if scores is None],
    )


def _runs(ranks: NDArray[np.float64], width: float) -> list[tuple[int, int]]:
    """The maximal runs ``[i, j)`` of ascending ranks that lie closer than `width`."""
    runs: list[tuple[int, int]] = []
    for i, j in enumerate(np.searchsorted(ranks, ranks + width).tolist()):
        if not runs or j > runs[-1][1]:
            runs.append((i, j))
    return runs


def _scores_everywhere(boards: Sequence[Board]) -> dict[str, list[float] | None]:
    """By learner its score on every board, more is better; None where one is missing."""
    found: dict[str, list[float] | None] = {}
    for name in dict.fromkeys(entry.learner for board in boards for entry in board.entries):
        scores: list[float] = []
        for board in boards:
            metric = board.metric
            there = [entry for entry in board.entries if entry.learner == name]
            score = there[0].score(metric) if len(there) == 1 and there[0].complete else None
            scores += [] if score is None else [metric.sign * score]
        found[name] = scores if len(scores) == len(boards) else None
    return found
