"""Families of learners compared by learners drawn from them. Knows nothing of files.

A learner within a family is a *sample*: what is asked is whether another learner of one family
would be expected above another learner of the other. Seeds and episodes lie below the learners, so
that their variance is contained in the spread of the learners' means (a nested design).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from bench.statistics.significance import Differences, t_tests, without_rounding

ENOUGH_LEARNERS = 3
"""Below this nothing is claimed about a family: its spread is not known."""

FloatArray = NDArray[np.float64]


class Spread(NamedTuple):
    """The learners of a family on one board."""

    median: float
    deviation: float | None
    """Standard deviation between learners; None below two."""


def spread(scores: ArrayLike) -> Spread:
    """Median and standard deviation of the learners' scores.

    Args:
        scores: (L,) of each learner, L >= 1.

    Raises:
        ValueError: for no learners.
    """
    values = np.asarray(scores, float)
    if not values.size:
        raise ValueError("a family of no learners has no spread")
    deviation = float(values.std(ddof=1)) if values.size > 1 else None
    return Spread(float(np.median(values)), deviation)


def compare_families(families: Sequence[ArrayLike]) -> Differences:
    """The difference between the means of each two families, over further learners of them.

    The interval is Welch's, on the learners' means. To its variance that of the paired differences
    between episodes is added, as for pairs of learners: all learners share the episodes, and what
    one family makes of them does not show in the spread within it.

    Welch's *test* claims too much for few learners: with 3 against 8, up to 7 % where nothing
    differs. So p is Cochran and Cox's (1957, "Experimental Designs", section 4.14) in the tails:
    the mean of the parts' tail probabilities, weighted by their variances, each part with the
    degrees of freedom of its own. It is at least as large as it should be.

    Args:
        families: (*, L, E) each: scores by learner, averaged over its seeds, and episode, the same
            episodes in all; leading dimensions are repetitions.

    Returns:
        (*, P) each, in the order of ``itertools.combinations``, the first less the second, p not
        yet adjusted. NaN where one has fewer than `ENOUGH_LEARNERS` learners, or there are fewer
        than two episodes; without variance as `bench.statistics.significance.t_tests` has it.
    """
    scores = [np.asarray(family, float) for family in families]
    means = [family.mean(-1) for family in scores]  # (*, L)
    averages = [family.mean(-2) for family in scores]  # (*, E)
    pairs = list(combinations(range(len(scores)), 2))
    shape = means[0].shape[:-1] if means else ()
    tested = [_pair(means[i], means[j], averages[i] - averages[j]) for i, j in pairs]
    columns = zip(*tested, strict=True) if tested else ([],) * 4
    return Differences(
        *(np.stack(column, -1) if len(column) else np.empty((*shape, 0)) for column in columns)
    )


def _pair(a: FloatArray, b: FloatArray, episodes: FloatArray) -> Differences:
    """Of learners' means (*, L) and paired differences by episode (*, E)."""
    scale = np.maximum(np.abs(a).max(-1, initial=0), np.abs(b).max(-1, initial=0))
    shape, mean = a.shape[:-1], without_rounding(a.mean(-1) - b.mean(-1), scale)
    parts = (a, b, without_rounding(episodes, scale[..., None]))
    freedom = [part.shape[-1] - 1 for part in parts]
    if min(freedom[:2]) < ENOUGH_LEARNERS - 1 or freedom[2] < 1:
        unknown = np.full(shape, np.nan)
        return Differences(mean, unknown, unknown, unknown)
    variances = np.stack([part.var(-1, ddof=1) / part.shape[-1] for part in parts])  # (3, *)
    flat = variances.reshape(3, -1)
    df = np.broadcast_to(np.array(freedom, float)[:, None], flat.shape)
    tests = t_tests(mean.ravel(), flat, df)
    total, alike = flat.sum(0), np.isnan(tests.ci95)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean.ravel()) / np.sqrt(total)
        tails = (flat * 2 * stdtr(df, -t)).sum(0) / total
    p = np.where(alike, tests.p, tails)
    shaped = (values.reshape(shape) for values in (tests.ci95, p, tests.detectable))
    return Differences(mean, *shaped)
