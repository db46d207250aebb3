"""`bench compare`: what is said of two sides that were not made alike."""

from __future__ import annotations

import pytest

from bench.results.compare import compare_results
from bench.results.reading import read_results
from tests.helpers.scored_boards import drawn, write_scores
from tests.helpers.synthetic import environment, write_training
from tests.results.test_compare import GOOD, WORSE, bench, rows, write_seeds

BEFORE = {"config": {"encoder": "conv4", "lr": 0.001, "clip": None}, "source": "5ec0de"}
AFTER = {"config": {"encoder": "pixels", "lr": 0.1, "clip": None}, "source": "01d0de"}
"""One name: `maml` with the defaults of two versions."""


def write_made_on(root, kind, place, name, threads):
    for seed, scores in enumerate(drawn(GOOD)):
        training = f"{kind}-{seed}".replace(":", "-")
        where = environment(place, device_name=name)
        made = {"device": kind, "training": training, "environment": where}
        cell = write_scores(root, "maml", scores, seed, **made)
        write_training(root, cell, threads=threads[seed])


def notes(a, b):
    return {
        (name, *pair)
        for row in compare_results(read_results(a).rows, read_results(b).rows)
        for name, pair in row.changes.items()
    }


def test_other_machines_and_threads_are_noted(tmp_path):
    a, b = tmp_path / "before", tmp_path / "after"
    write_made_on(a, "cuda", "cuda:0", "L4", [1, 1, 1])
    write_made_on(b, "cuda", "cuda:1", "H100", [2, 1, 2])
    assert notes(a, b) == {("device name", "L4", "H100"), ("training threads", "1", "1 or 2")}
    assert notes(a, a) == set()
    text = bench(a, b).stdout
    assert "other device name" in text
    assert "A 1, B 1 or 2" in text
    [row] = rows(a, b)
    assert row["b"]["training_threads"] == [2, 1, 2]
    assert row["b"]["device_name"] == ["H100"] * 3


def test_results_that_store_a_place_as_their_device_are_of_its_kind(tmp_path):
    a, b = tmp_path / "before", tmp_path / "after"
    write_made_on(a, "cuda:0", "cuda:0", "L4", [1, 1, 1])
    write_made_on(b, "cuda", "cuda:0", "L4", [1, 1, 1])
    assert notes(a, b) == set()
    for root in (a, b):  # another that its precision would match as well
        write_made_on(root, "cpu", "cpu", "Xeon", [1, 1, 1])
    write_made_on(b, "mps", "mps", "M4", [1, 1, 1])
    pairs = {(r["a"] and r["a"]["device"], r["b"]["device"]) for r in rows(a, b)}
    assert pairs == {("cuda:0", "cuda"), ("cpu", "cpu"), (None, "mps")}
    assert notes(a, b) == set()


def test_other_options_and_code_under_one_name_are_told(tmp_path):
    a, b = tmp_path / "before", tmp_path / "after"
    write_seeds(a, "maml", GOOD, **BEFORE)
    write_seeds(b, "maml", WORSE, **AFTER)
    [row] = rows(a, b)
    assert row["regression"]
    assert row["changes"] == {
        "code": ["5ec0de", "01d0de"],
        "option encoder": ["conv4", "pixels"],
        "option lr": ["0.001", "0.1"],
    }
    text = bench(a, b).stdout
    assert "other option encoder" in text
    assert "A conv4, B pixels" in text


def test_an_option_of_one_version_is_told_and_what_is_not_stored_is_not(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    write_seeds(a, "maml", GOOD, config={"encoder": "conv4"})
    write_seeds(b, "maml", GOOD, config={"encoder": "conv4", "rates": True})
    write_seeds(c, "maml", GOOD, config={})
    assert notes(a, b) == {("option rates", "no such option", "true")}
    assert notes(a, c) == notes(c, b) == set()


def test_another_version_of_torch_is_told(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for root, version in ((a, "2.9.0"), (b, "2.13.0")):
        made = environment("cpu").model_copy(update={"torch": version})
        write_seeds(root, "maml", GOOD, environment=made)
    assert notes(a, b) == {("torch", "2.9.0", "2.13.0")}


def test_two_learners_have_other_options_and_code_by_nature(tmp_path):
    write_seeds(tmp_path, "maml", GOOD, **BEFORE)
    write_seeds(tmp_path, "mann", GOOD, **AFTER)
    [row] = rows("maml", "mann", "--results", tmp_path)
    assert row["changes"] == {}


@pytest.mark.parametrize("first", [BEFORE, AFTER])
def test_of_several_trainings_of_one_name_those_with_the_same_options_meet(tmp_path, first):
    """A has seed 0 to 2 of both; B has one of them, which is not the other one's loss."""
    a, b = tmp_path / "a", tmp_path / "b"
    for number, made in enumerate((BEFORE, AFTER)):
        write_seeds(a, "maml", GOOD if made is first else WORSE, **made)
        for place in (a / "cells/glyphs-5way/5way1shot").glob("maml-*"):
            place.rename(place.with_name(f"{number}-{place.name}"))
    write_seeds(b, "maml", GOOD, **first)
    told = rows(a, b)
    met = [row for row in told if row["a"] and row["b"]]
    assert [(row["verdict"], row["changes"]) for row in met] == [("not told apart", {})]
    assert [row["reason"] for row in told if row not in met] == ["only in A"]


def test_seeds_of_other_options_are_not_one_training(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write_seeds(a, "maml", GOOD, **BEFORE)
    for seed, scores in enumerate(drawn(GOOD)):
        write_scores(b, "maml", scores, seed, **(AFTER if seed else BEFORE))
    told = rows(a, b)
    assert [row["b"] and row["b"]["seeds"] for row in told] in ([[0], [1, 2]], [[1, 2], [0]])
    assert not any(row["regression"] for row in told)
