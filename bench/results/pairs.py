"""Who is ahead of whom: the learners of a board compared pair by pair on the shared bank.

Two kinds of claim. From `ENOUGH_SEEDS` seeds on both sides a comparison is about the *learners*
(an untrained one has no variance between seeds, so that its one cell is enough):
Welch's test on the seed means, its variance increased by that of the paired differences between
episodes. The second part stands for the choice of episodes, which all seeds share and their
means therefore do not show (Clark 1973, "The Language-as-Fixed-Effect Fallacy", min F'). With
fewer seeds it is about *these trained weights*: a t test on the paired differences alone. Banks
are nested, so pairs are compared on the part that both answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.results.boards import Board, Entry
from bench.results.measures import Metric
from bench.results.paired_scores import Answers, bank_of, common_banks, nested, read_answers
from bench.statistics.intervals import ROUNDING
from bench.statistics.significance import (
    ALPHA,
    Differences,
    holm,
    t_tests,
    tie_groups,
    without_rounding,
)
from bench.store.checked import Problem

ENOUGH_SEEDS = 3
"""Below this nothing is claimed about learners, only about the weights that were tested."""


MOST_GROUPED = 25
"""Learners that are put into groups."""


CHUNK = 4_000_000
"""Differences held in memory at a time."""


@dataclass(frozen=True)
class Comparison:
    """One learner against another on the episodes that both answered."""

    a: Entry
    b: Entry
    about: Literal["weights", "learners"]
    """What is claimed: the learners include the variance between seeds."""
    mean: float
    """a - b, in units of the metric: a fraction, or bits."""
    ci95: float | None
    """Half-width of its interval; None for a single episode, and where nothing varies."""
    p: float | None
    """Of "no difference"; None for a single episode."""
    p_holm: float | None
    """The same, adjusted over all comparisons that were made together."""
    detectable: float | None
    """The smallest true difference that this test finds in 80 % of repetitions, unadjusted; None
    as `ci95`."""
    n: int
    """About learners, the seeds of the trained side that has fewer; else, and of two untrained
    learners, episodes."""

    @property
    def told_apart(self) -> bool:
        """The difference holds."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True)
class BoardComparisons:
    """All pairs of a board."""

    board: Board
    compared: list[Entry]
    """The best first."""
    pairs: list[Comparison]
    """In the order of ``itertools.combinations(compared, 2)``."""
    left_out: list[tuple[Entry, str]]
    """With the reason."""
    tie_groups: list[list[Entry]] | None
    """Maximal groups of learners that cannot be told apart, the best first; a learner may be in
    several. None where fewer than two learners have `ENOUGH_SEEDS` seeds or nothing to train, and
    above `MOST_GROUPED` of them: there may be exponentially many groups."""


@dataclass(frozen=True)
class Answered:
    """What the learners of a board answered, as far as they can be compared."""

    board: Board
    answers: list[Answers]
    """The best first."""
    left_out: list[tuple[Entry, str]]
    """With the reason."""


def read_board(board: Board, problems: list[Problem] | None = None) -> Answered:
    """Reads each ``episodes.json`` of a board once. What cannot be compared stands in ``left_out``.

    Args:
        board: whose.
        problems: damaged ``episodes.json`` are added to it.
    """
    answered: list[Answers] = []
    left_out: list[tuple[Entry, str]] = []
    for entry in [*board.scored, *(e for e in board.entries if e.score(board.metric) is None)]:
        read = read_answers(entry, board.metric, problems)
        if isinstance(read, Answers):
            answered.append(read)
        else:
            left_out.append((entry, read))
    common = common_banks([answers.entry for answers in answered])
    for answers in list(answered):
        if bank_of(answers.entry) not in common:
            answered.remove(answers)
            left_out.append((answers.entry, "answered other episodes than the rest of the board"))
    return Answered(board, answered, left_out)


def compare_board(board: Board, problems: list[Problem] | None = None) -> BoardComparisons:
    """Compares every pair of complete learners; Holm over all of them. See `read_board`."""
    return compare_answered(read_board(board, problems))


def compare_answered(read: Answered) -> BoardComparisons:
    """The same of what has been read."""
    answered = read.answers
    first, second = np.triu_indices(len(answered), 1)
    pairs = _adjusted(_compare(answered, first, second))
    return BoardComparisons(
        read.board,
        [answers.entry for answers in answered],
        pairs,
        read.left_out,
        _learner_ties(pairs),
    )


def compare_pairs(pairs: Sequence[tuple[Entry, Entry, Metric]]) -> list[Comparison | str]:
    """Compares the second of each pair, B, with the first, A; Holm over all pairs.

    Returns:
        For each pair the comparison B - A, or why there is none.
    """
    read = [_read_pair(a, b, metric) for a, b, metric in pairs]
    comparable = [place for place, both in enumerate(read) if not isinstance(both, str)]
    answered = [answers for both in read if not isinstance(both, str) for answers in both]
    a = np.arange(0, len(answered), 2)  # A and B take turns
    compared = _adjusted(_compare(answered, a + 1, a))
    comparisons = dict(zip(comparable, compared, strict=True))
    return [
        both if isinstance(both, str) else comparisons[place] for place, both in enumerate(read)
    ]


def _read_pair(a: Entry, b: Entry, metric: Metric) -> tuple[Answers, Answers] | str:
    """What both answered; else why they cannot be compared."""
    first, second = read_answers(a, metric), read_answers(b, metric)
    if isinstance(first, Answers) and isinstance(second, Answers):
        return (first, second) if nested(a, b) else "A and B answered other episodes"
    missing = [
        f"{side}: {why}" for side, why in (("A", first), ("B", second)) if isinstance(why, str)
    ]
    return "; ".join(missing)


def _compare(
    answered: Sequence[Answers], first: NDArray[Any], second: NDArray[Any]
) -> list[Comparison]:
    """Compares ``answered[first[k]]`` with ``answered[second[k]]`` for all k, not yet adjusted."""
    lengths = np.array([answers.episodes for answers in answered], int)
    shared = np.minimum(lengths[first], lengths[second])
    made: list[Comparison | None] = [None] * len(first)
    for n in np.unique(shared).tolist():
        which = np.flatnonzero(shared == n)
        for part in np.array_split(which, -(-which.size * n // CHUNK)):
            compared = _compare_shared(answered, first[part], second[part], n)
            for k, comparison in zip(part.tolist(), compared, strict=True):
                made[k] = comparison
    return [comparison for comparison in made if comparison is not None]


def _compare_shared(
    answered: Sequence[Answers], first: NDArray[Any], second: NDArray[Any], n: int
) -> Iterable[Comparison]:
    """The same on the first n episodes."""
    used, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    i, j = np.split(place, 2)  # positions within `used`
    members = [answered[k] for k in used.tolist()]
    average = np.stack([answers.average[:n] for answers in members])  # (U, n)
    sizes = np.abs(average).max(1)  # (U,)
    scale = np.maximum(sizes[i], sizes[j])
    differences = without_rounding(average[i] - average[j], scale[:, None])  # (P, n)
    untrained = np.array([answers.entry.untrained for answers in members])
    seeds = np.where(untrained, np.inf, [answers.seeds for answers in members])
    fewer = np.minimum(seeds[i], seeds[j])
    learners = fewer >= ENOUGH_SEEDS
    means = [_seed_means(answers, n) for answers in members]
    between = np.array([_squared_error(own, np.abs(own).max()) for own in means])
    between[untrained] = 0
    variances = np.stack(
        [_squared_error(differences, scale), *np.where(learners, between[[i, j]], 0)]
    )
    df = np.stack([np.full(len(i), n - 1), *np.where(learners, seeds[[i, j]] - 1, np.inf)])
    tests = t_tests(differences.mean(1), variances, df)
    counted = np.where(learners & np.isfinite(fewer), fewer, n)
    for k, values in enumerate(zip(*_plain(tests), strict=True)):
        mean, ci95, p, detectable = values
        yield Comparison(
            members[i[k]].entry,
            members[j[k]].entry,
            "learners" if learners[k] else "weights",
            mean or 0.0,
            ci95,
            p,
            None,
            detectable,
            int(counted[k]),
        )


def _seed_means(answers: Answers, n: int) -> NDArray[np.float64]:
    return answers.scores[:, :n].mean(1)


def _squared_error(values: NDArray[np.float64], scale: Any) -> NDArray[np.float64]:
    """Squared standard error of the mean along the last axis; 0 for one value, and for values that
    are equal but for rounding, `scale` being the size of what they were computed from."""
    n = values.shape[-1]
    varies = np.ptp(values, axis=-1) > ROUNDING * scale
    return np.where(varies, values.var(axis=-1) / max(n - 1, 1), 0.0)


def _plain(tests: Differences) -> Iterable[list[float | None]]:
    for values in tests:
        yield [None if np.isnan(value) else value for value in values.tolist()]


def _adjusted(pairs: list[Comparison]) -> list[Comparison]:
    p = holm([np.nan if pair.p is None else pair.p for pair in pairs]).tolist()
    return [
        pair if pair.p is None else replace(pair, p_holm=value)
        for pair, value in zip(pairs, p, strict=True)
    ]


def tied_groups(entries: Sequence[Entry], pairs: Sequence[Comparison]) -> list[list[Entry]] | None:
    """Maximal groups of those entries that no pair tells apart, in their order; None for many."""
    if len(entries) > MOST_GROUPED:
        return None
    place = {entry: k for k, entry in enumerate(entries)}
    differ = np.zeros((len(entries), len(entries)), bool)
    for pair in pairs:
        if pair.told_apart and pair.a in place and pair.b in place:
            i, j = place[pair.a], place[pair.b]
            differ[i, j] = differ[j, i] = True
    return [[entries[k] for k in group] for group in tie_groups(differ)]


def seeded_entries(pairs: Sequence[Comparison]) -> list[Entry]:
    """The learners with enough seeds, in the order of the pairs."""
    both = (entry for pair in pairs if pair.about == "learners" for entry in (pair.a, pair.b))
    return list(dict.fromkeys(both))


def _learner_ties(pairs: Sequence[Comparison]) -> list[list[Entry]] | None:
    seeded = seeded_entries(pairs)
    return tied_groups(seeded, pairs) if seeded else None
