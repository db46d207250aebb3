"""Comparisons where nothing varies, or nothing but the last bits: no interval, and no certainty."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.scored_boards import compared, write_scores


def test_learners_without_any_variance(tmp_path):
    for seed in range(3):
        write_scores(tmp_path, "same", np.full(20, 0.5), seed)
        write_scores(tmp_path, "equal", np.full(20, 0.5), seed)
        write_scores(tmp_path, "higher", np.full(20, 0.75), seed)
    pairs = {frozenset((p.a.learner, p.b.learner)): p for p in compared(tmp_path).pairs}
    tied, apart = pairs[frozenset(("same", "equal"))], pairs[frozenset(("same", "higher"))]
    assert (tied.mean, tied.ci95, tied.p, tied.told_apart) == (0, None, 1, False)
    assert (apart.mean, apart.ci95, apart.told_apart) == (0.25, None, True)
    assert apart.p == pytest.approx(2 * 0.5**20)  # the sign test


def test_two_episodes_that_differ_by_rounding_make_nobody_ahead(tmp_path):
    """0.1 each, but for the last bits: a t test would have p = 3.5e-16."""
    write_scores(tmp_path, "x", [0.9, 0.8])
    write_scores(tmp_path, "y", [0.8, 0.7])
    [pair] = compared(tmp_path).pairs
    assert (pair.a.learner, pair.p, pair.ci95, pair.detectable) == ("x", 0.5, None, None)
    assert not pair.told_apart


def test_four_episodes_are_not_enough_to_be_certain(tmp_path):
    write_scores(tmp_path, "x", [1.0] * 4)
    write_scores(tmp_path, "y", [0.0] * 4)
    [pair] = compared(tmp_path).pairs
    assert (pair.mean, pair.p, pair.told_apart) == (1, 0.125, False)


def test_means_over_seeds_that_differ_by_rounding_are_equal(tmp_path):
    """The same three scores in another order; their sums differ in the last bit."""
    for seed, (a, b) in enumerate(zip([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], strict=True)):
        write_scores(tmp_path, "one", np.full(20, a), seed)
        write_scores(tmp_path, "two", np.full(20, b), seed)
    [pair] = compared(tmp_path).pairs
    assert (pair.mean, pair.p, pair.told_apart) == (0, 1, False)
