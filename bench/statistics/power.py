"""How many seeds, and how many episodes, a difference takes to be found. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import nctdtr, ndtr, stdtrit

from bench.statistics.significance import ALPHA, POWER

FloatArray = NDArray[np.float64]

FEWEST_SEEDS = 3
"""Of each learner, in a claim about learners."""
MOST_SEEDS = 1000
MOST_EPISODES = 1_000_000


class Needed(NamedTuple):
    """What pairs of learners take; (P,) each. NaN where a variance is not known; infinite where no
    number, up to `MOST_SEEDS` and `MOST_EPISODES`, is enough."""

    seeds: FloatArray
    """Of each learner, on as many episodes as now."""
    episodes: FloatArray
    """With as many seeds as now."""


def found(difference: ArrayLike, variances: ArrayLike, df: ArrayLike) -> FloatArray:
    """The probability that a two-sided test at 5 % finds a true difference: (P,).

    Args:
        difference: (P,) true ones.
        variances: (K, P) parts of the variance of its estimate: squared standard errors.
        df: (K, P) degrees of freedom of each.

    The far tail, below 1e-6 for all that is of interest, is left out, as in
    `bench.statistics.significance.t_tests`.
    """
    size, parts = np.abs(np.asarray(difference, float)), np.asarray(variances, float)
    freedom = np.broadcast_to(np.asarray(df, float), parts.shape)
    total = parts.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(total > 0, total**2 / (parts**2 / freedom).sum(0), 1.0)
        shift = np.where(total > 0, size / np.sqrt(total), np.where(size > 0, np.inf, 0.0))
    together = np.maximum(together, 1)
    critical = stdtrit(together, 1 - ALPHA / 2)
    power = 1 - nctdtr(together, np.where(shift < 40, shift, np.nan), critical)
    # Far beyond the critical value its series gives up: Abramowitz and Stegun 1964, 26.7.10.
    scale = np.sqrt(1 + critical**2 / (2 * together))
    beyond = ndtr((shift - critical * (1 - 1 / (4 * together))) / scale)
    return np.where(np.isnan(power), beyond, power)


def needed(
    difference: ArrayLike,
    between: ArrayLike,
    paired: ArrayLike,
    seeds: ArrayLike,
    episodes: ArrayLike,
) -> Needed:
    """What it takes to find a difference as large as the measured one in 80 % of repetitions.

    The test is that of `bench.results.pairs` about learners: its variance is that of the two means
    over seeds, and of the paired differences between episodes, whose part shrinks with more
    episodes only (what more seeds would average out of it is not known: the figure errs upwards).

    Args:
        difference: (P,) measured.
        between: (2, P) variance between the seeds of each learner; 0 of one that has nothing to
            train, NaN where it has a single seed.
        paired: (P,) variance between episodes of the paired differences.
        seeds: (P,) now, of the side that has fewer.
        episodes: (P,) now.
    """
    sizes, spread = np.asarray(difference, float), np.asarray(between, float)
    apart, now = np.asarray(paired, float), np.asarray(seeds, float)
    answered = np.asarray(episodes, float)

    def power(trained: FloatArray, asked: FloatArray) -> FloatArray:
        parts = np.stack([*(spread / trained), apart / asked])
        one = np.maximum(trained - 1, 1)
        freedom = [np.where(side > 0, one, np.inf) for side in spread]
        return found(sizes, parts, np.stack([*freedom, np.maximum(asked - 1, 1)]))

    known = ~np.isnan(spread).any(0) & (sizes != 0)
    shape = np.broadcast_shapes(sizes.shape, now.shape)
    least = np.full(shape, float(FEWEST_SEEDS))
    return Needed(
        np.where(known, _least(lambda s: power(s, answered), least, MOST_SEEDS), _unknown(sizes)),
        np.where(
            known,
            _least(lambda n: power(np.maximum(now, FEWEST_SEEDS), n), least, MOST_EPISODES),
            _unknown(sizes),
        ),
    )


def _unknown(sizes: FloatArray) -> FloatArray:
    """No number finds a difference of 0; of what is not known nothing is said."""
    return np.where(sizes == 0, np.inf, np.nan)


def _least(power: Callable[[FloatArray], FloatArray], least: FloatArray, most: int) -> FloatArray:
    """The smallest whole numbers from `least` to `most` with enough power, by bisection; else
    infinite. Power grows with the number."""
    low, high = least.copy(), np.full_like(least, most)
    enough = power(high) >= POWER
    while (low < high).any():
        middle = np.floor((low + high) / 2)
        reached = power(middle) >= POWER
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
        low = np.minimum(low, high)
    return np.where(enough, low, np.inf)
