"""Reading results folders: what is right, what is damaged, what is old."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bench.cli.results import results as results_command
from bench.errors import BenchError
from bench.results.reading import read_results, select
from bench.results.table import COLUMNS, load_results, records
from bench.store.files import episode_scores, weightings
from bench.store.records import CellResult
from tests.helpers.synthetic import (
    a_failure,
    environment,
    store,
    write_cell,
    write_probe,
    write_training,
)


def test_one_row_per_cell(tmp_path: Path) -> None:
    done = write_cell(tmp_path, accuracy=0.9, timed={"cpu": 0.002, "cpu/1": 0.004})
    write_cell(tmp_path, "maml[inner_steps=5]", "optimization-based", status="failed")
    write_cell(tmp_path, "mann", "model-based", status="unfinished")
    frame = load_results(tmp_path).set_index("learner_name")
    assert sorted([*frame.columns, "learner_name"]) == sorted(COLUMNS)
    assert frame.status.to_dict() == {
        "maml": "failed",
        "mann": "unfinished",
        "prototypical": "done",
    }
    stored = CellResult.model_validate_json((done / "result.json").read_bytes())
    row = frame.loc["prototypical"]
    assert row.accuracy == stored.metrics["accuracy"].mean
    assert row.accuracy_ci95 == stored.metrics["accuracy"].ci95
    assert (row.episodes, row.ways, row.training_ways, row.encoder) == (200, 5, 20, "conv4")
    assert row.timings["cpu/1"]["adapt"] == 0.004
    assert row.accuracy_by_presentation is None
    assert row.path == str(done)
    assert frame.loc["maml"].reason == a_failure().reason
    assert pd.isna(frame.loc["mann"].updates)
    assert frame.attrs["problems"] == []


def test_online_cells_carry_the_accuracy_by_presentation(tmp_path: Path) -> None:
    write_cell(tmp_path, by_presentation=[0.36, 0.9, 0.98])
    row = load_results(tmp_path).iloc[0]
    assert row.accuracy_by_presentation == pytest.approx([0.36, 0.9, 0.98], abs=0.03)
    assert len(row.accuracy_by_presentation_ci95) == 3
    assert row.ceiling == pytest.approx(0.4566667)


def test_probes_carry_wrong_bits_and_items_and_no_ways(tmp_path: Path) -> None:
    folder = write_probe(tmp_path, items=20, wrong=3.0)
    write_cell(tmp_path)
    rows = records(read_results(tmp_path).rows)
    probe, images = sorted(rows, key=lambda row: row["suite"])
    assert probe["bit_errors"] == pytest.approx(160 * (1 - probe["accuracy"]))
    assert 0 < probe["bit_errors_ci95"] < 3
    assert (probe["items"], probe["training_items"], probe["bits"]) == (20, [1, 20], 160)
    assert (probe["ways"], probe["training_ways"]) == (None, None)
    assert sum(episode_scores(folder).bit_errors or []) == round(40 * probe["bit_errors"])
    for column in ("bit_errors", "bit_errors_ci95", "items", "training_items", "bits"):
        assert images[column] is None


def test_weightings_are_read_as_stored(tmp_path: Path) -> None:
    shown = weightings(write_probe(tmp_path, items=3, heads=("read", "write 1")))
    assert shown is not None
    assert (shown.x.shape, shown.target.shape, shown.mask.shape) == ((8, 10), (8, 8), (8,))
    assert {name: array.shape for name, array in shown.heads.items()} == {
        "read": (8, 128), "write 1": (8, 128),
    }  # fmt: skip
    assert shown.mask.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert shown.heads["read"][0].argmax() == 4
    assert shown.answer[5:].max() == pytest.approx(0.95, abs=1 / 255)
    assert weightings(write_cell(tmp_path)) is None


class Unpickled:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_damaged_weightings_are_an_error(tmp_path: Path) -> None:
    path = write_probe(tmp_path, items=3, heads=("read",)) / "weightings.npz"
    intact = path.read_bytes()
    with np.load(path) as stored:
        arrays = dict(stored)
    evil = np.array([Unpickled(tmp_path / "unpickled")], dtype=object)
    broken = [
        arrays | {"x": arrays["x"][:-1]}, arrays | {"head read": arrays["mask"]},
        {key: value for key, value in arrays.items() if key != "mask"}, arrays | {"x": evil},
    ]  # fmt: skip
    for change in broken:
        np.savez(path, **change)
        with pytest.raises(BenchError, match=r"weightings\.npz is damaged"):
            weightings(path.parent)
    torn = bytearray(intact)
    torn[200:240] = bytes(40)
    for content in (b"", intact[:300], b"PK\x03\x04", intact[:-30], torn):
        path.write_bytes(content)
        with pytest.raises(BenchError, match=r"weightings\.npz is damaged"):
            weightings(path.parent)
    assert not (tmp_path / "unpickled").exists()


def test_code_is_compared_with_what_is_installed(tmp_path: Path) -> None:
    for learner in ("same", "changed", "gone"):
        write_cell(tmp_path, learner, source="abc")
    frame = load_results(tmp_path, {"same": "abc", "changed": "xyz"})
    assert dict(zip(frame.learner, frame.code, strict=True)) == {
        "same": "current", "changed": "other", "gone": "unknown",
    }  # fmt: skip
    assert set(load_results(tmp_path).code) == {"unknown"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b'{"accuracy": 0.', "damaged or truncated"),
        (b"\xff\xfe\x00", "damaged or truncated"),
        (b"[1, 2]", "holds a list"),
        (b"[" * 100_000, "damaged or truncated"),
        (b'{"metrics": "98 %"}', "metrics: Input should be a valid dictionary"),
        (b'{"metrics": {"accuracy": {"mean": "high"}}}', "metrics.accuracy.mean"),
        (b'{"by_presentation": [3]}', "by_presentation.0"),
    ],
)
def test_a_damaged_result_is_named_and_the_cell_still_counts(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    write_cell(tmp_path, "intact")
    damaged = write_cell(tmp_path, "damaged") / "result.json"
    damaged.write_bytes(content)
    found = read_results(tmp_path)
    assert {row.learner: row.status for row in found.rows} == {
        "intact": "done", "damaged": "unfinished",
    }  # fmt: skip
    assert [problem.path for problem in found.problems] == [str(damaged)]
    assert reason in found.problems[0].reason


def test_foreign_files_and_folders_are_named_and_skipped(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, timed={"cpu": 0.1})
    (cell / "timings" / "cpu.json").write_text("{")
    (cell / ".lock").touch()
    (tmp_path / "cells" / "notes.txt").touch()
    (tmp_path / "cells" / "mine" / "own" / "experiment").mkdir(parents=True)
    nameless = tmp_path / "cells" / "mine" / "own" / "nameless"
    nameless.mkdir()
    (nameless / "cell.json").write_text('{"learner": "x", "seed": 1}')
    found = read_results(tmp_path)
    assert [(row.learner, row.timings) for row in found.rows] == [("prototypical", {})]
    reasons = {Path(problem.path).name: problem.reason for problem in found.problems}
    assert reasons.keys() == {"cpu.json", "notes.txt", "experiment", "nameless"}
    assert (
        reasons["nameless"] == "does not say its suite, setting, family, device, precision, budget"
    )
    assert load_results(tmp_path).attrs["problems"] == found.problems


def test_numbers_without_sense_do_not_stop_the_reading(tmp_path: Path) -> None:
    result = write_cell(tmp_path) / "result.json"
    content = json.loads(result.read_text())
    content["updates"] = 10**30
    content["training_task"]["ways"] = "five"
    content["metrics"]["nll"]["mean"] = None  # how NaN is stored
    result.write_text(json.dumps(content))
    [row] = records(read_results(tmp_path).rows)
    assert (row["status"], row["updates"], row["training_ways"], row["nll"]) == (
        "done", None, None, None,
    )  # fmt: skip
    content["seed"] = 10**30
    result.write_text(json.dumps(content))
    assert "out of range" in read_results(tmp_path).problems[0].reason


def test_an_older_schema_reads_with_gaps(tmp_path: Path) -> None:
    result = write_cell(tmp_path) / "result.json"
    content = json.loads(result.read_text())
    for key in ("learner_name", "parameters", "transductive", "environment", "source", "metrics"):
        del content[key]
    content["of_a_newer_schema"] = 1
    result.write_text(json.dumps(content))
    found = read_results(tmp_path)
    [row] = records(found.rows)
    assert found.problems == []
    assert row["status"] == "done"
    assert row["learner_name"] == "prototypical"
    assert [row[key] for key in ("parameters", "transductive", "accuracy")] == [None] * 3


def test_failed_timings_leave_the_cell_done(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, timed={"cpu": 0.1})
    store(cell / "timings" / "cuda-1.failure.json", a_failure(phase="time", reason="no kernel"))
    row = load_results(tmp_path).iloc[0]
    assert row.status == "done"
    assert row.timings.keys() == {"cpu"}
    assert row.timing_failures["cuda:1"]["reason"] == "no kernel"


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir])
def test_nothing_there_says_what_to_do(tmp_path: Path, make) -> None:
    make(tmp_path / "results")
    with pytest.raises(BenchError, match="bench run --suite glyphs-5way"):
        load_results(tmp_path / "results")


def test_episode_scores(tmp_path: Path) -> None:
    cell = write_cell(tmp_path)
    row = load_results(tmp_path).iloc[0]
    scores = episode_scores(row.path)
    assert sum(scores.accuracy) / row.episodes == pytest.approx(row.accuracy)
    (cell / "episodes.json").write_text('{"bank": "x", "accuracy": [')
    with pytest.raises(BenchError, match="is damaged"):
        episode_scores(cell)
    (cell / "episodes.json").unlink()
    with pytest.raises(BenchError, match="No such file"):
        episode_scores(cell)


def test_select_by_suite_and_learner(tmp_path: Path) -> None:
    for learner in ("maml", "maml[inner_steps=5]", "mann", "[odd]"):
        for suite in ("glyphs-5way", "omniglot-5way"):
            write_cell(tmp_path, learner, suite=suite)
    rows = read_results(tmp_path).rows

    def chosen(suites: list[str], learners: list[str]) -> set[tuple[str, str]]:
        return {(row.suite, row.learner) for row in select(rows, suites, learners)}

    assert len(chosen([], [])) == 8
    assert chosen(["glyphs*"], ["maml"]) == {
        ("glyphs-5way", "maml"), ("glyphs-5way", "maml[inner_steps=5]"),
    }  # fmt: skip
    assert {learner for _, learner in chosen([], ["maml[inner_steps=5]", "mann"])} == {
        "maml[inner_steps=5]", "mann",
    }  # fmt: skip
    assert {learner for _, learner in chosen([], ["[odd]"])} == {"[odd]"}
    with pytest.raises(BenchError, match="did you mean 'glyphs-5way'"):
        select(rows, ["glyph-5way"], [])


def test_2000_cells_load_quickly_and_without_torch(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, timed={"cpu": 0.1})
    learner, _, own_id = cell.name.rpartition("-")
    result = (cell / "result.json").read_text()
    for number in range(2000):
        folder = cell.parent / f"{learner}-{number:012x}"
        (folder / "timings").mkdir(parents=True)
        (folder / "result.json").write_text(result.replace(own_id, f"{number:012x}"))
        os.link(cell / "timings/cpu.json", folder / "timings/cpu.json")
    started = time.process_time()
    assert len(load_results(tmp_path)) == 2001
    assert time.process_time() - started < 2  # 0.23 s
    code = (
        "import sys, bench.results.table, bench.cli.terminal, bench.results.boards;"
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_warnings_and_failures_of_trainings(tmp_path: Path) -> None:
    from bench.store.files import training_records

    cell = write_cell(tmp_path)
    folder = write_training(tmp_path, cell, warnings=["loss stays at ln(5)"])
    assert training_records(tmp_path, folder.name) == (["loss stays at ln(5)"], None)
    (folder / "result.json").write_text("{")
    store(folder / "failure.json", a_failure(reason="boom"))
    warnings, failure = training_records(tmp_path, folder.name)
    assert warnings == []
    assert failure is not None
    assert failure["reason"] == "boom"


def test_command_json_is_what_the_issue_promises(tmp_path: Path) -> None:
    write_cell(tmp_path, accuracy=0.9)
    write_cell(tmp_path, "mann", "model-based", by_presentation=[0.3, 0.8])
    write_cell(tmp_path, "maml", "optimization-based", status="failed")
    out = CliRunner().invoke(results_command, ["--results", str(tmp_path), "--format", "json"])
    assert out.exit_code == 0, out.output
    listed = {row["learner"]: row for row in json.loads(out.stdout)}
    promised = "suite setting learner family seed device budget status accuracy accuracy_ci95"
    for row in listed.values():
        assert set(promised.split()) | {"episodes", "accuracy_by_presentation"} <= set(row)
    assert 0.85 < listed["prototypical"]["accuracy"] < 0.95
    assert listed["maml"]["accuracy"] is None
    assert len(listed["mann"]["accuracy_by_presentation"]) == 2


def test_threads_and_machine_are_columns_that_the_short_table_shows_where_they_differ(
    tmp_path: Path,
) -> None:
    def header() -> str:
        out = CliRunner().invoke(results_command, ["--results", str(tmp_path)])
        return str(out.stdout.splitlines()[0])

    for seed, threads, name in ((0, 1, "L4"), (1, 2, "L4"), (2, 2, "H100")):
        cell = write_cell(
            tmp_path, seed=seed, training=f"of-{seed}", environment=environment(device_name=name)
        )
        write_training(tmp_path, cell, threads=threads)
        if seed == 0:
            write_cell(tmp_path, "mann", status="unfinished")  # not known, which is no difference
            assert "device  budget" in header()
        if seed == 1:
            assert "device  training_threads  budget" in header()
    assert "device  device_name  training_threads  budget" in header()
    frame = load_results(tmp_path).query("status == 'done'").sort_values("seed")
    assert frame.training_threads.tolist() == [1, 2, 2]
    assert frame.device_name.tolist() == ["L4", "L4", "H100"]
    assert frame.training_threads.dtype == "Int64"


def test_command_lists_and_filters(tmp_path: Path) -> None:
    write_cell(tmp_path)
    damaged = write_cell(tmp_path, "mann") / "result.json"
    damaged.write_text("{")
    out = CliRunner().invoke(results_command, ["--results", str(tmp_path), "--learner", "proto*"])
    assert out.stdout.splitlines()[1].split()[:3] == ["glyphs-5way", "5way1shot", "prototypical"]
    assert "mann" not in out.stdout
    assert str(damaged) in out.stderr
    assert "bit_errors" not in out.stdout.splitlines()[0]
    write_probe(tmp_path, wrong=0.5)
    out = CliRunner().invoke(results_command, ["--results", str(tmp_path), "--suite", "copy"])
    assert "accuracy_ci95  bit_errors  bit_errors_ci95  episodes" in out.stdout.splitlines()[0]
