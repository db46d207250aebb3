"""Which differences hold: arrays in, numbers out. Knows nothing of learners or files.

Everything is two-sided at 5 %, and vectorised: a call handles all pairs of a board.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import nctdtrinc, ndtr, stdtr, stdtrit

from bench.statistics.intervals import CONFIDENCE, ROUNDING

ALPHA = 1 - CONFIDENCE


POWER = 0.8


FloatArray = NDArray[np.float64]


class Differences(NamedTuple):
    """Differences of means, one entry per pair. NaN where there are too few values to say; without
    variance there is a p, and nothing to tell an interval or a detectable difference from."""

    mean: FloatArray
    ci95: FloatArray
    """Half-width of the Student-t interval."""
    p: FloatArray
    """Of the t test of "no difference"."""
    detectable: FloatArray
    """The smallest true difference that the test finds in 80 % of repetitions."""


def t_tests(mean: ArrayLike, variances: ArrayLike, df: ArrayLike) -> Differences:
    """t tests of differences whose variance is a sum of estimated parts.

    With one part this is Student's test; with the two squared standard errors of independent groups
    it is Welch's. The degrees of freedom of the sum are Satterthwaite's (1946),
    ``sum(v)^2 / sum(v^2 / df)``.

    The smallest detectable difference is ``d * sqrt(sum(v))``, where d is the non-centrality at
    which a t variable with those degrees of freedom exceeds the critical value with probability
    0.8 (the far tail, below 1e-6, is left out).

    Args:
        mean: (P,) differences.
        variances: (K, P) the parts of their variances: squared standard errors.
        df: (K, P) degrees of freedom of each part; 0 where a single value leaves none.

    Where there is no variance, but for rounding, Student's t is infinite however few values there
    are. There a difference other than 0 has the p of the sign test, ``2 * 0.5^n``, n the values of
    the largest part: so often n values come out on one side by chance. A difference of 0 has p = 1.
    """
    mean, variances = np.asarray(mean, float), np.asarray(variances, float)
    df = np.broadcast_to(np.asarray(df, float), variances.shape)
    total = variances.sum(0)
    error = np.sqrt(total)
    varies = ~(error <= ROUNDING * np.abs(mean))  # of NaN nothing is known, p included
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(varies, total**2 / (variances**2 / df).sum(0), 1.0)
        t = np.where(varies, np.abs(mean) / error, 0.0)
    most = np.where(np.isfinite(df), df, 0).max(0) + 1
    signs = np.where(mean == 0, 1.0, 2 * 0.5**most)
    known = (df > 0).all(0)
    freedom = np.where(known, np.maximum(freedom, 1), 1)
    critical = stdtrit(freedom, 0.5 + CONFIDENCE / 2)
    noncentrality = nctdtrinc(freedom, 1 - POWER, critical)

    def where_known(values: FloatArray) -> FloatArray:
        return np.where(known, values, np.nan)

    return Differences(
        mean,
        where_known(np.where(varies, critical * error, np.nan)),
        where_known(np.where(varies, 2 * stdtr(freedom, -t), signs)),
        where_known(np.where(varies, noncentrality * error, np.nan)),
    )


def without_rounding(differences: FloatArray, scale: ArrayLike) -> FloatArray:
    """The same, but 0 where a difference is no more than rounding of what it is a difference of.

    Args:
        differences: of anything.
        scale: how large that was; of a shape that broadcasts with theirs.
    """
    return np.where(np.abs(differences) <= ROUNDING * np.asarray(scale, float), 0.0, differences)


def holm(p: ArrayLike) -> FloatArray:
    """Adjusts p-values for being many: Holm 1979, "A simple sequentially rejective multiple test
    procedure".

    The i-th smallest of m is multiplied by ``m - i + 1``, and none is smaller than one before it.
    A NaN stays NaN and does not count.

    Args:
        p: (m,) p-values.
    """
    p = np.asarray(p, float)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]  # NaN comes last
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.maximum.accumulate(p[order] * factors).clip(max=1)
    return adjusted


class Ranks(NamedTuple):
    """Learners ranked over independent datasets."""

    mean: FloatArray
    """(k,) mean rank of each, 1 the best."""
    p: float
    """Friedman's test of "all are alike"."""
    critical_difference: float
    """Nemenyi: mean ranks this far apart differ."""
    p_holm: FloatArray
    """(k(k-1)/2,) of each pair, in the order of ``itertools.combinations``, after Holm."""


def mean_ranks(scores: ArrayLike) -> FloatArray:
    """(k,) mean rank of each learner, 1 the best, ties shared.

    Args:
        scores: (N, k) of k learners on N datasets, more is better.
    """
    return _ranks(np.asarray(scores, float)).mean(0)


def _ranks(scores: FloatArray) -> FloatArray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(-scores, axis=1), float)


def rank_over_datasets(scores: ArrayLike) -> Ranks:
    """Friedman's test, Nemenyi's critical difference, and Holm's procedure over all pairs.

    Source: Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", section
    3.2.2: ``CD = q sqrt(k (k + 1) / 6N)``, q the studentized range over the square root of 2; of a
    pair ``z = (R_i - R_j) / sqrt(k (k + 1) / 6N)``.

    Args:
        scores: (N, k) of k >= 3 learners on N independent datasets, more is better.
    """
    from scipy.stats import friedmanchisquare, studentized_range  # a second to import

    scores = np.asarray(scores, float)
    n, k = scores.shape
    ranks = _ranks(scores)
    alike = bool((ranks == ranks[:, :1]).all())  # Friedman's statistic is 0 / 0 there
    p = 1.0 if alike else float(friedmanchisquare(*scores.T).pvalue)
    q = float(studentized_range.ppf(CONFIDENCE, k, np.inf)) / np.sqrt(2)
    error, mean = float(np.sqrt(k * (k + 1) / (6 * n))), ranks.mean(0)
    first, second = np.triu_indices(k, 1)
    pairs = holm(2 * ndtr(-np.abs(mean[first] - mean[second]) / error))
    return Ranks(mean, p, float(q * error), pairs)


def tie_groups(differ: ArrayLike) -> list[list[int]]:
    """The maximal groups within which no two differ; one may be in several.

    Source: Piepho 2004, "An Algorithm for a Letter-Based Representation of All-Pairwise
    Comparisons" (insert and absorb).

    Args:
        differ: (k, k) bool, symmetric: these two differ.

    Returns:
        Groups of indices, in ascending order.
    """
    differ = np.asarray(differ, bool)
    groups = [frozenset(range(len(differ)))]
    for i, j in np.argwhere(np.triu(differ)).tolist():
        both = [group for group in groups if i in group and j in group]
        kept = [group for group in groups if not (i in group and j in group)]
        for part in (group - {out} for group in both for out in (j, i)):
            if not any(part <= other for other in kept):
                kept.append(part)
        groups = kept
    return sorted(sorted(group) for group in groups)
