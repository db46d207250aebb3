"""Answers that a run is asked to keep."""

from __future__ import annotations

import numpy as np

import bench
from bench.results.answers import answers_of, episode_of
from bench.results.reading import read_results
from bench.store import layout
from bench.store.files import metric_scores


def run(suite, tmp_path, learner="nearest-code", **options):
    return bench.run(
        [str(suite)], [learner], budget="smoke", results=tmp_path / "results", executor="inline",
        **options,
    )  # fmt: skip


def test_answers_are_kept_where_asked_for_and_are_no_part_of_a_cell(tiny_suite, tmp_path):
    before = run(tiny_suite, tmp_path)
    rows = read_results(tmp_path / "results").rows
    assert not list((tmp_path / "results").rglob(layout.ANSWERS))
    after = run(tiny_suite, tmp_path, store=["answers"])
    assert after.id.tolist() == before.id.tolist()
    assert after.accuracy.tolist() == before.accuracy.tolist()
    for row in rows:
        found = answers_of(row)
        _, accuracy = metric_scores(row.path, "accuracy")
        right = (found.label == found.choice).mean(1)
        assert np.allclose(right, accuracy, atol=1e-4)
        assert found.episodes == row.episodes
        assert 0 < found.confidence.min() <= found.confidence.max() <= 1
        shown = episode_of(found, 0)
        assert sorted(set(shown.support_y)) == list(range(row.ways or 0))
        assert len(shown.query_x) == len(shown.answers)
        assert len(set(shown.names)) == row.ways
        assert shown.query_x.max() > 0


def test_what_was_kept_is_kept_and_nothing_is_computed_again(tiny_suite, tmp_path):
    run(tiny_suite, tmp_path, store=["answers"])
    files = list((tmp_path / "results").rglob(layout.ANSWERS))
    before = [file.stat().st_mtime_ns for file in files]
    assert before
    run(tiny_suite, tmp_path, store=["answers"])
    run(tiny_suite, tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_online_there_is_no_support_set(tiny_online, tmp_path):
    run(tiny_online, tmp_path, store=["answers"])
    row = next(row for row in read_results(tmp_path / "results").rows if row.status == "done")
    shown = episode_of(answers_of(row), 0)
    assert len(shown.support_x) == 0
    assert len(shown.query_x) == row.task["length"]
