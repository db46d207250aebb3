"""Claims about families: how often they are false and how often intervals cover, simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.statistics.families import compare_families, spread
from bench.statistics.significance import holm

REPETITIONS = 2000
LEARNERS, SEEDS, NOISE, DIFFICULTY = 2.0, 0.5, 1.55, 3.0
"""Standard deviations in points: between learners of a family, between seeds of a learner, of an
answer, and of what the episodes have in common."""


def simulate(sizes, seeds, episodes=60, spreads=None, family_by_episode=0.0, skewed=False):
    """Families without a difference: a list of (REPETITIONS, L, episodes)."""
    rng = np.random.default_rng([*sizes, seeds, episodes, int(skewed)])

    def normal(scale, *shape):
        return scale * rng.standard_normal((REPETITIONS, *shape), dtype=np.float32)

    difficulty = normal(DIFFICULTY, 1, episodes)
    families = []
    for size, scale in zip(sizes, spreads or [LEARNERS] * len(sizes), strict=True):
        draw = 1 - rng.exponential(1, (REPETITIONS, size, 1)) if skewed else normal(1, size, 1)
        scores = scale * draw + normal(SEEDS / math.sqrt(seeds), size, 1)
        scores = scores + normal(NOISE / math.sqrt(seeds), size, episodes) + difficulty
        families.append(scores + normal(family_by_episode, 1, episodes))
    return families


def claimed(tests):
    return np.mean([(holm(p) < 0.05).any() for p in tests.p])


def bound(share):
    """Three binomial standard errors."""
    return 3 * math.sqrt(share * (1 - share) / REPETITIONS)


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 5), (3, 8), (5, 8), (8, 8)])
def test_of_two_families_at_most_5_percent_of_claims_are_false(sizes, seeds):
    tests = compare_families(simulate(sizes, seeds))
    assert claimed(tests) <= 0.05
    covered = np.mean(np.abs(tests.mean) <= tests.ci95)
    assert 0.93 - bound(0.07) < covered < 0.97 + bound(0.03)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (3, 5, 8), (8, 8, 8)])
def test_holm_keeps_three_families_at_5_percent(sizes):
    assert claimed(compare_families(simulate(sizes, 1))) <= 0.05


@pytest.mark.parametrize("spreads", [(1.0, 4.0), (4.0, 1.0)])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 8), (8, 8)])
def test_unequal_spreads_make_no_more_false_claims(sizes, spreads):
    tests = compare_families(simulate(sizes, 3, spreads=spreads))
    assert claimed(tests) <= 0.05 + bound(0.05)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 8), (8, 8)])
def test_skewed_learners_make_no_more_false_claims(sizes):
    """As near the ceiling: most learners are good, a few are far below."""
    assert claimed(compare_families(simulate(sizes, 3, skewed=True))) <= 0.05


def test_what_a_family_makes_of_the_episodes_is_no_difference_between_families():
    """All learners answer the same episodes: Welch's test on their means alone is often wrong."""
    families = simulate((5, 5), 3, episodes=20, spreads=(0.3, 0.3), family_by_episode=6.0)
    a, b = (family.mean(-1) for family in families)
    assert np.mean(scipy_stats.ttest_ind(a, b, axis=-1, equal_var=False).pvalue < 0.05) > 0.2
    assert claimed(compare_families(families)) <= 0.05 + bound(0.05)


def test_welchs_test_claims_too_much_of_three_against_eight():
    """Why p is not Welch's."""
    a, b = (f.mean(-1) for f in simulate((3, 8), 3, spreads=(4.0, 2.0)))
    assert np.mean(scipy_stats.ttest_ind(a, b, axis=-1, equal_var=False).pvalue < 0.05) > 0.06


def test_a_true_difference_is_found():
    a, b = simulate((5, 5), 3)
    assert np.mean(compare_families([a + 6.0, b]).p < 0.05) > 0.8


def test_a_pair_by_hand():
    # Means of learners 1, 2, 3 and 5, 6, 10: differences by episode are constant, so that the third
    # part is 0. Variances 1/3 and 7/3 with 2 degrees of freedom each.
    a = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    b = np.array([[5.0, 5.0], [6.0, 6.0], [10.0, 10.0]])
    tests = compare_families([b, a])
    error = math.sqrt(1 / 3 + 7 / 3)
    df = (8 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (7 / 3) ** 2 / 2)
    assert tests.mean.tolist() == [5.0]
    assert tests.ci95[0] == pytest.approx(scipy_stats.t.ppf(0.975, df) * error)
    assert tests.p[0] == pytest.approx(2 * scipy_stats.t.sf(5 / error, 2))


def test_too_few_learners_are_not_enough():
    two, three = np.ones((2, 5)), np.arange(15.0).reshape(3, 5)
    tests = compare_families([three, two, three + 1])
    assert np.isnan(tests.p).tolist() == [True, False, True]
    assert np.isnan(tests.ci95).tolist() == [True, False, True]
    assert np.isnan(compare_families([three[:, :1], three[:, :1]]).p).all()  # a single episode
    assert compare_families([three]).p.shape == (0,)
    assert compare_families([]).p.shape == (0,)


def test_alike_learners_without_variance():
    same = np.full((3, 4), 0.5)
    assert compare_families([same, same]).p.tolist() == [1.0]
    tests = compare_families([same, same + 0.25])
    assert tests.p.tolist() == [2 * 0.5**4]  # the sign test over four episodes
    assert np.isnan(tests.ci95).all()
    # The same but for rounding.
    assert compare_families([same - 0.2, same - 0.1 - 0.1]).p.tolist() == [1.0]


def test_spread():
    assert spread([0.9, 0.5, 0.7]) == pytest.approx((0.7, 0.2))
    assert spread([0.9]) == (0.9, None)
    with pytest.raises(ValueError, match="no learners"):
        spread([])
