"""A slope is the power that a cost grows with."""

from __future__ import annotations

import pytest

from benchmarks.slopes import slope


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_of_a_power_is_the_power(power):
    points = (1, 2, 5, 10)
    assert slope(points, [3 * point**power for point in points]) == pytest.approx(power)
