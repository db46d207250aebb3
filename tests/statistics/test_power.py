"""How many seeds and episodes a difference takes: against simulation and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.statistics.power import MOST_SEEDS, found, needed
from bench.statistics.significance import t_tests


@given(st.floats(0.01, 3), st.integers(2, 50))
def test_power_is_that_of_a_non_central_t(size, df):
    critical = scipy_stats.t.ppf(0.975, df)
    expected = scipy_stats.nct.sf(critical, df, size / 0.5)
    assert found([size], [[0.25]], [[df]])[0] == pytest.approx(expected, abs=1e-6)


def test_the_detectable_difference_has_the_power_that_it_is_named_for():
    parts, df = [[0.03], [0.01], [0.02]], [[2], [2], [199]]
    size = t_tests([0.0], parts, df).detectable
    assert found(size, parts, df) == pytest.approx(0.8, abs=1e-6)


def test_nothing_varies():
    assert found([0.1, 0.0], [[0.0, 0.0]], [[3, 3]])[0] == 1.0
    assert found([0.1, 0.0], [[0.0, 0.0]], [[3, 3]])[1] < 0.06
    assert found([1e9], [[1.0]], [[3]]).tolist() == [1.0]


def power_of(size, between, paired, seeds, episodes):
    parts = [[between[0] / seeds], [between[1] / seeds], [paired / episodes]]
    return found([size], parts, [[seeds - 1], [seeds - 1], [episodes - 1]])[0]


@given(st.floats(0.02, 0.2), st.floats(0.005, 0.05), st.floats(0.005, 0.05))
def test_one_less_is_not_enough(size, first, second):
    between, paired = (first**2, second**2), 0.05**2
    told = needed([size], [[v] for v in between], [paired], [3], [400])
    seeds, episodes = told.seeds[0], told.episodes[0]
    if math.isinf(seeds):
        assert power_of(size, between, paired, MOST_SEEDS, 400) < 0.8
    else:
        assert power_of(size, between, paired, seeds, 400) >= 0.8
        assert seeds == 3 or power_of(size, between, paired, seeds - 1, 400) < 0.8
    if math.isfinite(episodes) and episodes > 3:
        assert power_of(size, between, paired, 3, episodes) >= 0.8
        assert power_of(size, between, paired, 3, episodes - 1) < 0.8


def test_the_seeds_that_are_named_find_the_difference():
    """Simulated: so many trainings of both learners, the test of `bench.results.pairs` on them."""
    size, sd, noise, episodes = 0.02, 0.012, 0.05, 400
    told = needed([size], [[sd**2], [sd**2]], [2 * noise**2], [3], [episodes])
    seeds = int(told.seeds[0])
    rng = np.random.default_rng(0)
    means = rng.normal([[[size]], [[0.0]]], sd, (2, seeds, 4000))
    chosen = rng.normal(0, noise * math.sqrt(2 / episodes), 4000)
    parts = [*(means.var(1, ddof=1) / seeds), np.full(4000, 2 * noise**2 / episodes)]
    df = [[seeds - 1], [seeds - 1], [episodes - 1]]
    tests = t_tests(means[0].mean(0) - means[1].mean(0) + chosen, parts, df)
    assert 0.75 < np.mean(tests.p < 0.05) < 0.9


def test_what_is_not_known_and_what_nothing_is_enough_for():
    told = needed(
        [0.01, 0.0, 1e-9, 0.05],
        [[np.nan, 1.0, 1.0, 0.0], [0.1, 1.0, 1.0, 0.01**2]],
        [0.01] * 4, [1, 3, 3, 5], [100] * 4,
    )  # fmt: skip
    assert np.isnan(told.seeds).tolist() == [True, False, False, False]
    assert np.isinf(told.seeds).tolist() == [False, True, True, False]
    assert np.isinf(told.episodes).tolist() == [False, True, True, False]
    assert told.seeds[3] == 3  # an untrained learner beside a trained one
