"""`bench results` as files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from bench.cli.results import results
from bench.errors import BenchError
from bench.results.table import COLUMNS
from tests.helpers.synthetic import write_cell


def asked(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(results, ["--results", str(root), *arguments])


def test_parquet_has_every_column_and_what_is_nested_as_json(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_cell(tmp_path, "a", accuracy=0.9, timed={"cpu": 0.01}, config={"steps": 5})
    write_cell(tmp_path, "b", status="failed")
    file = tmp_path / "cells.parquet"
    done = asked(tmp_path, "--format", "parquet", "--out", str(file))
    assert (done.exit_code, done.output) == (0, "")
    frame = pd.read_parquet(file)
    assert list(frame.columns) == list(COLUMNS)
    assert frame.learner.tolist() == ["a", "b"]
    assert frame.accuracy.isna().tolist() == [False, True]
    assert frame.seed.tolist() == [0, 0]
    assert json.loads(frame.config[0]) == {"steps": 5}
    assert json.loads(frame.timings[0])["cpu"]["adapt"] == 0.01


def test_parquet_needs_a_file(tmp_path: Path) -> None:
    write_cell(tmp_path)
    error = asked(tmp_path, "--format", "parquet").exception
    assert isinstance(error, BenchError)
    assert "--out cells.parquet" in str(error)


def test_other_formats_may_have_one(tmp_path: Path) -> None:
    write_cell(tmp_path)
    file = tmp_path / "cells.csv"
    assert asked(tmp_path, "--format", "csv", "--out", str(file)).output == ""
    assert file.read_text(encoding="utf-8") == asked(tmp_path, "--format", "csv").output
