import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import binary_dilation, binary_erosion

from bench.data import glyph_hand as hand


@pytest.fixture
def ring() -> np.ndarray:
    y, x = np.mgrid[-50:51, -40:41]
    radius = np.hypot(y / 50, x / 40)
    return (radius <= 1) & (radius > 0.75)


def test_without_deformation_the_letter_is_made_smaller(
    ring: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AFFINE", "SHIFT", "BEND"):
        monkeypatch.setattr(hand, name, 0)
    monkeypatch.setattr(hand, "STROKES", (0,))
    drawn = hand.hand_drawn((ring,), seed=1, drawings=2)
    assert np.array_equal(drawn[0], drawn[1])
    rows, columns = (np.flatnonzero(drawn[0].any(axis)) for axis in (1, 0))
    assert len(rows) == pytest.approx(101 / hand.STEP, abs=2)  # the tips are one pixel wide
    assert len(columns) == pytest.approx(81 / hand.STEP, abs=2)
    assert abs(rows.mean() - 52) < 1
    assert abs(columns.mean() - 52) < 1


def test_the_lookup_equals_the_formula_in_float64() -> None:
    """Integers in float32 lose nothing: every product and sum is below 2**24."""
    rng = np.random.default_rng(0)
    draws = [np.zeros, np.ones, rng.random, rng.random]
    for draw in draws:
        c = hand._coefficients(draw((3, 72)), draw((3, 4)), draw((3, 2)))
        exact = hand.W.astype(np.float64) @ c.astype(np.float64) @ hand.W.T.astype(np.float64)
        assert (np.abs(hand.W) @ np.abs(c) @ np.abs(hand.W.T)).max() < 2**24
        expected = np.clip(exact / hand.SCALE, 0, hand.SOURCE - 1).astype(int)
        assert np.array_equal(hand._lookup(c), expected)


def test_splines_are_scipys() -> None:
    t = np.arange(105) * (hand.SPLINES - 3) / 105
    for i in range(hand.SPLINES):
        spline = BSpline.basis_element(np.arange(i - 3, i + 2), extrapolate=False)
        expected = np.nan_to_num(spline(t))
        assert np.abs(hand.W[:, 2 + i] / hand.UNIT - expected).max() <= 0.5 / hand.UNIT + 1e-6


def test_strokes_are_scipys_morphology(ring: np.ndarray) -> None:
    ink, square = hand._centred(ring), np.ones((3, 3))
    assert np.array_equal(hand._thicken(ink, 0), ink)
    assert np.array_equal(hand._thicken(ink, 2), binary_dilation(ink, square, iterations=2))
    assert np.array_equal(hand._thicken(ink, -1), binary_erosion(ink, square))


def test_a_large_letter_fits() -> None:
    large = hand._centred(np.ones((100, 300), dtype=bool))
    assert large.sum() == 48 * hand.LONGEST
    assert large.shape == (hand.SOURCE, hand.SOURCE)


def test_seeds_and_prefixes(ring: np.ndarray) -> None:
    one = hand.hand_drawn((ring, ~ring), seed=1, drawings=6)
    assert one.shape == (6, 105, 105)
    assert np.array_equal(one, hand.hand_drawn((ring, ~ring), seed=1, drawings=6))
    assert not np.array_equal(one, hand.hand_drawn((ring, ~ring), seed=2, drawings=6))
    assert len(np.unique(one.reshape(6, -1), axis=0)) == 6


def test_faces_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three faces of different size, seven drawings: each face two or three times."""
    for name in ("AFFINE", "SHIFT", "BEND"):
        monkeypatch.setattr(hand, name, 0)
    monkeypatch.setattr(hand, "STROKES", (0,))
    faces = tuple(np.ones((side, side), dtype=bool) for side in (20, 40, 80))
    areas = hand.hand_drawn(faces, seed=5, drawings=7).sum((1, 2))
    assert sorted(np.unique(areas, return_counts=True)[1]) == [2, 2, 3]
    assert len(set(areas[:3])) == 3


def test_strength_of_the_deformation(ring: np.ndarray) -> None:
    """Drawings overlap, and differ: between 20 and 90 % of the ink is shared."""
    drawn = hand.hand_drawn((ring,), seed=3, drawings=20).reshape(20, -1)
    both = (drawn[:10] & drawn[10:]).sum(1) / (drawn[:10] | drawn[10:]).sum(1)
    assert 0.1 < both.mean() < 0.7
