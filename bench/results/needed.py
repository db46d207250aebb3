"""How many more seeds or episodes would tell two learners apart, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench.results.boards import Board, Entry
from bench.results.formats import count
from bench.results.paired_scores import Answers
from bench.results.pairs import ENOUGH_SEEDS, Answered, BoardComparisons, Comparison
from bench.statistics.power import MOST_EPISODES, MOST_SEEDS, needed

ENOUGH_ALONE = "enough alone"
MOST_PAIRS = 12
"""Pairs of a board that are looked at."""


@dataclass(frozen=True)
class More:
    """What a pair takes, if its learners differ by as much as was measured."""

    pair: Comparison
    seeds: float | None
    """Of each, on as many episodes as now; infinite where none are enough, None where the variance
    between seeds is not known."""
    episodes: float | None
    """With as many seeds as now (`ENOUGH_SEEDS` at least); the same."""
    seeds_now: float
    """Of the trained side that has fewer; `ENOUGH_SEEDS` where neither is trained."""
    episodes_now: int

    @property
    def enough_alone(self) -> bool:
        """What is there is enough for a test of this pair alone: `seeds` and `episodes` know
        nothing of Holm's adjustment, after which the pair is not told apart."""
        return self.seeds is not None and self.seeds <= self.seeds_now

    def seeds_text(self) -> str:
        """``12``, or why there is no number."""
        return ENOUGH_ALONE if self.enough_alone else _text(self.seeds, MOST_SEEDS)

    def episodes_text(self) -> str:
        """The same of episodes."""
        if self.enough_alone:
            return ENOUGH_ALONE
        if self.episodes is not None and self.episodes <= self.episodes_now:
            return f"enough from {ENOUGH_SEEDS} seeds on"
        return _text(self.episodes, MOST_EPISODES)


def _text(number: float | None, most: int) -> str:
    if number is None:
        return "needs a second seed"
    return f"more than {most:,}" if math.isinf(number) else count(number)


def how_many_more(read: Answered, compared: BoardComparisons) -> list[More]:
    """What it takes for the pairs of interest that are not told apart as learners: the best of each
    family against each other, and neighbours in rank. At most `MOST_PAIRS`, the best first. Who is
    told apart is decided after Holm's adjustment over all pairs, what it takes is of one test.

    Args:
        read: what the learners answered.
        compared: the pairs of that.
    """
    pairs = list(pairs_of_interest(read.board, compared))[:MOST_PAIRS]
    if not pairs:
        return []
    answers = {own.entry: own for own in read.answers}
    between, paired, lengths = [], [], []
    for pair in pairs:
        both = [answers[pair.a], answers[pair.b]]
        shared = min(own.episodes for own in both)
        between.append([_between_seeds(own, shared) for own in both])
        difference = both[0].average[:shared] - both[1].average[:shared]
        paired.append(difference.var(ddof=1) if shared > 1 else np.nan)
        lengths.append(shared)
    seeds = [min(_seeds(answers[p.a]), _seeds(answers[p.b])) for p in pairs]
    seeds = [ENOUGH_SEEDS if math.isinf(own) else own for own in seeds]
    found = needed([p.mean for p in pairs], np.transpose(between), paired, seeds, lengths)
    return [
        More(pair, _known(trained), _known(asked), own, length)
        for pair, trained, asked, own, length in zip(
            pairs, found.seeds, found.episodes, seeds, lengths, strict=True
        )
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def pairs_of_interest(board: Board, compared: BoardComparisons) -> Iterator[Comparison]:
    """Those of the bests of the families and of neighbours in rank that no claim about learners
    tells apart."""
    place = {(pair.a, pair.b): pair for pair in compared.pairs}
    there = compared.compared
    bests: dict[str, Entry] = {}
    for entry in there:
        bests.setdefault(entry.family, entry)
    first = [(a, b) for k, a in enumerate(bests.values()) for b in list(bests.values())[k + 1 :]]
    wanted = dict.fromkeys([*first, *pairwise(there)])
    for both in wanted:
        pair = place.get(both) or place.get(both[::-1])
        if pair and not (pair.told_apart and pair.about == "learners"):
            yield pair


def _between_seeds(answers: Answers, episodes: int) -> float:
    """Variance of the means of its seeds; 0 of what has nothing to train, NaN of a single seed."""
    if answers.entry.untrained:
        return 0.0
    means = answers.scores[:, :episodes].mean(1)
    return float(means.var(ddof=1)) if means.size > 1 else math.nan


def _seeds(answers: Answers) -> float:
    return math.inf if answers.entry.untrained else answers.seeds


def more_sentences(more: Sequence[More]) -> list[str]:
    """Where nothing is known of any pair, that and why; else the table says it."""
    if more and all(own.seeds is None for own in more):
        return [
            "How many more seeds would tell learners apart is not known from one seed of each: a "
            "second one shows the variance between trainings."
        ]
    return []
