"""Learners ranked over several datasets."""

from __future__ import annotations

import math

import pytest

from bench.results.boards import boards
from bench.results.ranks import CriticalDifference, average_ranks, critical_difference
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell, write_probe


def write_datasets(root, n, learners=("a", "b", "c"), **changes):
    for k in range(n):
        for number, learner in enumerate(learners):
            write_cell(
                root, learner, suite=f"suite{k}", dataset=f"data{k}",
                accuracy=0.9 - 0.1 * number, **changes,
            )  # fmt: skip


def test_learners_are_ranked_over_six_datasets_and_not_over_fewer(tmp_path):
    write_datasets(tmp_path, 6)
    write_cell(tmp_path, "d", suite="suite0", dataset="data0")  # nowhere else
    every = boards(read_results(tmp_path).rows)
    # Three learners in the same order everywhere: chi^2 = 6 * (3 - 1) = 12, p = exp(-6);
    # CD = 2.343 sqrt(3 * 4 / (6 * 6)) = 1.353.
    assert critical_difference(every) == CriticalDifference(
        budget="standard",
        datasets=[f"data{k}" for k in range(6)],
        learners=["a", "b", "c"],
        ranks=[1.0, 2.0, 3.0],
        p=pytest.approx(math.exp(-6)),
        critical_difference=pytest.approx(1.353, abs=1e-3),
        groups=[["a", "b"], ["b", "c"]],
        left_out=["d"],
    )
    assert critical_difference(every[:5]) is None
    assert critical_difference([]) is None


def test_suites_of_one_dataset_are_one_dataset(tmp_path):
    write_datasets(tmp_path, 5)
    for number, learner in enumerate("abc"):
        write_cell(tmp_path, learner, suite="more", dataset="data0", accuracy=0.9 - 0.1 * number)
    assert critical_difference(boards(read_results(tmp_path).rows)) is None


def test_no_ranks_over_unequal_sets_of_cells(tmp_path):
    write_datasets(tmp_path, 6, ("a", "b", "c", "d"))
    write_cell(tmp_path, "b", suite="suite3", dataset="data3", seed=1, status="failed")
    ranked = critical_difference(boards(read_results(tmp_path).rows))
    assert (ranked.learners, ranked.left_out) == (["a", "c", "d"], ["b"])


def test_a_suite_that_few_share_does_not_keep_the_others_from_being_ranked(tmp_path):
    write_datasets(tmp_path, 6)
    for learner in "abcd":
        write_cell(tmp_path, learner, suite="other", dataset="other")
    write_cell(tmp_path, "a", suite="alone", dataset="alone")
    ranked = average_ranks(boards(read_results(tmp_path).rows))
    assert ranked.datasets_left_out == ["alone"]
    assert (ranked.names, len(ranked.datasets)) == (["a", "b", "c"], 7)
    assert ranked.left_out == ["d"]


def test_many_learners_of_one_dataset_do_not_keep_few_of_several_from_being_ranked(tmp_path):
    write_datasets(tmp_path, 2)
    for number in range(20):
        write_cell(tmp_path, f"other-{number}", suite="other", dataset="other")
    ranked = average_ranks(boards(read_results(tmp_path).rows))
    assert (ranked.names, ranked.datasets) == (["a", "b", "c"], ["data0", "data1"])
    assert ranked.datasets_left_out == ["other"]


def test_where_a_learner_failed_is_not_left_out_for_that(tmp_path):
    """Who was asked decides, not what came of it: else failing where it is hard ranks well."""
    write_datasets(tmp_path, 7, ("a", "b", "c", "d"))
    write_cell(tmp_path, "b", suite="suite3", dataset="data3", seed=1, status="failed")
    ranked = average_ranks(boards(read_results(tmp_path).rows))
    assert (ranked.names, ranked.left_out) == (["a", "c", "d"], ["b"])
    assert (len(ranked.datasets), ranked.datasets_left_out) == (7, [])


def test_probes_do_not_keep_learners_of_classes_from_being_ranked(tmp_path):
    write_datasets(tmp_path, 6)
    write_probe(tmp_path, "ntm")
    ranked = critical_difference(boards(read_results(tmp_path).rows))
    assert (ranked.learners, len(ranked.datasets), ranked.left_out) == (["a", "b", "c"], 6, [])


def test_probes_alone_are_ranked(tmp_path):
    for k in range(6):
        for wrong, learner in enumerate(("ntm", "lstm", "mann")):
            write_probe(
                tmp_path, learner, wrong=1 + 9 * wrong, suite=f"probe{k}", dataset=f"probe{k}"
            )
    ranked = critical_difference(boards(read_results(tmp_path).rows))
    assert (ranked.learners, ranked.ranks) == (["ntm", "lstm", "mann"], [1, 2, 3])


def test_ranks_are_of_one_budget(tmp_path):
    write_datasets(tmp_path, 6)
    write_datasets(tmp_path, 1, budget="smoke")
    with pytest.raises(ValueError, match="several budgets: smoke, standard"):
        critical_difference(boards(read_results(tmp_path).rows))
