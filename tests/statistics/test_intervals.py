"""Statistics against scipy, hand-computed constants and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.statistics import intervals as stats


def test_mean_interval_by_hand() -> None:
    # [1, 2, 3, 4]: mean 2.5, s = sqrt(5/3), t(3, 0.975) = 3.18244631.
    mean, ci95 = stats.mean_interval([1, 2, 3, 4])
    assert mean == 2.5
    assert ci95 == pytest.approx(3.18244631 * math.sqrt(5 / 3) / 2, rel=1e-8)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40).filter(lambda v: np.std(v) > 1e-6))
def test_mean_interval_agrees_with_scipy(values: list[float]) -> None:
    low, high = scipy_stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=scipy_stats.sem(values)
    )
    mean, ci95 = stats.mean_interval(values)
    assert ci95 is not None
    assert (mean - ci95, mean + ci95) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


def test_intervals_cover_the_mean_in_95_percent() -> None:
    """Accuracies of 75 queries over 20 episodes: 4,000 repetitions, binomial error 0.34 %."""
    rng = np.random.default_rng(0)
    p = rng.beta(8, 2, size=(4000, 20))  # episodes differ in difficulty; mean 0.8
    scores = rng.binomial(75, p) / 75
    intervals = [stats.mean_interval(row) for row in scores]
    covered = np.mean([abs(mean - 0.8) <= ci95 for mean, ci95 in intervals])
    assert abs(covered - 0.95) < 0.015  # 3 errors, and the skew of the accuracies


def test_single_and_equal_values() -> None:
    assert stats.mean_interval([0.7]) == (0.7, None)
    assert stats.mean_interval([0.1] * 3)[1] == 0.0
    assert stats.mean_interval([0.3, 0.1 + 0.2])[1] == 0.0  # equal but for rounding
    assert all(math.isnan(x) for x in stats.mean_interval([0.1, math.nan]))
    with pytest.raises(ValueError, match="at least one"):
        stats.mean_interval([])


def test_against_one_training_by_hand() -> None:
    # [1, 2, 3]: s = 1, t(2, 0.975) = 4.30265273, and 1 + 1/3 of the variance.
    between = 4.30265273 * math.sqrt(4 / 3)
    half = stats.against_one_training([1, 2, 3], 3, 4)
    assert half == pytest.approx(math.sqrt(25 + between**2))
    assert stats.against_one_training([0.7], 3, 4) == stats.against_one_training([1] * 3, 3, 4) == 5


@pytest.mark.parametrize(("k", "spread"), [(3, 0.25), (3, 1.0), (5, 0.25), (10, 1.0)])
def test_a_training_of_the_same_learner_is_rarely_called_another(k: int, spread: float) -> None:
    """4,000 times k trainings and the paper's one, which differ by `spread` points, on episodes
    that make 0.1 points; an interval over episodes alone is wrong in half of them and more."""
    rng = np.random.default_rng(k)
    means = rng.normal(0, spread, (4000, k)) + rng.normal(0, 0.1, (4000, 1))
    paper = rng.normal(0, spread, 4000) + rng.normal(0, 0.1, 4000)
    differences = np.abs(means.mean(1) - paper)
    halves = [stats.against_one_training(row, 0.196, 0.196) for row in means]
    assert 0.01 < np.mean(differences > halves) < 0.06
    assert np.mean(differences > np.hypot(0.196, 0.196)) > 0.3


def test_first_presentation_ceiling() -> None:
    assert stats.first_presentation_ceiling(5) == pytest.approx(0.4566667)
    assert stats.first_presentation_ceiling(15) == pytest.approx(0.2212152, abs=1e-7)
    assert stats.first_presentation_ceiling(1) == 1.0


def test_first_presentation_ceiling_is_what_a_perfect_learner_scores() -> None:
    """Simulated: of the labels not yet seen it picks one at random."""
    rng = np.random.default_rng(4)
    unseen = np.arange(5, 0, -1)  # labels left when the 1st, 2nd, ... new class appears
    hits = rng.integers(0, unseen, size=(20_000, 5)) == 0
    assert stats.first_presentation_p(hits.mean(1), 5) > 0.001
    assert hits.mean() == pytest.approx(stats.first_presentation_ceiling(5), abs=0.005)


def test_first_presentations_by_hand() -> None:
    # 2 ways: the first new class is a guess between two, the second is certain. Of two episodes at
    # least 2 answers are right; 3 with probability 3/4, all 4 with 1/4.
    for right, p in ((2, 1), (3, 3 / 4), (4, 1 / 4)):
        assert stats.first_presentation_p([right / 4, right / 4], 2) == pytest.approx(p)
    # 3 ways, one episode: all three with 1/3 * 1/2.
    assert stats.first_presentation_p([1.0], 3) == pytest.approx(1 / 6)


def test_few_equal_scores_are_no_leak() -> None:
    """Three streams with 3 of 5 each: a t test sees no variance and would be certain."""
    assert stats.first_presentation_p([0.6, 0.6, 0.6], 5) > 0.1


def test_first_presentations_raise_few_false_alarms_and_find_a_leak() -> None:
    rng, unseen = np.random.default_rng(5), np.arange(5, 0, -1)
    hits = rng.integers(0, unseen, size=(2000, 20, 5)) == 0  # 2,000 times 20 episodes
    alarms = np.mean([stats.first_presentation_p(row.mean(1), 5) < 0.05 for row in hits])
    assert 0.02 < alarms < 0.06  # exact, but the counts are whole numbers
    peeking = hits[0] | (rng.random((20, 5)) < 0.5)
    assert stats.first_presentation_p(peeking.mean(1), 5) < stats.LEAK_P


def test_calibration_error_by_hand() -> None:
    # Two bins: (0, 0.5] holds 0.3 wrong, 0.5 right: |1 - 0.8|; (0.5, 1] 0.9 right, 0.9 wrong: |1 -
    # 1.8|. (0.2 + 0.8) / 4.
    error = stats.reliability([0.3, 0.5, 0.9, 0.9], [0, 1, 1, 0], bins=2).error
    assert error == pytest.approx(0.25)


def test_reliability_by_hand() -> None:
    answers, confidence, accuracy = stats.reliability([0.3, 0.5, 0.9, 0.7], [0, 1, 1, 1], bins=4)
    assert answers.tolist() == [0, 2, 1, 1]
    assert confidence.tolist() == pytest.approx([0, 0.4, 0.7, 0.9])
    assert accuracy.tolist() == [0, 0.5, 1, 1]


def test_calibration_error_of_the_calibrated_and_the_boastful() -> None:
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.2, 1, size=200_000)
    correct = rng.uniform(size=confidence.size) < confidence
    assert stats.reliability(confidence, correct).error < 0.01
    assert stats.reliability(np.ones(10), np.zeros(10)).error == 1.0
    assert stats.reliability(np.zeros(10), np.zeros(10)).error == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_agrees_with_the_naive_sum(answers: list[tuple[float, bool]]) -> None:
    bins, total = 15, 0.0
    edges = np.linspace(0, 1, bins + 1)
    for m in range(bins):
        low = edges[m] if m else -1.0  # a confidence of 0 belongs to the first bin
        members = [(c, y) for c, y in answers if low < c <= edges[m + 1]]
        if members:
            gap = np.mean([y for _, y in members]) - np.mean([c for c, _ in members])
            total += abs(gap) * len(members) / len(answers)
    confidence, correct = zip(*answers, strict=True)
    assert stats.reliability(confidence, correct).error == pytest.approx(total, abs=1e-12)


def test_calibration_error_refuses_different_lengths() -> None:
    with pytest.raises(ValueError, match="2 confidences for 3"):
        stats.reliability([0.1, 0.2], [1, 0, 1])
