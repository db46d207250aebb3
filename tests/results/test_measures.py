"""Measures: words that follow from them, and a protocol that nobody knows from its result to the
report."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.cli.terminal import board_text, print_boards
from bench.report import write_report
from bench.report.board_tables import Table, tables
from bench.report.exports import as_csv, as_latex
from bench.report.figures import Palette, board_pictures
from bench.results.boards import Board, boards
from bench.results.claims import sentences
from bench.results.measures import ACCURACY, KINDS, WRONG_BITS, Metric, kind_of
from bench.results.pairs import compare_board
from bench.results.reading import read_results
from bench.results.table import COLUMNS, load_results
from bench.store.records import Measure
from tests.helpers.synthetic import interval, write_cell

RANK = Measure(
    metric="rank", heading="mean rank", higher_is_better=False, unit="number", chance=5.5, perfect=1
)


def write_ranking(root: Path, learner: str, mean: float, **changes: Any) -> Path:
    """A cell of the protocol ``ranking``, as a plugin's run stores it: its own metric only."""
    ranks = mean + np.random.default_rng(len(learner)).normal(0, 0.2, 100)
    fields: dict[str, Any] = {
        "suite": "letters", "setting": "10items", "protocol": "ranking", "measure": RANK,
        "dataset": "letters", "split": "even", "task": {"items": 10},
        "training_task": {}, "config": {}, "episodes": 100, "metrics": {"rank": interval(ranks)},
    }  # fmt: skip
    folder = write_cell(root, learner, **fields | changes)
    bank = json.loads((folder / "cell.json").read_text(encoding="utf-8"))["bank"]
    if (folder / "result.json").exists():
        scores = {"bank": bank, "accuracy": [], "nll": [], "rank": ranks.tolist()}
        (folder / "episodes.json").write_text(json.dumps(scores), encoding="utf-8")
    return folder


@pytest.fixture
def ranking(tmp_path: Path) -> Path:
    """Two learners with three seeds each, both timed; sorting is better by one rank."""
    for seed in range(3):
        write_ranking(tmp_path, "sorting", 2.0, seed=seed, timed={"cpu": 0.01})
        write_ranking(tmp_path, "guessing", 3.0, seed=seed, timed={"cpu": 0.02})
    return tmp_path


def board_of(root: Path) -> Board:
    (board,) = boards(read_results(root).rows)
    return board


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (ACCURACY, ["accuracy, %", "points of accuracy", "points", "the highest accuracy",
                    "accuracy, %", "98.25 ± 0.11", "+1.23"]),
        (WRONG_BITS, ["wrong bits", "wrong bits", "bits", "the fewest wrong bits",
                      "wrong bits per episode", "0.983 ± 0.001", "+0.012"]),
        (Metric(RANK), ["mean rank", "units of mean rank", "units of mean rank",
                        "the lowest mean rank", "mean rank", "0.983 ± 0.001", "+0.012"]),
    ],
)  # fmt: skip
def test_headings_and_units_follow_from_the_measure(metric: Metric, words: list[str]) -> None:
    assert [
        metric.heading, metric.units, metric.short_units, metric.best, metric.axis("episode"),
        metric.write(0.98251, 0.00111), metric.write_difference(0.0123, "+"),
    ] == words  # fmt: skip


def test_a_stored_measure_decides_and_the_built_in_ones_are_known_without() -> None:
    assert kind_of("kshot") is kind_of("kshot", ACCURACY.measure) is KINDS["kshot"]
    assert kind_of("sequence").metric is WRONG_BITS
    assert kind_of(None) is KINDS["kshot"]  # as an old result has it
    assert kind_of("ranking", RANK).metric == Metric(RANK)
    assert kind_of("ranking").metric == ACCURACY
    top3 = Measure(metric="top3", heading="in the top 3", higher_is_better=True, unit="percent")
    changed = kind_of("kshot", top3)
    assert (changed.metric.key, changed.classes) == ("top3", True)


# -- a protocol that nobody knows -----------------------------------------------------------------


def test_its_measure_is_a_column_of_the_results(ranking: Path) -> None:
    write_cell(ranking, "prototypical")
    frame = load_results(ranking)
    assert list(frame.columns) == [*COLUMNS, "rank", "rank_ci95"]
    means = frame.groupby("learner")["rank"].mean()
    assert means["sorting"] == pytest.approx(2, abs=0.1)
    assert np.isnan(means["prototypical"])
    ran = CliRunner().invoke(cli, ["results", "--results", str(ranking)])
    assert ran.exit_code == 0, ran.output
    header, *lines = ran.stdout.splitlines()
    assert header.split()[-2:] == ["rank", "rank_ci95"]
    assert len(lines) == 7
    ran = CliRunner().invoke(cli, ["results", "--results", str(ranking), "--format", "csv"])
    stored = [row for row in csv.DictReader(io.StringIO(ran.stdout)) if row["suite"] == "letters"]
    assert {row["accuracy"] for row in stored} == {""}
    assert all(float(row["rank"]) > 1 for row in stored)


def test_columns_in_which_nothing_stands_are_left_out(ranking: Path, tmp_path: Path) -> None:
    """Ranks have no calibration."""
    accuracy, *_ = tables(board_of(ranking))
    assert not {"NLL", "ECE"} & {column.title for column in accuracy.columns}
    assert not [note for note in accuracy.notes if "ECE" in note]
    write_cell(tmp_path / "classes", "prototypical")
    accuracy, *_ = tables(board_of(tmp_path / "classes"))
    assert {"NLL", "ECE"} <= {column.title for column in accuracy.columns}
    assert [note for note in accuracy.notes if "ECE" in note]


def test_less_is_better_on_its_board(ranking: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = board_of(ranking)
    assert [entry.learner for entry in board.entries] == ["sorting", "guessing"]
    assert board.best is board.entries[0]
    print_boards(read_results(ranking).rows)
    title, header, family, first, second = capsys.readouterr().out.strip().splitlines()
    assert title == "letters  10items  (budget standard)"
    assert header.split()[:3] == ["learner", "mean", "rank"]
    assert header.split()[3:] == ["seeds", "episodes", "training", "adapt", "query"]
    assert family == "metric-based"
    assert re.match(r"  sorting +\*[12]\.\d\d ± 0\.\d\d +3 +100 ", first)
    assert re.match(r"  guessing +[23]\.\d\d ± 0\.\d\d +3 +100 ", second)


def test_compare_calls_more_of_it_worse(ranking: Path) -> None:
    arguments = ["compare", "sorting", "guessing", "--results", str(ranking)]
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 1, ran.output
    assert "REGRESSION: in 1 of 1 rows B is worse" in ran.stdout
    assert re.search(r" \+[01]\.\d{3} ± 0\.\d{3} ", ran.stdout)
    [row] = json.loads(CliRunner().invoke(cli, [*arguments, "--format", "json"]).stdout)["rows"]
    assert (row["metric"], row["more_is_better"], row["verdict"]) == ("rank", False, "worse")
    assert row["difference"]["mean"] == pytest.approx(1, abs=0.1)


def test_its_sentences_and_tables(ranking: Path) -> None:
    board = board_of(ranking)
    assert sentences(compare_board(board)) == ["sorting is ahead of guessing."]
    by_kind: dict[str, Table] = {table.kind: table for table in tables(board)}
    assert by_kind.keys() == {"accuracy", "cost"}
    scores = by_kind["accuracy"]
    assert scores.caption == "Mean rank and meta-training"
    titles = [column.title for column in scores.columns]
    assert titles[:3] == ["mean rank", "seeds", "seed SD"]
    assert not {"ways", "encoder", "of"} & set(titles)
    assert "bold: the lowest mean rank" in scores.notes
    (row, _) = csv.DictReader(io.StringIO(as_csv(scores)))
    assert float(row["mean rank"]) == pytest.approx(2, abs=0.1)
    assert 0 < float(row["ci95"]) < 0.1
    assert r"learner & mean rank & seeds" in as_latex(scores)
    # only what somebody was timed in
    assert [column.title for column in by_kind["cost"].columns] == [
        "adapt", "first answer", "further query", "training update", "episodes/s", "memory",
    ]  # fmt: skip


def test_its_page_and_figures(ranking: Path) -> None:
    text = write_report(ranking, formats=["html"], single=True)[0].read_text(encoding="utf-8")
    best = (
        r"letters, 10items, budget standard: sorting [12]\.\d\d ± 0\.\d\d mean rank is the lowest"
    )
    assert re.search(best, text)
    assert "Ranking; on letters, split even; chance is 5.50 mean rank; perfect is 1.00" in text
    assert "could not be used" not in text
    board = board_of(ranking)
    pictures = board_pictures(board, Palette(["metric-based"]), [], compared=compare_board(board))
    names = [picture.name.rpartition("10items-standard-")[2] for picture in pictures]
    assert names == ["scores", "first-answer", "differences", "phases"]
    scores, tradeoff, differences, _ = (picture.draw() for picture in pictures)
    assert scores.axes[0].get_xlabel() == tradeoff.axes[0].get_ylabel() == "mean rank"
    assert pictures[2].alt.startswith("Paired differences in units of mean rank. sorting less")
    # the better learner is the faster one too: alone on the front
    assert pictures[1].alt.count("(front)") == 1
    assert re.search(r"sorting [12]\.\d\d in 16 ms \(front\)", pictures[1].alt)
    assert len(differences.axes[0].texts) == 2


def test_a_measure_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    folder = write_ranking(tmp_path, "sorting", 2.0)
    for change in ({"unit": "furlongs"}, {"heading": None}):
        stored = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        stored["measure"] |= change
        (folder / "result.json").write_text(json.dumps(stored), encoding="utf-8")
        found = read_results(tmp_path)
        assert any("measure" in problem.reason for problem in found.problems)
        (row,) = found.rows
        assert row.learner == "sorting"


def test_the_terminal_shows_a_protocol_without_any_result(tmp_path: Path) -> None:
    write_ranking(tmp_path, "sorting", 2.0, status="unfinished")
    assert "mean rank" in board_text(board_of(tmp_path), terminal=False)
