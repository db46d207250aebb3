"""`bench results` as files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from bench.cli.results import results
from bench.errors import BenchError
from bench.report import write_report
from bench.results.table import COLUMNS
from bench.store import layout
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


def no_utf8(root: Path) -> Path:
    """A folder of results whose own name, and one in it, are bytes that are no UTF-8."""
    folder = root / os.fsdecode(b"caf\xe9")
    write_cell(folder)
    (layout.cell_folder(folder, "tiny", "one", os.fsdecode(b"x\xff-0123"))).mkdir(parents=True)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
def test_folders_whose_names_are_no_utf8_are_shown_escaped(tmp_path: Path) -> None:
    root = no_utf8(tmp_path)
    for format_ in ("table", "csv", "json", "parquet"):
        if format_ == "parquet":
            pytest.importorskip("pyarrow")
        done = asked(root, "--format", format_, "--out", str(tmp_path / f"cells.{format_}"))
        assert done.exit_code == 0, done.exception
        assert "x\\udcff-0123" in done.output
    (page,) = write_report(root, formats=["html"], single=True)
    assert "x\\udcff-0123" in page.read_text(encoding="utf-8")
    write_report(root, tmp_path / "all", single=True)


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_where_nothing_can_be_written_is_one_message(tmp_path: Path, format_: str) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    write_cell(tmp_path)
    (tmp_path / "file").touch()
    error = asked(
        tmp_path, "--format", format_, "--out", str(tmp_path / "file" / "cells")
    ).exception
    assert isinstance(error, BenchError)
    assert "cannot write" in str(error)
    assert (
        asked(tmp_path, "--format", format_, "--out", str(tmp_path / "new" / "cells")).exit_code
        == 0
    )


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="has no /dev/full")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    write_cell(tmp_path)
    device = tmp_path / "device"
    device.symlink_to("/dev/full")
    error = asked(tmp_path, "--format", "csv", "--out", str(device)).exception
    assert isinstance(error, BenchError)
    assert "No space left" in str(error)
    assert device.is_char_device()
