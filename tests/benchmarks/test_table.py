"""What is shown of results: cells, and the page that has the committed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.part import at, mebibytes, milliseconds, number, percent, significant, times
from benchmarks.results import Results
from benchmarks.table import tables

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.012"), (1.2345, "1.23"), (12.345, "12.3"), (12345.6, "12,346")],
)
def test_three_digits_and_those_before_the_point(value, text):
    assert significant(value) == text


def test_cells_of_a_row():
    row = {"t": {"a": 0.0123}, "share": 0.456, "bytes": 3 * 2**20, "what": "5-way"}
    assert milliseconds("t", "a")(row) == "12.3"
    assert times("share")(row) == "0.456×"
    assert percent("share")(row) == "45.6 %"
    assert mebibytes("bytes")(row) == "3"
    assert number("what")(row) == "5-way"
    assert {cell(row) for cell in (milliseconds("t", "b"), times("x", "y"), number("z"))} == {"–"}
    assert at(row, "t", "a", "deeper") is None


def test_columns_without_anything_are_left_out_and_reasons_are_gathered():
    rows = {
        "encoders": {
            "a": {"seconds": {"fp32": 0.001}, "commit": "abc", "load": 1.5},
            "b": {"seconds": {"fp32": 2.0}, "commit": "def", "load": 3.0},
        }
    }
    found = Results(
        {"processor": "P", "device": "cpu", "torch": "2", "threads": 1, "cores": 2},
        {"repeats": 3}, {"fp32": 1e9}, rows, {"encoders": {"c": "no memory", "d": "no memory"}},
    )  # fmt: skip
    text = tables(found)
    assert text.startswith(
        "P, 1 thread; torch 2; commit abc and def; medians of 3 or more; "
        "a load of 1.5 to 3 on 2 cores."
    )
    assert "Product peak: 1.00 GFLOP/s in fp32." in text
    assert "| | fp32, ms |\n| --- | ---: |\n| a | 1.00 |\n| b | 2,000 |" in text
    assert "Not measured: c; d (no memory)." in text


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_page_shows_what_the_committed_results_say(path):
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    made = page.partition(f"<!-- made: benchmarks {path.stem} -->\n")[2].partition("<!-- end -->")[
        0
    ]
    assert made.strip() == tables(Results.read(path)).strip()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_of_real_sizes_and_of_a_commit(path):
    found = Results.read(path)
    assert not found.asked["small"]
    commits = {row["commit"] for part in found.rows.values() for row in part.values()}
    assert commits
    assert not any("changed" in commit or commit == "unknown" for commit in commits)
