"""Results folders from elsewhere: links, pipes and paths in records lead nowhere."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from bench.cli.terminal import render
from bench.results.reading import read_results
from bench.store.layout import is_name
from tests.helpers.damage import DAMAGES
from tests.helpers.synthetic import write_cell, write_training


@pytest.mark.parametrize(
    "training", ["../../elsewhere", "..", ".", "/etc", "a/b", "a\\b", ".hidden", "a\0b", ""]
)
def test_a_training_elsewhere_is_not_read(training, tmp_path):
    cell = write_cell(tmp_path)
    record = json.loads((cell / "result.json").read_text()) | {"training": training}
    (cell / "result.json").write_text(json.dumps(record))
    found = read_results(tmp_path)
    assert not is_name(training)
    assert [row.training for row in found.rows] in ([None], [])
    assert len(found.problems) == 1
    assert "training" in found.problems[0].reason


def test_a_result_in_another_cell_s_folder_is_no_result(tmp_path):
    one, other = write_cell(tmp_path, seed=0), write_cell(tmp_path, seed=1)
    (other / "result.json").write_bytes((one / "result.json").read_bytes())
    found = read_results(tmp_path)
    assert sorted(row.status for row in found.rows if row.status == "done") == ["done"]
    assert any("belongs elsewhere" in problem.reason for problem in found.problems)


def test_what_is_no_folder_and_no_file_is_named(tmp_path):
    cell = write_cell(tmp_path)
    (tmp_path / "cells" / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "cells" / "pipe")
    (cell / "failure.json").symlink_to("/dev/zero")
    found = read_results(tmp_path)
    assert [row.status for row in found.rows] == ["done"]
    assert {Path(problem.path).name for problem in found.problems} == {
        "loop", "pipe", "failure.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, "is missing"),
        (DAMAGES["cut"], "is damaged or truncated"),
        (DAMAGES["empty"], "is damaged or truncated"),
        (DAMAGES["a pipe"], "is no file"),
        (DAMAGES["a folder"], "is no file"),
        (DAMAGES["huge"], "is larger than 64 MiB"),
        (DAMAGES["a link to itself"], "Too many levels"),
    ],
)
def test_a_cell_without_whole_scores_stays_and_is_named(damage, told, tmp_path):
    write_cell(tmp_path, seed=1)
    file = write_cell(tmp_path) / "episodes.json"
    damage(file)
    found = read_results(tmp_path)
    assert [row.status for row in found.rows] == ["done", "done"]
    [problem] = found.problems
    assert problem.path == str(file)
    assert problem.reason.startswith(told)
    assert "`bench run` computes them again" in problem.reason


@pytest.mark.parametrize("status", ["failed", "unfinished"])
def test_what_is_not_done_needs_no_scores(status, tmp_path):
    write_cell(tmp_path, status=status)
    assert read_results(tmp_path).problems == []


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", " =1", "\0=1", "＝1", "=cmd|'/C c'!A0"],
)
def test_no_csv_holds_a_formula(text):
    written = render([{text: text, "plain": "a-b"}], [text, "plain"], "csv")
    for cell in next(csv.reader(io.StringIO(written, newline="")))[:1]:
        assert cell.startswith("'")
    row = list(csv.reader(io.StringIO(written, newline="")))[1]
    assert row[0].startswith("'")
    assert row[1] == "a-b"
    assert not {"\r", "\t", "\0"} & {*written}


def test_figures_keep_their_sign():
    assert render([{"a": -0.5, "b": [-1]}], ["a", "b"], "csv") == "a,b\n-0.5,[-1]"


@pytest.mark.parametrize(
    ("trained", "tested", "code"),
    [
        ("new", "new", "current"),
        ("old", "new", "other"),
        ("old", "old", "other"),
        ("new", "old", "other"),
        (None, "new", "current"),
        (None, "old", "other"),
    ],
)
def test_weights_of_other_code_are_other_code_whatever_tests_them(trained, tested, code, tmp_path):
    cell = write_cell(tmp_path, "maml", source=tested)
    if trained:
        write_training(tmp_path, cell, source=trained)
    [row] = read_results(tmp_path, {"maml": "new"}).rows
    assert row.code == code
    [row] = read_results(tmp_path).rows
    assert row.code == "unknown"
