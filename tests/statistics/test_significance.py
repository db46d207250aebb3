"""Tests of differences against scipy, published tables, brute force and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.statistics.significance import (
    holm,
    rank_over_datasets,
    t_tests,
    tie_groups,
    without_rounding,
)

values = st.lists(st.floats(-10, 10), min_size=2, max_size=12).filter(lambda v: np.std(v) > 1e-3)


def student(differences):
    """The test of a mean over the last axis."""
    n = differences.shape[-1]
    return t_tests(differences.mean(-1), [differences.var(-1, ddof=1) / n], [[n - 1]])


def welch(a, b):
    """The test of two groups along the last axis."""
    parts = [x.var(-1, ddof=1) / x.shape[-1] for x in (a, b)]
    df = [[a.shape[-1] - 1], [b.shape[-1] - 1]]
    return t_tests(a.mean(-1) - b.mean(-1), parts, df)


@given(values)
def test_one_part_is_students_test(sample):
    tested = student(np.array([sample]))
    expected = scipy_stats.ttest_1samp(sample, 0)
    assert tested.p[0] == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-12)
    low, high = expected.confidence_interval(0.95)
    assert tested.mean - tested.ci95 == pytest.approx([low], abs=1e-8)
    assert tested.mean + tested.ci95 == pytest.approx([high], abs=1e-8)


@given(values, values)
def test_two_parts_are_welchs_test(a, b):
    tested = welch(np.array([a]), np.array([b]))
    expected = scipy_stats.ttest_ind(a, b, equal_var=False)
    assert tested.p[0] == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-12)
    low, high = expected.confidence_interval(0.95)
    assert tested.mean - tested.ci95 == pytest.approx([low], abs=1e-8)
    assert tested.mean + tested.ci95 == pytest.approx([high], abs=1e-8)


def test_a_further_part_widens_the_interval_by_hand():
    # Variances 0.03 + 0.01 + 0.01 with 2, 2 and 99 degrees of freedom: error sqrt(0.05), and
    # 0.05^2 / (0.03^2/2 + 0.01^2/2 + 0.01^2/99) = 0.0025 / 0.00050101 = 4.98991 degrees.
    tested = t_tests([1.0], [[0.03], [0.01], [0.01]], [[2], [2], [99]])
    error = math.sqrt(0.05)
    assert tested.ci95[0] == pytest.approx(error * scipy_stats.t.ppf(0.975, 4.98991), rel=1e-5)
    assert tested.p[0] == pytest.approx(2 * scipy_stats.t.sf(1 / error, 4.98991), rel=1e-5)


def test_without_variance_or_with_too_few_values():
    none = t_tests([0.0, 0.3, -0.3], [[0.0] * 3], [[4]])
    assert none.p.tolist() == [1, 1 / 16, 1 / 16]  # five on one side: 2 * 0.5^5
    assert np.isnan([none.ci95, none.detectable]).all()
    # One side without variance: Welch's degrees of freedom are those of the other.
    half = t_tests([0.3], [[0.0], [0.04]], [[2], [4]])
    assert half.p[0] == pytest.approx(2 * scipy_stats.t.sf(1.5, 4))
    single = t_tests([0.3], [[0.0]], [[0]])
    assert single.mean[0] == 0.3
    assert np.isnan([single.p, single.ci95, single.detectable]).all()
    assert [len(part) for part in t_tests([], np.empty((3, 0)), np.empty((3, 0)))] == [0] * 4


def test_rounding_is_no_variance():
    """0.9 - 0.8 and 0.8 - 0.7 differ in the last bits: a t test of the two is certain."""
    sample = np.array([[0.9, 0.8]]) - np.array([[0.8, 0.7]])
    assert 0 < np.ptp(sample) < 1e-15
    tested = student(sample)
    assert tested.p.tolist() == [0.5]
    assert np.isnan(tested.ci95).all()


@pytest.mark.parametrize("n", [2, 4, 10, 200])
def test_equal_differences_are_never_certain(n):
    tested = student(np.ones((1, n)))
    assert tested.p.tolist() == [2 * 0.5**n]


def test_of_several_parts_the_largest_counts():
    infinite = t_tests([1.0], [[0.0]] * 3, [[3], [np.inf], [2]])
    assert infinite.p.tolist() == [2 * 0.5**4]


def test_what_is_left_of_equal_numbers_is_nothing():
    scores = np.array([0.1 + 0.2, 0.3, 0.5])
    assert without_rounding(scores - [0.3, 0.3, 0.25], 0.5).tolist() == [0, 0, 0.25]


# -- power ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [2, 4, 4.7, 199, 999])
def test_the_detectable_difference_has_80_percent_power(df):
    """scipy's non-central t as the oracle, both tails."""
    error = 0.3
    tested = t_tests([0.0], [[error**2]], [[df]])
    critical = scipy_stats.t.ppf(0.975, df)
    power = scipy_stats.nct.sf(critical, df, tested.detectable[0] / error)
    assert power == pytest.approx(0.8, abs=1e-5)


def test_the_detectable_difference_is_detected_in_80_percent():
    """Five values with known standard deviation 1: d solves the non-central t for 4 degrees."""
    d = t_tests([0.0], [[1 / 5]], [[4]]).detectable[0]
    sample = np.random.default_rng(1).normal(d, 1, size=(20_000, 5))
    assert np.mean(student(sample).p < 0.05) == pytest.approx(0.8, abs=0.0085)  # 3 errors


# -- Holm -----------------------------------------------------------------------------------------


def test_holm_by_hand():
    # Ascending 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04 -> never falling.
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]).tolist() == [1, 1]  # 0.5 * 2; 0.6 is raised to it
    assert holm([0.02, math.nan, 0.03]).tolist()[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(holm([0.02, math.nan])[1])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_sequential_procedure_rejects(p):
    """Holm's own words: reject the smallest while ``p < alpha / (m - i + 1)``, then stop."""
    rejected, m = set(), len(p)
    for i, k in enumerate(np.argsort(p)):
        if p[k] * (m - i) >= 0.05:
            break
        rejected.add(int(k))
    assert set(np.flatnonzero(holm(p) < 0.05).tolist()) == rejected


# -- ranks over datasets --------------------------------------------------------------------------

DEMSAR = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
"""Table 5 (a): critical values at 5 % of the two-tailed Nemenyi test for 2 to 10 learners."""


@pytest.mark.parametrize(("k", "q"), list(enumerate(DEMSAR, start=2))[1:])
def test_critical_differences_are_those_of_the_published_table(k, q):
    scores = np.random.default_rng(k).normal(size=(14, k))
    published = q * math.sqrt(k * (k + 1) / (6 * 14))
    assert rank_over_datasets(scores).critical_difference == pytest.approx(published, rel=4e-4)


def test_ranks_and_friedman_by_hand():
    # Ranks 1 2 3, 1 2 3, 1.5 1.5 3, 2 1 3: means 5.5/4, 6.5/4, 3.
    scores = [[0.9, 0.8, 0.7], [0.5, 0.4, 0.1], [0.6, 0.6, 0.2], [0.7, 0.8, 0.1]]
    ranked = rank_over_datasets(scores)
    assert ranked.mean.tolist() == [1.375, 1.625, 3.0]
    # 12 * 4 / (3 * 4) * (1.375^2 + 1.625^2 + 9 - 3 * 4^2 / 4) = 6.125, over the correction for one
    # tie of two, 1 - (2^3 - 2) / (4 * (3^3 - 3)) = 0.9375: chi^2 6.5333 with 2 degrees.
    assert ranked.p == pytest.approx(math.exp(-6.125 / 0.9375 / 2))
    # Demšar 2006, section 3.2.2: CD = 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25 for 4 on 14 datasets.
    example = rank_over_datasets(np.random.default_rng(0).normal(size=(14, 4)))
    assert example.critical_difference == pytest.approx(1.25, abs=0.005)


def test_equal_scores_share_a_rank_and_differ_nowhere():
    ranked = rank_over_datasets(np.ones((6, 4)))
    assert (ranked.mean.tolist(), ranked.p) == ([2.5] * 4, 1.0)


# -- groups ---------------------------------------------------------------------------------------


def test_tie_groups_by_hand():
    differ = np.zeros((4, 4), bool)
    differ[0, 2] = differ[2, 0] = differ[3, :3] = differ[:3, 3] = True
    assert tie_groups(differ) == [[0, 1], [1, 2], [3]]
    assert tie_groups(np.zeros((3, 3), bool)) == [[0, 1, 2]]
    assert tie_groups(~np.eye(3, dtype=bool)) == [[0], [1], [2]]


@given(st.integers(1, 7).flatmap(lambda k: st.tuples(st.just(k), st.sets(
    st.sampled_from(list(itertools.combinations(range(k), 2)) or [(0, 0)])))))  # fmt: skip
def test_tie_groups_are_the_maximal_ones(case):
    """Against all subsets."""
    k, pairs = case
    differ = np.zeros((k, k), bool)
    for i, j in pairs:
        if i != j:
            differ[i, j] = differ[j, i] = True
    tied = [
        set(group)
        for size in range(1, k + 1)
        for group in itertools.combinations(range(k), size)
        if not differ[np.ix_(group, group)].any()
    ]
    maximal = [sorted(group) for group in tied if not any(group < other for other in tied)]
    assert tie_groups(differ) == sorted(maximal)


@pytest.mark.parametrize(("seeds", "spread"), [((3, 3), 0.2), ((5, 5), 0.2), ((3, 5), 0.3)])
def test_intervals_of_seed_means_cover_in_95_percent(seeds, spread):
    """20,000 repetitions, binomial error 0.15 %; of few values Welch's is a little too wide."""
    rng = np.random.default_rng(sum(seeds))
    a, b = (rng.normal(0, sd, (20_000, n)) for sd, n in zip((0.2, spread), seeds, strict=True))
    tested = welch(a, b)
    covered = np.abs(tested.mean) <= tested.ci95
    assert 0.945 < covered.mean() < 0.97
    assert ((tested.p > 0.05) == covered).all()  # interval and test say the same
