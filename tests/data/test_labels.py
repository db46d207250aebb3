"""Items without a label are refused, and said how to leave out."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.labels import check_labelled, refuse_unlabelled
from bench.errors import BenchError


@pytest.mark.parametrize(
    "labels", [np.array([0, 3]), np.array([0, 255], np.uint8), np.array(["-1", "a"])]
)
def test_whole_numbers_from_0_on_and_names_are_classes(labels):
    check_labelled("here", labels, "so")


def test_the_first_without_a_label_is_told():
    said = "here: 2 of 4 items have no label of the classes numbered from 0, the first is item 1 "
    with pytest.raises(BenchError) as caught:
        check_labelled("here", np.array([0, -1, 1, -100]), "so")
    assert str(caught.value) == f"{said}with -1; leave them out: so"


def test_others_say_which_are_known():
    refuse_unlabelled("here", [0, 1], [True, True], "0 to 1", "so")
    with pytest.raises(BenchError, match=r"1 of 2 items .* item 1 with None; leave them out: so"):
        refuse_unlabelled("here", [0, None], [True, False], "0 to 1", "so")
