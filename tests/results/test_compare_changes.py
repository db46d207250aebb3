"""`bench compare`: what is said of two sides that were not made alike."""

from __future__ import annotations

from bench.results.compare import compare_results
from bench.results.reading import read_results
from tests.helpers.scored_boards import drawn, write_scores
from tests.helpers.synthetic import environment, write_training
from tests.results.test_compare import GOOD, bench, rows


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
