"""Whether learners keep their order from one protocol to another."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.results.boards import boards
from bench.results.order import OrderChange, order_changes
from bench.results.pairs import compare_answered, read_board
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell


def changes(root: Path) -> list[OrderChange]:
    found = boards(read_results(root).rows)
    return order_changes([compare_answered(read_board(board, [])) for board in found])


def learners(root: Path, kshot: dict[str, float], online: dict[str, float], **fields: str) -> None:
    for name, accuracy in kshot.items():
        write_cell(root, name, accuracy=accuracy)
    for name, accuracy in online.items():
        write_cell(
            root, name, suite="online", setting="10times", by_presentation=[accuracy] * 3, **fields
        )


def test_places_and_pairs_by_hand(tmp_path: Path) -> None:
    """a b c d becomes b a d c: of six pairs two swap, tau is (4 - 2) / 6."""
    learners(
        tmp_path,
        {"a": 0.9, "b": 0.8, "c": 0.6, "d": 0.5, "e": 0.4},
        {"a": 0.7, "b": 0.8, "c": 0.3, "d": 0.5},
    )
    (change,) = changes(tmp_path)
    assert [name for _, name in change.first] == ["a", "b", "c", "d"]
    assert [name for _, name in change.second] == ["b", "a", "d", "c"]
    assert change.tau == pytest.approx(2 / 6)
    swapped = [(a[1], b[1]) for a, b in change.swapped]
    assert swapped == [("a", "b"), ("c", "d")]
    assert change.of_weights == change.swapped  # 200 episodes tell ten points apart, of one seed
    assert change.certain == []
    told, moves = change.sentences()
    assert "the 4 learners that have both change their order" in told
    assert (
        "of 6 pairs 2 swap, none of them told apart in both, 2 of these trained weights only (a "
        "claim about learners takes 3 seeds)."
    ) in told
    assert moves == (
        "The largest moves: a from 1st to 2nd, b from 2nd to 1st, c from 3rd to 4th and d from "
        "4th to 3rd."
    )


def test_a_swap_within_the_noise_is_not_certain(tmp_path: Path) -> None:
    learners(tmp_path, {"a": 0.9, "b": 0.6, "c": 0.3}, {"a": 0.9, "b": 0.6, "c": 0.605})
    (change,) = changes(tmp_path)
    assert [(a[1], b[1]) for a, b in change.swapped] in ([], [("b", "c")])
    assert change.certain == change.of_weights == []


def test_three_seeds_on_both_tell_learners_apart(tmp_path: Path) -> None:
    for seed in range(3):
        for name, accuracy, online in (("a", 0.9, 0.5), ("b", 0.6, 0.8), ("c", 0.3, 0.2)):
            write_cell(tmp_path, name, accuracy=accuracy, seed=seed, episodes=1000)
            write_cell(
                tmp_path, name, suite="online", setting="10times", by_presentation=[online] * 3,
                seed=seed, episodes=1000,
            )  # fmt: skip
    (change,) = changes(tmp_path)
    assert [(a[1], b[1]) for a, b in change.certain] == [("a", "b")]
    assert "of 3 pairs 1 swaps, 1 of them told apart in both." in change.sentences()[0]


def test_one_name_with_two_encoders_is_not_one_learner(tmp_path: Path) -> None:
    """`c` of older code sees pixels online: three learners are left that have both."""
    scores = {"a": 0.9, "b": 0.8, "d": 0.5}
    learners(tmp_path, scores | {"c": 0.6}, scores)
    write_cell(
        tmp_path, "c", suite="online", setting="10times", by_presentation=[0.99] * 3,
        config={"encoder": "pixels"},
    )  # fmt: skip
    (change,) = changes(tmp_path)
    assert [name for _, name in change.first] == ["a", "b", "d"]


def test_marks_stand_in_the_sentences(tmp_path: Path) -> None:
    learners(tmp_path, {"a": 0.9, "b": 0.6, "c": 0.3}, {"a": 0.6, "b": 0.9, "c": 0.3})
    (change,) = changes(tmp_path)
    _, moves, marked = change.sentences(lambda entry: "†" * (entry.learner == "a"))
    assert moves == "The largest moves: a† from 1st to 2nd and b from 2nd to 1st."
    assert marked == "With marks: a†."


def test_the_same_order(tmp_path: Path) -> None:
    learners(tmp_path, {"a": 0.9, "b": 0.6, "c": 0.3}, {"a": 0.8, "b": 0.5, "c": 0.2})
    assert changes(tmp_path)[0].sentences() == [
        "From glyphs-5way, 5way1shot to online, 10times the 3 learners that have both keep their "
        "order (Kendall's τ = 1.00)."
    ]


def exact(mean: float) -> dict[str, dict[str, float | int | None]]:
    one = {"mean": mean, "ci95": 0.01, "n": 200}
    return {"accuracy": one, "nll": one, "ece": {"mean": 0.0, "ci95": None, "n": 200}}


def equal(root: Path, online: dict[str, float]) -> list[str]:
    """0.9, 0.6 and 0.3 to the digit, and what they have online."""
    for name, accuracy in (("a", 0.9), ("b", 0.6), ("c", 0.3)):
        write_cell(root, name, metrics=exact(accuracy))
        write_cell(
            root, name, suite="online", setting="10times", by_presentation=[0.5] * 3,
            metrics=exact(online[name]),
        )  # fmt: skip
    return changes(root)[0].sentences()


def test_equal_scores_are_no_swap(tmp_path: Path) -> None:
    """a and b tie online, where `b` may well come first: τ-b is 2 / sqrt(3 * 2)."""
    assert equal(tmp_path, {"a": 0.8, "b": 0.8, "c": 0.5}) == [
        "From glyphs-5way, 5way1shot to online, 10times the 3 learners that have both keep their "
        "order as far as they have one: 1 of 3 pairs has equal scores on one of the two "
        "(Kendall's τ = 0.82)."
    ]


def test_equal_learners_share_a_place(tmp_path: Path) -> None:
    """Online c is first, and a and b are second: none of the two is third."""
    text, moves = equal(tmp_path, {"a": 0.5, "b": 0.5, "c": 0.8})
    assert "of 3 pairs 2 swap" in text
    assert moves == "The largest moves: c from 3rd to 1st and a from 1st to 2nd."


def test_of_one_score_there_is_no_correlation(tmp_path: Path) -> None:
    (text,) = equal(tmp_path, dict.fromkeys("abc", 0.5))
    assert text.endswith("3 of 3 pairs have equal scores on one of the two.")
    assert "τ" not in text


def test_other_splits_and_budgets_are_said(tmp_path: Path) -> None:
    scores = {"a": 0.9, "b": 0.6, "c": 0.3}
    learners(tmp_path, scores, scores, split="another", budget="smoke")
    (text,) = changes(tmp_path)[0].sentences()
    assert "glyphs-5way, 5way1shot (split scripts and budget standard)" in text
    assert "online, 10times (split another and budget smoke)" in text


def test_nothing_is_said_of_few_learners_or_other_data(tmp_path: Path) -> None:
    two = {"a": 0.9, "b": 0.6}
    learners(tmp_path / "few", two, two)
    three = two | {"c": 0.3}
    learners(tmp_path / "other", three, three, dataset="another")
    assert changes(tmp_path / "few") == changes(tmp_path / "other") == []
