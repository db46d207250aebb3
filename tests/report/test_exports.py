"""Tables as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.report import write_report
from bench.report.board_tables import Table, accuracy_table, cost_table, tables
from bench.report.exports import WRITERS, as_csv, as_latex, as_markdown, file_name, save_tables
from bench.results.boards import boards
from bench.results.reading import read_results
from bench.results.table import load_results
from tests.helpers.synthetic import gallery, make_older, write_cell, write_probe

EVIL = r"a|b_$\x%&#{~^}<i>"


def table(folder: Path, kind: str = "accuracy") -> Table:
    (board,) = boards(read_results(folder).rows)
    made = {"accuracy": accuracy_table, "cost": cost_table}[kind](board)
    assert made is not None
    return made


def test_csv_holds_numbers_as_they_are_stored(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", accuracy=0.9, timed={"cpu": 0.25})
    write_cell(tmp_path, "b", accuracy=0.8)
    stored = load_results(tmp_path).set_index("learner")
    frame = pd.read_csv(io.StringIO(as_csv(table(tmp_path)))).set_index("learner")
    assert list(frame.index) == ["a", "b"]
    assert frame.accuracy["a"] == pytest.approx(stored.accuracy["a"])
    assert frame.ci95["b"] == pytest.approx(stored.accuracy_ci95["b"])
    assert frame["meta-training time"]["a"] == 1234.5
    assert frame["meta-training examples"].dtype == int
    cost = pd.read_csv(io.StringIO(as_csv(table(tmp_path, "cost")))).set_index("learner")
    assert cost["cpu adapt"]["a"] == 0.25
    assert pd.isna(cost["cpu adapt"]["b"])
    assert cost["cpu memory"]["a"] == 420_000_000


def test_all_equal_bests_are_bold(tmp_path: Path) -> None:
    for learner, wrong in (("lstm", 0.0), ("ntm", 0.0), ("mann", 3.0)):
        write_probe(tmp_path, learner, wrong=wrong)
    found = table(tmp_path)
    assert as_markdown(found).count("**0.000**") == 2
    assert as_latex(found).count(r"\textbf{0.000}") == 2


def test_memory_that_an_older_version_stored_has_no_column(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", timed={"cpu": 0.25})
    make_older(tmp_path)
    cost = table(tmp_path, "cost")
    assert "memory" not in [column.title for column in cost.columns]
    assert not any("memory" in note for note in cost.notes)
    (stored,) = load_results(tmp_path).peak_memory
    assert stored == {"cpu": None}


def test_markdown_has_a_cell_per_column_whatever_a_name_holds(tmp_path: Path) -> None:
    write_cell(tmp_path, EVIL, EVIL, accuracy=0.9)
    write_cell(tmp_path, "b", accuracy=0.8)
    text = as_markdown(table(tmp_path))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bars = {line.replace(r"\|", "").count("|") for line in rows}
    assert len(rows) == 4
    assert len(bars) == 1
    assert r"a\|b\_$\\x" in text
    assert "<i>" not in text.replace(r"\<i\>", "")
    assert "**90." in text or "**89." in text  # the best is bold
    assert "±" in text


def test_latex_escapes_what_is_special_there(tmp_path: Path) -> None:
    write_cell(tmp_path, EVIL, accuracy=0.9, transductive=True)
    write_cell(tmp_path, "b", accuracy=0.8)
    text = as_latex(table(tmp_path))
    assert (
        r"a\textbar{}b\_\$\textbackslash{}x\%\&\#\{\textasciitilde{}\textasciicircum{}\}"
        r"\textless{}i\textgreater{}\textsuperscript{\textdaggerdbl{}}"
    ) in text
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    shape = text.partition(r"\begin{tabular}{")[2].partition("}")[0]
    lines = [line for line in body.splitlines() if r"\textbackslash" in line]
    assert [line.replace(r"\&", "").count("&") for line in lines] == [len(shape) - 1]
    for rule in ("toprule", "midrule", "bottomrule", "cmidrule"):
        assert rf"\{rule}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    gallery(tmp_path)
    made = [t for board in boards(read_results(tmp_path).rows) for t in tables(board)]
    document = "".join(map(as_latex, made))
    (tmp_path / "all.tex").write_text(
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,textcomp}"
        rf"\begin{{document}}{document}\end{{document}}"
    )
    subprocess.run(
        ["pdflatex", "-halt-on-error", "all.tex"], cwd=tmp_path, check=True, capture_output=True
    )


def test_all_tables_become_files(tmp_path: Path) -> None:
    gallery(tmp_path / "results")
    paths = write_report(tmp_path / "results", tmp_path / "out", formats=list(WRITERS))
    names = {path.name for path in paths}
    assert {path.parent for path in paths} == {tmp_path / "out" / "tables"}
    assert len(names) == len(paths) >= 18
    for kind in ("accuracy", "cost"):
        for suffix in ("csv", "md", "tex"):
            assert f"omniglot-5way-5way1shot-standard-{kind}.{suffix}" in names
    for path in paths:
        if path.suffix == ".csv":
            widths = {len(row) for row in csv.reader(path.open(encoding="utf-8"))}
            assert len(widths) == 1


def test_file_names_have_nothing_of_a_path_in_them(tmp_path: Path) -> None:
    write_cell(tmp_path)
    (board,) = boards(read_results(tmp_path).rows)
    hostile = replace(board, suite="../../etc", setting="a/b\\c", budget="5min")
    assert file_name(hostile, "cost") == "etc-a-b-c-5min-cost"


def test_tables_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    write_cell(tmp_path, suite="my-suite", setting="s")
    write_cell(tmp_path, suite="my", setting="suite-s")
    made = [accuracy_table(board) for board in boards(read_results(tmp_path).rows)]
    assert [path.name for path in save_tables(made, tmp_path / "tables", ["csv"])] == [
        "my-suite-s-standard-accuracy.csv",
        "my-suite-s-standard-accuracy-2.csv",
    ]


def test_a_name_is_no_formula_and_no_new_line(tmp_path: Path) -> None:
    write_cell(tmp_path, '=HYPERLINK("x")', "+two\r\n| three |", transductive=True)
    made = table(tmp_path)
    (row,) = csv.DictReader(io.StringIO(as_csv(made)))
    assert row["learner"] == '\'=HYPERLINK("x")'
    assert row["family"].startswith("'+two")
    assert "\r" not in as_csv(made)
    assert row["marks"] == "transductive"
    assert "\r" not in as_markdown(made) + as_latex(made)
    assert r"two \| three \|" in as_markdown(made)
