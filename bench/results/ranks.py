"""Learners ranked over several datasets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.results.boards import Board
from bench.results.joined import joined
from bench.statistics.significance import ALPHA, mean_ranks, rank_over_datasets

ENOUGH_DATASETS = 6
"""Below this mean ranks are shown, and nothing is claimed of them."""


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


@dataclass(frozen=True)
class AverageRanks:
    """Learners, or families, ranked over independent datasets; claims where there are enough."""

    budget: str
    datasets: list[str]
    names: list[str]
    """The best first."""
    ranks: list[float]
    """Mean rank of each, 1 the best."""
    left_out: list[str]
    """What is not complete on every board."""
    datasets_left_out: list[str]
    """Where not all of them were asked."""
    p: float | None
    """Friedman's test of "all are alike"; None below `ENOUGH_DATASETS` datasets or three names."""
    ahead: list[tuple[str, str]]
    """Pairs of which the first is ahead, after Holm; empty where nothing is tested."""
    critical: float | None
    """Nemenyi's critical difference; None where nothing is tested."""


def average_ranks(boards: Sequence[Board]) -> AverageRanks | None:
    """Ranks learners over independent datasets, however few.

    A dataset counts once, however many suites and settings use it: the learners are ranked by the
    mean over its boards. Of learners that were not all asked on the same boards the largest table
    of learners by datasets counts (see `rank_scores`); of it those take part that stand on every
    board exactly once and complete. What is ranked by another measure asks for other learners (a
    memory probe for others than classification does): of several measures only that of most boards
    counts.

    Args:
        boards: of one budget.

    Returns:
        None where fewer than two learners stand on every board.

    Raises:
        ValueError: for boards of several budgets.
    """
    budgets = {board.budget for board in boards}
    if len(budgets) > 1:
        raise ValueError(f"boards of several budgets: {', '.join(sorted(budgets))}")
    counted = Counter(board.metric.key for board in boards)
    boards = [board for board in boards if board.metric.key == counted.most_common(1)[0][0]]
    return rank_scores(boards, _scores(boards))


def rank_scores(
    boards: Sequence[Board], scores: Mapping[str, Sequence[float | None]]
) -> AverageRanks | None:
    """Ranks whatever has scores on boards, as families have.

    Which boards count is chosen by who was asked, never by what came of it: what failed on a board
    is left out, and the board is not.

    Args:
        boards: of one budget and one measure.
        scores: by name one for each board, more is better; NaN where it is not complete, None where
            nobody asked.
    """
    kept = _largest(boards, scores)
    datasets = [_dataset(boards[k]) for k in kept]
    asked = {name: [own[k] for k in kept] for name, own in scores.items()}
    asked = {name: own for name, own in asked.items() if any(score is not None for score in own)}
    there = [
        name
        for name, own in asked.items()
        if all(score is not None and not math.isnan(score) for score in own)
    ]
    distinct = sorted(set(datasets))
    if not distinct or len(there) < 2:
        return None
    table = np.array([asked[name] for name in there], float).T  # (boards, learners)
    means = np.array([table[[name == d for d in datasets]].mean(0) for name in distinct])
    tested = len(distinct) >= ENOUGH_DATASETS and len(there) >= 3
    found = rank_over_datasets(means) if tested else None
    ranks = found.mean if found else mean_ranks(means)
    order = np.argsort(ranks, kind="stable").tolist()
    ahead = []
    if found:
        apart = np.zeros((len(there), len(there)), bool)
        apart[np.triu_indices(len(there), 1)] = found.p_holm < ALPHA
        apart |= apart.T
        ahead = [
            (there[i], there[j])
            for place, i in enumerate(order)
            for j in order[place + 1 :]
            if apart[i, j]
        ]
    return AverageRanks(
        boards[0].budget,
        distinct,
        [there[k] for k in order],
        ranks[order].tolist(),
        [name for name in asked if name not in there],
        sorted({_dataset(board) for board in boards} - set(distinct)),
        found.p if found else None,
        ahead,
        found.critical_difference if found else None,
    )


def _dataset(board: Board) -> str:
    return str(board.cells[0].asked_of[0])


def _largest(boards: Sequence[Board], scores: Mapping[str, Sequence[float | None]]) -> list[int]:
    """The boards of the largest table, names by datasets, in which all were asked everywhere, of
    two datasets or more where there is one; of equal tables that of more datasets, of more boards.
    """
    asked = [
        frozenset(name for name, own in scores.items() if own[k] is not None)
        for k in range(len(boards))
    ]
    own = set(asked)
    groups = own | {a & b for a, b in combinations(own, 2)}
    best: tuple[bool, int, int, int] = False, 0, 0, 0
    found: list[int] = []
    for names in sorted((group for group in groups if len(group) > 1), key=sorted):
        kept = [k for k, there in enumerate(asked) if names <= there]
        datasets = len({_dataset(boards[k]) for k in kept})
        size = datasets > 1, len(names) * datasets, datasets, len(kept)
        if size > best:
            best, found = size, kept
    return found


def critical_difference(boards: Sequence[Board]) -> CriticalDifference | None:
    """`average_ranks` with the groups that Nemenyi's test does not tell apart.

    Returns:
        None where there are fewer than `ENOUGH_DATASETS` datasets or three learners.

    Raises:
        ValueError: for boards of several budgets.
    """
    ranked = average_ranks(boards)
    if ranked is None or ranked.p is None or ranked.critical is None:
        return None
    runs = _runs(np.array(ranked.ranks), ranked.critical)
    return CriticalDifference(
        ranked.budget,
        ranked.datasets,
        ranked.names,
        ranked.ranks,
        ranked.p,
        ranked.critical,
        [ranked.names[i:j] for i, j in runs],
        ranked.left_out,
    )


def _runs(ranks: NDArray[np.float64], width: float) -> list[tuple[int, int]]:
    """The maximal runs ``[i, j)`` of ascending ranks that lie closer than `width`."""
    runs: list[tuple[int, int]] = []
    for i, j in enumerate(np.searchsorted(ranks, ranks + width).tolist()):
        if not runs or j > runs[-1][1]:
            runs.append((i, j))
    return runs


def _scores(boards: Sequence[Board]) -> dict[str, list[float | None]]:
    """By learner its score on every board, more is better; see `rank_scores`."""
    names = {entry: key.learner for entry, key in joined(boards).items()}
    found: dict[str, list[float | None]] = {name: [None] * len(boards) for name in names.values()}
    for k, board in enumerate(boards):
        metric = board.metric
        for name, several in Counter(names[entry] for entry in board.entries).items():
            found[name][k] = math.nan
            if several > 1:
                continue
            entry = next(entry for entry in board.entries if names[entry] == name)
            if entry.complete and (score := entry.score(metric)) is not None:
                found[name][k] = metric.sign * score
    return found
