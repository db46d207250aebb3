"""What stored answers say."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import BenchError
from bench.results.answers import NotKeptError, answers_of, by_class, confusion, episode_of
from bench.results.reading import read_results
from bench.store.answers import StoredAnswers, keep_answers, stored_answers
from tests.helpers.synthetic import write_cell

NAMES = ["a", "b", "c", "d"]


def arrays(label, choice, classes, shown=0):
    label, choice = np.array(label, np.uint16), np.array(choice, np.uint16)
    queries = label.shape[1]
    return {
        "label": label,
        "choice": choice,
        "confidence": np.full(label.shape, 0.75, np.float16),
        "classes": np.array(classes, np.int32),
        "support_x": np.zeros((shown, 2, 1, 4, 4), np.uint8),
        "support_y": np.tile(np.array([0, 1], np.uint16), (shown, 1)),
        "query_x": np.zeros((shown, queries, 1, 4, 4), np.uint8),
    }


def answers(*arguments, **options):
    return StoredAnswers(names=NAMES, **arrays(*arguments, **options))


TWO = answers([[0, 1, 1], [1, 0, 0]], [[0, 0, 1], [1, 0, 1]], [[2, 0], [0, 1]], shown=1)
"""Episode 0: c, a, a answered c, c, a; episode 1: b, a, a answered b, a, b."""


def test_accuracies_by_class_by_hand():
    found = by_class([TWO])
    assert [(own.name, own.right, own.asked) for own in found] == [
        ("a", 2, 4), ("b", 1, 1), ("c", 1, 1),
    ]  # fmt: skip
    assert by_class([TWO, TWO])[0].asked == 8


def test_the_confusion_matrix_by_hand():
    names, shares = confusion([TWO])
    assert names == ["a", "b", "c"]
    # a was asked twice beside c (once taken for it) and twice beside b (once taken for it)
    expected = [[0.5, 0.5, 0.5], [0, 1, np.nan], [0, np.nan, 1]]
    assert np.allclose(shares, expected, equal_nan=True)


def test_of_many_classes_those_that_are_mistaken_most_often():
    assert confusion([TWO], most=2).names in (["a", "b"], ["a", "c"])


def test_an_episode():
    first, second = episode_of(TWO, 0), episode_of(TWO, 1)
    assert first.names == ["c", "a"]
    assert [answer.right for answer in first.answers] == [True, False, True]
    assert first.accuracy == pytest.approx(2 / 3)
    assert first.answers[0].confidence == 0.75
    assert (len(first.query_x), len(second.query_x)) == (3, 0)
    assert (first.support_y, second.support_y) == ([0, 1], [])
    for number in (-1, 2):
        with pytest.raises(BenchError, match=f"no episode {number}: the bank has 2, 0 to 1"):
            episode_of(TWO, number)


def test_what_is_kept_is_read_again(tmp_path):
    cell = write_cell(tmp_path)
    [row] = read_results(tmp_path).rows
    with pytest.raises(NotKeptError, match=r"no answers are stored of .* --store answers"):
        answers_of(row)
    keep_answers(cell, arrays([[0, 1]], [[1, 1]], [[3, 1]], shown=1), NAMES)
    found = answers_of(row)
    assert found.choice.tolist() == [[1, 1]]
    assert [found.name(0, label) for label in (0, 1)] == ["d", "b"]
    assert (found.shown(0), found.shown(1)) == (True, False)


def test_answers_that_are_no_classes_are_kept_as_none(tmp_path):
    cell = write_cell(tmp_path)
    keep_answers(cell, {}, [])
    assert stored_answers(cell) is None


@pytest.mark.parametrize(
    "change",
    [
        {"choice": np.array([[0]], np.uint16)},
        {"choice": np.array([[0, 2]], np.uint16)},
        {"classes": np.zeros((2, 2), np.int32)},
        {"query_x": np.zeros((1, 3, 1, 4, 4), np.uint8)},
        {"support_x": np.zeros((0, 2, 1, 4, 4), np.uint8)},
        {"another": np.zeros(1)},
    ],
)
def test_damaged_answers_are_said_to_be(tmp_path, change):
    cell = write_cell(tmp_path)
    keep_answers(cell, arrays([[0, 1]], [[1, 1]], [[3, 1]], shown=1) | change, NAMES)
    with pytest.raises(BenchError, match=r"answers.npz is damaged"):
        stored_answers(cell)


def test_a_cut_file_is_damaged(tmp_path):
    cell = write_cell(tmp_path)
    keep_answers(cell, arrays([[0, 1]], [[1, 1]], [[3, 1]]), NAMES)
    file = cell / "answers.npz"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(BenchError, match=r"answers.npz is damaged"):
        stored_answers(cell)


def test_answers_that_are_no_classes_are_told(tmp_path):
    keep_answers(write_cell(tmp_path), {}, [])
    [row] = read_results(tmp_path).rows
    with pytest.raises(BenchError, match=r"are no classes, and are not kept"):
        answers_of(row)


def test_a_cell_that_is_not_finished_has_none(tmp_path):
    write_cell(tmp_path, status="failed")
    [row] = read_results(tmp_path).rows
    with pytest.raises(BenchError, match="is failed"):
        answers_of(row)
