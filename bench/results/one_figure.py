"""A learner beside one figure of somebody else's: a paper's."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.boards import Entry
from bench.results.pairs import ENOUGH_SEEDS
from bench.statistics.intervals import against_one_training


def half_width_beside(
    entry: Entry, means: Sequence[float], episodes: float | None, others: float | None
) -> float | None:
    """Half-width of the 95 % interval of a learner's mean less a figure of one training.

    Args:
        entry: the learner.
        means: of its trainings.
        episodes: half-width of the interval of its mean over episodes; None where there is none.
        others: that of the other figure; None: not known, and taken for as wide as `episodes`.

    Returns:
        None where nothing can be said: without `episodes`, and with fewer trainings than
        `ENOUGH_SEEDS` of what is trained.
    """
    if episodes is None or not speaks_of_learner(entry, means):
        return None
    # Whatever is not trained does not vary between seeds: they are one and the same.
    own = means[:1] if entry.untrained else means
    return against_one_training(own, episodes, episodes if others is None else others)


def speaks_of_learner(entry: Entry, means: Sequence[float]) -> bool:
    """Whether these are enough trainings for a claim about the learner."""
    return bool(means) and (entry.untrained or len(means) >= ENOUGH_SEEDS)
