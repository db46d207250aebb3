"""What a board says of families."""

from __future__ import annotations

import numpy as np
import pytest

from bench.results.boards import boards
from bench.results.families import families_of, family_ranks, family_sentences, is_control
from bench.results.pairs import read_board
from bench.results.reading import read_results
from tests.helpers.scored_boards import drawn, write_scores
from tests.helpers.synthetic import write_cell

PIXELS = {"config": {"encoder": "pixels"}}


def write_families(root, families, **changes):
    """By family the means of its learners."""
    for family, means in families.items():
        for number, mean in enumerate(means):
            name = f"{family[0]}{number}"
            scores = drawn(mean, seed=number + 10 * len(family))
            write_scores(root, name, scores, family=family, **changes)


def found_in(root, controls=()):
    [board] = boards(read_results(root).rows)
    return families_of(read_board(board), controls)


def test_best_median_and_spread_of_each_family(tmp_path):
    write_families(tmp_path, {"metric-based": [0.9, 0.6, 0.7], "other": [0.5]})
    metric, other = found_in(tmp_path).families
    exact = [entry.score(entry.cells[0].kind.metric) for (entry,) in metric.learners.values()]
    assert metric.best.label == "m0"
    assert metric.median == pytest.approx(np.median(exact))
    assert metric.deviation == pytest.approx(np.std(exact, ddof=1))
    assert (list(other.learners), other.deviation) == (["o0"], None)


def test_families_far_apart_are_told_apart_and_alike_ones_are_not(tmp_path):
    write_families(
        tmp_path,
        {"alpha": [0.9, 0.91, 0.92], "be": [0.5, 0.52, 0.51], "c": [0.915, 0.9, 0.895]},
    )
    told = {(pair.a, pair.b): pair.told_apart for pair in found_in(tmp_path).pairs}
    assert told == {("alpha", "be"): True, ("alpha", "c"): False, ("be", "c"): True}
    first, second, third = family_sentences(found_in(tmp_path))
    assert first.startswith("As a family, alpha is ahead of be by 40.")
    assert second.startswith("The families alpha and c cannot be told apart")
    assert third.startswith("As a family, c is ahead of be by")


def test_fewer_than_three_learners_are_not_enough(tmp_path):
    write_families(tmp_path, {"alpha": [0.9, 0.91, 0.92], "be": [0.2, 0.21], "c": [0.1]})
    found = found_in(tmp_path)
    assert all(pair.p_holm is None and pair.mean is None for pair in found.pairs)
    assert found.pairs[0].reason == ("not enough learners: be has 2 learners of 3 that it takes")
    assert family_sentences(found) == [
        "Not enough learners to speak of be and c as families (3 of each are needed)."
    ]


def test_options_of_one_learner_are_one_learner(tmp_path):
    write_families(tmp_path, {"alpha": [0.9, 0.91, 0.92]})
    for number in range(3):
        scores = drawn(0.5 + 0.01 * number, seed=number)
        write_scores(tmp_path, f"b[steps={number}]", scores, family="be", config={"steps": number})
    [pair] = found_in(tmp_path).pairs
    assert "be has 1 learner of 3" in pair.reason


def test_families_are_compared_on_one_encoder(tmp_path):
    """A variant with another encoder stands beside its learner, and pulls no family down; a learner
    that has only that one counts with it."""
    write_families(tmp_path, {"alpha": [0.9, 0.91, 0.92], "be": [0.8, 0.81]})
    write_scores(tmp_path, "b1[encoder=pixels]", drawn(0.2, seed=5), family="be", **PIXELS)
    write_scores(tmp_path, "b2[encoder=pixels]", drawn(0.3, seed=6), family="be", **PIXELS)
    found = found_in(tmp_path)
    _, own = found.families
    assert {name: [e.label for e in entries] for name, entries in own.learners.items()} == {
        "b0": ["b0"], "b1": ["b1"], "b2": ["b2[encoder=pixels]"],
    }  # fmt: skip
    assert own.median == pytest.approx(0.8, abs=0.02)
    [pair] = found.pairs
    assert pair.mean == pytest.approx(0.91 - (0.8 + 0.81 + 0.3) / 3, abs=0.02)


def test_controls_are_no_members(tmp_path):
    """What has nothing to train is known by its budget, the others by what their packages say."""
    write_families(tmp_path, {"alpha": [0.9, 0.91, 0.92], "be": [0.5, 0.52, 0.51]})
    write_scores(tmp_path, "pixels", drawn(0.1), family="alpha", budget="none")
    write_scores(tmp_path, "blind", drawn(0.2), family="be")
    alpha, be = found_in(tmp_path, {"blind"}).families
    assert [entry.label for entry in alpha.controls] == ["pixels"]
    assert [entry.label for entry in be.controls] == ["blind"]
    assert len(alpha.learners) == len(be.learners) == 3
    assert found_in(tmp_path, {"blind"}).pairs[0].told_apart
    assert len(found_in(tmp_path).families[1].learners) == 4
    [board] = boards(read_results(tmp_path).rows)
    assert [e.label for e in board.entries if is_control(e, {"blind"})] == ["pixels", "blind"]


def test_a_family_of_controls_alone_has_no_best(tmp_path):
    write_families(tmp_path, {"alpha": [0.9, 0.91, 0.92]})
    write_scores(tmp_path, "pixels", drawn(0.1), family="be", budget="none")
    found = found_in(tmp_path)
    assert found.families[1].best is None
    assert found.pairs == []


def test_an_incomplete_learner_is_summed_up_and_not_compared(tmp_path):
    write_families(tmp_path, {"alpha": [0.9, 0.91, 0.92], "be": [0.5, 0.52, 0.51]})
    write_cell(tmp_path, "b2", "be", seed=1, status="failed")
    found = found_in(tmp_path)
    assert len(found.families[1].learners) == 3
    assert "be has 2 learners" in found.pairs[0].reason


def test_families_are_ranked_by_their_medians(tmp_path):
    for k in range(6):
        changes = {"suite": f"suite{k}", "dataset": f"data{k}"}
        for family, mean in {"alpha": 0.9, "be": 0.7, "c": 0.5}.items():
            write_cell(tmp_path, family, family, accuracy=mean, **changes)
    found = [families_of(read_board(board)) for board in boards(read_results(tmp_path).rows)]
    ranked = family_ranks(found)
    assert (ranked.names, ranked.ranks) == (["alpha", "be", "c"], [1, 2, 3])
    assert ranked.p == pytest.approx(np.exp(-6))
    # z = 1 / sqrt(12 / 36) = 1.73 and 3.46: p = 0.083, 0.00053; after Holm 0.0016 and 0.167.
    assert ranked.ahead == [("alpha", "c")]
    few = family_ranks(found[:5])
    assert (few.ranks, few.p, few.ahead) == ([1, 2, 3], None, [])
    assert family_ranks([]) is None


def test_a_suite_without_a_family_does_not_keep_families_from_being_ranked(tmp_path):
    for k in range(3):
        for family, mean in {"alpha": 0.9, "be": 0.7}.items():
            write_cell(
                tmp_path, family, family, accuracy=mean, suite=f"suite{k}", dataset=f"data{k}"
            )
    write_cell(tmp_path, "alpha", "alpha", suite="alone", dataset="alone")
    write_cell(tmp_path, "pixels", "be", suite="alone", dataset="alone", budget="none")
    found = [families_of(read_board(board)) for board in boards(read_results(tmp_path).rows)]
    ranked = family_ranks(found)
    assert (ranked.names, ranked.ranks, len(ranked.datasets)) == (["alpha", "be"], [1, 2], 3)
    assert ranked.datasets_left_out == ["alone"]


def ranked_in(root):
    return family_ranks([families_of(read_board(b)) for b in boards(read_results(root).rows)])


def write_ranked(root, failed=(), **changes):
    """Two datasets and three families of three learners.

    Args:
        failed: learners of which a seed failed on the second dataset.
        changes: of those.
    """
    for k in range(2):
        for family, mean in {"alpha": 0.9, "be": 0.7, "c": 0.5}.items():
            for number in range(3):
                for seed in range(2):
                    name = f"{family[0]}{number}"
                    at = {"suite": f"suite{k}", "dataset": f"data{k}", "seed": seed}
                    score = 0.99 if name == "b2" else mean - 0.01 * number
                    bad = {"status": "failed", **changes} if k and seed and name in failed else {}
                    write_cell(root, name, family, accuracy=score, **at, **bad)


@pytest.mark.parametrize("failed", [["b0"], ["b0", "b1"], ["b0", "b1", "b2"]])
@pytest.mark.parametrize("status", ["failed", "unfinished"])
def test_a_family_does_not_rise_by_those_that_fail(tmp_path, failed, status):
    """Without `b0` and `b1` the median of the family would be that of `b2`, above all others."""
    write_ranked(tmp_path)
    assert ranked_in(tmp_path).names == ["alpha", "be", "c"]
    write_ranked(tmp_path / "failed", failed, status=status)
    ranked = ranked_in(tmp_path / "failed")
    assert (ranked.names, ranked.ranks, ranked.left_out) == (["alpha", "c"], [1, 2], ["be"])
    assert (ranked.datasets, ranked.datasets_left_out) == (["data0", "data1"], [])


def test_a_family_of_which_all_failed_everywhere_is_named(tmp_path):
    write_ranked(tmp_path)
    for k in range(2):
        write_cell(tmp_path, "d", "d", suite=f"suite{k}", dataset=f"data{k}", status="failed")
    assert ranked_in(tmp_path).left_out == ["d"]


def test_what_stands_beside_a_family_may_fail(tmp_path):
    """A control, and a variant with another encoder than its learner is counted by."""
    write_ranked(tmp_path)
    at = {"suite": "suite1", "dataset": "data1", "status": "failed"}
    write_cell(tmp_path, "b0[encoder=pixels]", "be", **PIXELS, **at)
    write_cell(tmp_path, "pixels", "be", budget="none", **at)
    ranked = ranked_in(tmp_path)
    assert (ranked.names, ranked.left_out) == (["alpha", "be", "c"], [])
    write_cell(tmp_path, "b3[encoder=pixels]", "be", **PIXELS, **at)  # it has no other
    assert ranked_in(tmp_path).left_out == ["be"]
