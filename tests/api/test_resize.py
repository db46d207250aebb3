import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api.resize import area_average


def test_by_hand() -> None:
    image = np.array([[[0, 90, 180], [90, 180, 9], [0, 0, 0]]], dtype=np.uint8)
    # Target pixel (0, 0) covers 1.5 x 1.5: (0 + 90/2 + 90/2 + 180/4) / 2.25 = 60.
    # (0, 1): (90/2 + 180 + 180/4 + 9/2) / 2.25 = 122; (1, 0): (90/2 + 180/4) / 2.25 = 40.
    assert area_average(image, 2).tolist() == [[[60, 122], [40, (9 * 2 + 180) * 10 // 90]]]
    assert area_average(image, 1).tolist() == [[[61]]]


@pytest.mark.parametrize("size", [20, 28, 31])
def test_same_as_averaging_many_sub_pixels(size: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 105, 105), dtype=np.uint8)
    fine = images.astype(np.float64).repeat(size, axis=1).repeat(size, axis=2)
    naive = fine.reshape(2, size, 105, size, 105).mean((2, 4))
    assert np.array_equal(area_average(images, size), np.floor(naive + 0.5 + 1e-9))


def test_height_and_width_may_differ_and_be_large() -> None:
    # 1 x 4 to 2 x 2: (1 + 2) / 2 rounds up to 2, (10 + 20) / 2 = 15; both rows are the source's.
    assert area_average(np.array([[[1, 2, 10, 20]]], dtype=np.uint8), 2).tolist() == [[[2, 15]] * 2]
    # 300 x 600 to 1 x 1: the sum 255 * 180000 - 90000 is above 2**24, where float32 has no odd
    # numbers; the mean 254.5 rounds up, and one less in the sum rounds down.
    image = np.full((1, 300, 600), 255, dtype=np.uint8)
    image[:, :150] = 254
    assert area_average(image, 1).tolist() == [[[255]]]
    image[0, 0, 0] = 253
    assert area_average(image, 1).tolist() == [[[254]]]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 256), st.integers(1, 256), st.integers(0, 255))
def test_a_uniform_image_stays_uniform(side: int, size: int, grey: int) -> None:
    images = np.full((1, side, side), grey, dtype=np.uint8)
    assert (area_average(images, size) == grey).all()


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(2).integers(0, 256, (7, 30, 30), dtype=np.uint8)
    whole = area_average(images, 11)
    monkeypatch.setattr("bench.api.resize.CHUNK", 3)
    assert np.array_equal(area_average(images, 11), whole)
