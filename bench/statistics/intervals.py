"""Arrays in, numbers out: intervals and tests. Knows nothing of learners or files.

A *score* is one number per episode (an accuracy, a negative log-likelihood). Intervals are
two-sided, 95 %, Student-t. Which differences hold is `bench.statistics.significance`'s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95


ROUNDING = 1e-12
"""Values that differ by no more than this share of their size are equal but for rounding."""


LEAK_P = 1e-4
"""First presentations better than this `first_presentation_p` are called a leak."""


class MeanInterval(NamedTuple):
    """A mean and the half-width of its interval."""

    mean: float
    ci95: float | None
    """None for a single value; 0 where all values are equal, but for rounding: that is no interval,
    and no report writes it as one."""


def _scores(values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64).ravel()
    if scores.size == 0:
        raise ValueError("statistics need at least one value")
    return scores


def _standard_error(scores: NDArray[np.float64]) -> float:
    # Exactly 0 for equal values: the rounded mean of [0.1] * 3 differs from 0.1.
    alike = np.ptp(scores) <= ROUNDING * np.abs(scores).max()
    return 0.0 if alike else float(scores.std(ddof=1) / np.sqrt(scores.size))


def mean_interval(values: ArrayLike) -> MeanInterval:
    """Mean and half-width of its 95 % Student-t interval.

    Args:
        values: (n,) scores, n >= 1. NaN among them makes both results NaN.

    Raises:
        ValueError: for no values.
    """
    scores = _scores(values)
    mean = float(scores.mean())
    if scores.size == 1:
        return MeanInterval(mean, None)
    from scipy.special import stdtrit  # takes 0.1 s to import

    quantile = float(stdtrit(scores.size - 1, 0.5 + CONFIDENCE / 2))
    return MeanInterval(mean, quantile * _standard_error(scores))


def against_one_training(means: ArrayLike, episodes: float, others: float) -> float:
    """Half-width of the 95 % interval of a mean over trainings less the figure of one other.

    The other is a training of somebody else's, about which nothing is known but its figure. If it
    is one of the same learner, it varies as much as those at hand: the difference has the variance
    ``s^2 (1 + 1/k)``, as a further value that is predicted from k ones. The intervals over the
    episodes of both come on top.

    Args:
        means: (k,) mean of each training, k >= 1. Of one alone nothing is added: it is what has no
            variance between trainings.
        episodes: half-width of the interval of the mean over episodes.
        others: the same of the other figure.

    Raises:
        ValueError: for no means.
    """
    scores = _scores(means)
    if scores.size == 1:
        return float(np.hypot(episodes, others))
    _, half = mean_interval(scores)
    between = (half or 0.0) * np.sqrt(1 + scores.size)
    return float(np.sqrt(episodes**2 + others**2 + between**2))


def first_presentation_ceiling(ways: int) -> float:
    """The highest honest accuracy when a class is presented for the first time.

    A learner that recognises every class it has seen guesses among the labels not yet seen. The
    j-th new class of an episode meets ``ways - j + 1`` such labels, so the mean over an episode is
    ``mean(1/k for k = 1 .. ways)``: 45.7 % for 5 ways, 22.1 % for 15. More is a leak.
    """
    return float(np.mean(1 / np.arange(1, ways + 1)))


def first_presentation_p(accuracy: ArrayLike, ways: int) -> float:
    """The probability that an honest learner does as well at first presentations, at most.

    Whatever came before, it is right at the j-th new class of an episode with probability
    ``1 / (ways - j + 1)`` at most. So the number of its right answers is, at most, a sum of
    independent draws with these probabilities (Poisson binomial): exact, also for few episodes.

    Args:
        accuracy: (n,) of each episode, over its `ways` first presentations.
        ways: classes of an episode.

    Raises:
        ValueError: for no values.
    """
    from scipy.stats import poisson_binom

    scores = _scores(accuracy)
    right = round(float(scores.sum()) * ways)
    chances = np.tile(1 / np.arange(1, ways + 1), scores.size)
    return max(0.0, float(poisson_binom(chances).sf(right - 1)))


class Reliability(NamedTuple):
    """Answers by the probability that was given to them: the points of a reliability diagram."""

    answers: NDArray[np.int64]
    """(M,) answers whose confidence fell into the bin ``((m-1)/M, m/M]``."""
    confidence: NDArray[np.float64]
    """(M,) their mean confidence, 0 for an empty bin."""
    accuracy: NDArray[np.float64]
    """(M,) the fraction of them that was right, 0 for an empty bin."""

    @property
    def error(self) -> float:
        """Expected calibration error, in [0, 1]: the gaps between accuracy and mean confidence of
        each bin, averaged, weighted by the answers in it."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(self.answers @ gaps / self.answers.sum())


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> Reliability:
    """Sorts answers into equal-width bins of confidence.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equations 1 to 3.

    Args:
        confidence: (n,) probability given to the answer; NaN among them makes the error NaN.
        correct: (n,) whether the answer was right.
        bins: M.

    Raises:
        ValueError: for no answers, or different numbers of the two.
    """
    confidence, correct = _scores(confidence), _scores(correct)
    if confidence.size != correct.size:
        raise ValueError(f"{confidence.size} confidences for {correct.size} answers")
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.digitize(confidence, edges, right=True)
    answers = np.bincount(bin_of, minlength=bins)
    sums = (np.bincount(bin_of, values, bins) for values in (confidence, correct))
    return Reliability(answers, *(total / np.maximum(answers, 1) for total in sums))
