"""Performance profiles: in how many settings a learner is nearly the best. Arrays in, numbers
out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def behind_best(scores: ArrayLike) -> FloatArray:
    """How far each learner is behind the best of a setting: (settings, learners), 0 the best.

    Args:
        scores: (settings, learners), more is better; NaN where there is none.
    """
    values = np.asarray(scores, float)
    filled = np.where(np.isnan(values), -np.inf, values)
    return np.where(np.isnan(values), np.nan, filled.max(1, keepdims=True) - values)


def times_cheapest(costs: ArrayLike) -> FloatArray:
    """The cost of each learner over that of the cheapest in a setting: (settings, learners), 1 the
    cheapest.

    Args:
        costs: (settings, learners), above 0; NaN where there is none.
    """
    values = np.asarray(costs, float)
    filled = np.where(np.isnan(values), np.inf, values)
    return values / filled.min(1, keepdims=True)


def profile(ratios: ArrayLike, within: ArrayLike) -> FloatArray:
    """The share of settings in which a learner is within each bound: (bounds, learners).

    Source: Dolan and Moré 2002, "Benchmarking optimization software with performance profiles",
    section 2: ``rho(tau)``. What is missing is within no bound.

    Args:
        ratios: (settings, learners) of `behind_best` or `times_cheapest`.
        within: (bounds,) bounds, inclusive.
    """
    values = np.asarray(ratios, float)[None]  # (1, settings, learners)
    bounds = np.asarray(within, float)[:, None, None]
    # A bound that was computed as the ratio was is met in spite of rounding.
    return (values <= bounds * (1 + 1e-12) + 1e-12).mean(1)
