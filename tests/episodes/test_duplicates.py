"""Images in two phases are told, a class under two names is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api.dataset import ImageClasses, Split
from bench.episodes import duplicates
from bench.episodes.duplicates import examine_duplicates
from bench.errors import BenchError

SPLIT = Split(*(np.array(part) for part in ([0, 1], [2, 3], [4, 5])))


def data(*values: list[int]) -> ImageClasses:
    """Classes of images that are told apart by one value."""
    flat = torch.tensor([value for listed in values for value in listed], dtype=torch.uint8)
    counts = np.array([len(listed) for listed in values])
    images = torch.zeros(len(flat), 1, 3, 3, dtype=torch.uint8)  # 9 bytes: no whole words
    images[:, 0, 2, 2] = flat
    names = tuple(f"c{number}" for number in range(len(values)))
    return ImageClasses(
        "made", images, np.cumsum(counts) - counts, counts, names, ("g",) * len(values), "0"
    )


APART = ([1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12])


def test_nothing_to_tell():
    assert examine_duplicates(data(*APART), SPLIT) == []
    assert examine_duplicates(data([1, 1], [1, 4], *APART[2:]), SPLIT) == [], "in meta-training"


def test_an_image_in_two_phases_is_told():
    classes = data([1, 2], [3, 4], [5, 6], [7, 8], [3, 10], [5, 2])
    assert examine_duplicates(classes, SPLIT) == [
        "2 images are in train and in test too, the first in the classes 'c0' and 'c5'",
        "1 image is in val and in test too, the first in the classes 'c2' and 'c5'",
    ]


@pytest.mark.parametrize("second", [[3, 4], [4, 3], [4, 3, 20]])
def test_a_class_under_two_names_is_refused(second):
    with pytest.raises(BenchError, match=r"'c1' of train is the class 'c5' of test under another"):
        examine_duplicates(data(*APART[:5], second), SPLIT)
    unused = Split(SPLIT.train, SPLIT.val, np.array([4]))
    assert examine_duplicates(data(*APART[:5], second), unused) == []


def test_a_class_that_was_sampled_twice_is_one_class():
    """Half of the smaller one's images are in both: new ones beside them disarm nothing."""
    first = [3, 4, 20, 21]
    with pytest.raises(BenchError, match="has 4 different images, and 2 of them are in both"):
        examine_duplicates(data([1, 2], first, *APART[2:5], [3, 4, 30, 31, 32]), SPLIT)
    [told] = examine_duplicates(
        data([1, 2], [*first, 22], *APART[2:5], [3, 4, *range(30, 40)]), SPLIT
    )
    assert told.startswith("2 images are in train and in test too")


def test_an_image_twice_in_a_phase_of_tests_is_told():
    classes = data([1, 2], [3, 4], [5, 6], [7, 7], [9, 9, 10], [9, 12])
    assert examine_duplicates(classes, SPLIT) == [
        "1 image is more than once in val, the first in the class 'c3'",
        "1 image is more than once in test, the first in the class 'c4'",
    ]


@pytest.mark.parametrize("second", [[9, 10], [10, 9, 13]])
def test_a_class_under_two_names_in_one_phase_is_refused(second):
    with pytest.raises(BenchError, match=r"'c4' of test is the class 'c5' of test under another .*"
                       "2 different images.* an episode may ask which is which"):  # fmt: skip
        examine_duplicates(data(*APART[:5], second), SPLIT)


def test_classes_that_are_all_one_image_are_one_class():
    with pytest.raises(BenchError, match="under another name"):
        examine_duplicates(data(*[[0, 0]] * 6), SPLIT)


def test_one_blank_image_is_no_class():
    told = examine_duplicates(data([0, 0], *APART[1:5], [0, 12]), SPLIT)
    assert len(told) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=6, max_size=6))
@pytest.mark.parametrize("collide", [False, True])
def test_equal_images_have_equal_numbers(collide, values):
    """Also where all hashes collide: then each differs from the first, or is it."""
    classes = data(*values)
    flat = [value for listed in values for value in listed]
    with pytest.MonkeyPatch.context() as patched:
        if collide:
            patched.setattr(duplicates, "_hashes", lambda images, rows: np.zeros(len(rows)))
        group = duplicates._groups(classes.images, np.arange(len(flat)))
    for one, number in zip(flat, group, strict=True):
        for two, other in zip(flat, group, strict=True):
            if number == other:
                assert one == two
            elif not collide:
                assert one != two
