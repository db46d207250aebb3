"""Text tables, and the boards behind them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.terminal import board_text, print_boards, render
from bench.results.boards import boards
from bench.results.formats import amount, duration, natural, ordinal, part, percent
from bench.results.measures import ACCURACY
from bench.results.reading import read_results
from bench.results.table import load_results
from tests.helpers.synthetic import gallery, write_cell, write_probe

ROWS: list[dict[str, Any]] = [
    {"name": "maml[inner_steps=5]", "score": 0.954, "seeds": np.int64(3), "ok": True},
    {"name": "ντμ", "score": float("nan"), "seeds": pd.NA, "extra": [1, None]},
]
COLUMNS = ["name", "score", "seeds", "ok", "extra"]


def test_json_has_null_for_whatever_is_missing() -> None:
    assert json.loads(render(ROWS, COLUMNS, "json")) == [
        {"name": "maml[inner_steps=5]", "score": 0.954, "seeds": 3, "ok": True, "extra": None},
        {"name": "ντμ", "score": None, "seeds": None, "ok": None, "extra": [1, None]},
    ]


def test_csv_reads_back() -> None:
    read = list(csv.DictReader(io.StringIO(render(ROWS, COLUMNS, "csv"))))
    assert read[0]["name"] == "maml[inner_steps=5]"
    assert (read[1]["score"], read[1]["extra"]) == ("", "[1, null]")


def test_a_piped_table_is_plain_and_aligned() -> None:
    header, first, second = render(ROWS, COLUMNS, terminal=False).splitlines()
    assert header == "name                 score  seeds  ok   extra"
    assert first == "maml[inner_steps=5]  0.954      3  yes  –"
    assert second == "ντμ                      –      –  –    1 –"


def test_a_terminal_table_has_colours_and_keeps_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = render(ROWS, COLUMNS, terminal=True)
    assert "\x1b[" in text
    assert "maml[inner_steps=5]" in text


def test_control_characters_of_plugins_do_not_reach_the_terminal() -> None:
    text = render([{"name": "evil\x1b[2J\nname"}], ["name"], terminal=False)
    assert text.splitlines()[1] == r"evil\x1b[2J name"


@pytest.mark.parametrize("fmt", ["table", "csv", "json"])
def test_no_rows(fmt: Any) -> None:
    assert render([], ["a", "b"], fmt).split() in (["a", "b"], ["a,b"], ["[]"])
    render([], [], fmt)


def test_values_are_written_for_people() -> None:
    assert percent(0.98254, 0.00113) == "98.25 ± 0.11"
    assert percent(None) == "–"
    parts = {1.6: "160 %", 0.417: "42 %", 0.095: "10 %", 0.0834: "8.3 %", 0.0063: "0.6 %"}
    assert {value: part(value) for value in parts} == parts
    assert part(None) == "–"
    seconds = {
        0: "0 s", 3.2e-7: "320 ns", 0.0234: "23.4 ms", 0.9996: "1 s", 59.9: "59.9 s",
        64.5: "1 min 04 s", 3599: "59 min 59 s", 7500: "2 h 05 min",
    }  # fmt: skip
    assert {value: duration(value) for value in seconds} == seconds
    assert [ordinal(k) for k in (1, 2, 3, 4, 11, 21)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "21st",
    ]
    assert sorted(["20way", "5way", "5way10", "5way5"], key=natural) == [
        "5way", "5way5", "5way10", "20way",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("below", "above", "border"),
    [
        ((9.994e-7, "999 ns"), 9.996e-7, "1 µs"),
        ((9.994e-4, "999 µs"), 9.996e-4, "1 ms"),
        ((0.9994, "999 ms"), 0.9996, "1 s"),
        ((59.94, "59.9 s"), 59.97, "1 min 00 s"),
        ((119.4, "1 min 59 s"), 119.6, "2 min 00 s"),
        ((3599.4, "59 min 59 s"), 3599.6, "1 h 00 min"),
        ((7169.0, "1 h 59 min"), 7171.0, "2 h 00 min"),
    ],
)
def test_a_duration_is_rounded_into_the_next_unit(
    below: tuple[float, str], above: float, border: str
) -> None:
    assert (duration(below[0]), duration(above)) == (below[1], border)


@given(st.floats(60, 1e7))
def test_minutes_and_hours_are_the_nearest(seconds: float) -> None:
    text = duration(seconds)
    unit = {"h": 3600, "min": 60, "s": 1}
    words = text.split()
    told = sum(int(n) * unit[name] for n, name in zip(words[::2], words[1::2], strict=True))
    assert abs(told - seconds) <= unit[words[-1]] / 2
    assert all(int(n) < 60 for n in words[2::2])


def test_leaderboard_groups_families_and_shows_presentations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery(tmp_path)
    print_boards(read_results(tmp_path).rows)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    first, second, online = text.strip().split("\n\n")
    order = [line for line in first.splitlines() if re.match(r"[a-z-]+$", line)]
    assert order == ["model-based", "metric-based", "optimization-based", "in-context"]
    assert re.search(r"maml +\d\d\.\d\d ± \d\.\d\d +2 of 3 ", first)
    assert "unfinished  maml seed 2" in first
    assert "failed  lstm seed 0: RuntimeError" in second
    assert "1st    2nd    5th   10th" in online
    assert "metanet (transductive)" in first


def test_probes_are_ranked_by_their_wrong_bits(tmp_path: Path) -> None:
    write_probe(tmp_path, "lstm", wrong=40.0, timed={"cpu": 0.002})
    write_probe(tmp_path, "ntm", wrong=0.5)
    write_probe(tmp_path, "gone", status="unfinished")
    (board,) = boards(read_results(tmp_path).rows)
    assert board.best is None
    shutil.rmtree(next(tmp_path.glob("cells/*/*/gone-*")))
    (board,) = boards(read_results(tmp_path).rows)
    assert [entry.learner for entry in board.entries] == ["ntm", "lstm"]
    assert board.best is board.entries[0]
    title, header, family, ntm, lstm = board_text(board).splitlines()
    assert title == "copy  length20  (budget standard)"
    assert header.split() == [
        "learner", "wrong", "bits", "of", "right", "%", "sequences", "training", "step",
    ]  # fmt: skip
    assert family == "model-based"
    assert re.search(r"  ntm +\*0\.\d{3} ± 0\.\d{3}  160    99\.\d\d +40 ", ntm)
    assert re.search(r"  lstm +[34]\d\.\d\d ± \d\.\d\d  160    7\d\.\d\d +40 ", lstm)


def test_equal_bests_are_all_marked(tmp_path: Path) -> None:
    for learner, wrong in (("lstm", 0.0), ("ntm", 0.0), ("mann", 3.0)):
        write_probe(tmp_path, learner, wrong=wrong)
    (board,) = boards(read_results(tmp_path).rows)
    stars = {line.split()[0]: "*" in line for line in board_text(board).splitlines()[3:]}
    assert stars == {"lstm": True, "ntm": True, "mann": False}


def test_wrong_bits_are_written_for_people() -> None:
    assert amount(0.0424, 0.0131) == "0.042 ± 0.013"
    assert amount(12.345, 1.5) == "12.35 ± 1.50"
    assert amount(412.345, 9.87) == "412.3 ± 9.9"
    assert amount(0.0) == "0.000"
    assert (amount(0.0, 0.0), percent(1.0, 0.0)) == ("0.000", "100.00")  # no interval
    assert amount(None) == "–"


def test_complete_boards_rank_and_others_do_not(tmp_path: Path) -> None:
    write_cell(tmp_path, "good", accuracy=0.95)
    write_cell(tmp_path, "better", accuracy=0.99)
    (board,) = boards(read_results(tmp_path).rows)
    assert [entry.learner for entry in board.entries] == ["better", "good"]
    assert board.best is board.entries[0]
    assert "*9" in board_text(board)
    write_cell(tmp_path, "better", seed=1, status="failed")
    (board,) = boards(read_results(tmp_path).rows)
    assert [entry.learner for entry in board.entries] == ["good", "better"]
    assert not board.complete
    assert board.best is None
    assert re.search(r"better +\d\d\.\d\d ± \d\.\d\d  1 of 2", board_text(board))


def test_seeds_are_averaged_and_their_deviation_stands_apart(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.90, 0.94)):
        write_cell(tmp_path, seed=seed, accuracy=accuracy)
    frame = load_results(tmp_path)
    (entry,) = boards(read_results(tmp_path).rows)[0].entries
    assert entry.score(ACCURACY) == pytest.approx(frame.accuracy.mean())
    assert entry.seed_deviation(ACCURACY) == pytest.approx(frame.accuracy.std())
    assert entry.half_width(ACCURACY) == pytest.approx(frame.accuracy_ci95.mean())


def test_budgets_make_boards_and_the_untrained_stand_on_each(tmp_path: Path) -> None:
    for budget, episodes in (("smoke", 200), ("standard", 1000)):
        write_cell(tmp_path, budget=budget, episodes=episodes)
        folder = write_cell(tmp_path, "pixels", budget="none", episodes=episodes)
        folder.rename(folder.with_name(f"pixels-{episodes}-{folder.name}"))
    smoke, standard = boards(read_results(tmp_path).rows)
    for board, episodes in ((smoke, 200), (standard, 1000)):
        assert {entry.learner for entry in board.entries} == {"prototypical", "pixels"}
        assert {entry.mean(lambda row: row.episodes) for entry in board.entries} == {episodes}


def test_devices_and_precisions_are_told_apart(tmp_path: Path) -> None:
    write_cell(tmp_path)
    write_cell(tmp_path, device="cuda", precision="bf16")
    labels = {entry.label for entry in boards(read_results(tmp_path).rows)[0].entries}
    assert labels == {"prototypical · cpu · fp32", "prototypical · cuda · bf16"}


def test_a_narrow_window_shows_the_first_device_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cell(tmp_path, timed={"cpu": 0.01, "cpu/1": 0.02})
    (board,) = boards(read_results(tmp_path).rows)
    for columns, shown in (("80", False), ("160", True)):
        monkeypatch.setenv("COLUMNS", columns)
        assert ("cpu/1" in board_text(board, terminal=True)) is shown


def test_the_same_seed_three_times_makes_three_entries(tmp_path: Path) -> None:
    """The learner has changed how it is trained: other trainings, not other seeds."""
    for number in range(3):
        folder = write_cell(tmp_path)
        folder.rename(folder.with_name(f"training-{number}-{folder.name}"))
    assert [len(entry.cells) for entry in boards(read_results(tmp_path).rows)[0].entries] == [
        1,
        1,
        1,
    ]
