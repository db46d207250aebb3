"""Performance profiles by hand."""

from __future__ import annotations

import numpy as np

from bench.statistics.profiles import behind_best, profile, times_cheapest

NAN = np.nan


def test_behind_the_best_by_hand():
    behind = behind_best([[0.9, 0.95, NAN], [0.5, 0.4, 0.3]])
    assert np.allclose(behind, [[0.05, 0, NAN], [0, 0.1, 0.2]], equal_nan=True)


def test_times_the_cheapest_by_hand():
    times = times_cheapest([[2.0, 1.0, NAN], [3.0, 6.0, 12.0]])
    assert np.allclose(times, [[2, 1, NAN], [1, 2, 4]], equal_nan=True)


def test_shares_by_hand():
    behind = [[0.05, 0.0, NAN], [0.0, 0.1, 0.2]]
    shares = profile(behind, [0.0, 0.05, 0.1, 1.0])
    assert shares.tolist() == [[0.5, 0.5, 0], [1, 0.5, 0], [1, 1, 0], [1, 1, 0.5]]


def test_a_bound_is_met_in_spite_of_rounding():
    assert profile(behind_best([[0.95, 0.94]]), [0.01])[0, 1] == 1


def test_a_setting_without_scores():
    assert np.isnan(behind_best([[NAN, NAN]])).all()
    assert np.isnan(times_cheapest([[NAN, NAN]])).all()
    assert profile([[NAN, NAN]], [1.0]).tolist() == [[0, 0]]
