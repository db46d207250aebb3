"""The benchmarks, without looking at any time."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch

from benchmarks import engines
from benchmarks.__main__ import main
from benchmarks.measuring import interleaved, operations


def test_calls_take_turns_and_the_first_of_each_does_not_count():
    told = []
    found = interleaved({"a": lambda: told.append("a"), "b": lambda: told.append("b")}, 2)
    assert told == ["a", "b"] * 3
    assert set(found) == {"a", "b"}


def test_operations_of_a_product():
    """2 · 3 · 4 · 5"""
    assert operations(lambda: torch.rand(3, 4) @ torch.rand(4, 5)) == 120


def test_it_runs_small_and_says_what_is_left_out(tmp_path, capsys):
    main(["--small", "--repeats", "1", "--output", str(tmp_path)])
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["product_peak"] > 0
    if importlib.util.find_spec("learn2learn") is None:
        assert "learn2learn 0.2.0 is not installed" in found["skipped"]["meta_updates"]
        assert "skipped" in capsys.readouterr().out
    else:
        assert [row["ratio"] > 0 for row in found["meta_updates"]] == [True, True]
        assert (tmp_path / "results.svg").exists()


@pytest.mark.parametrize("first_order", [False, True])
def test_a_setting_says_what_it_is(first_order):
    from benchmarks.meta_updates import Setting

    told = str(Setting(1, 5, first_order, 28, 16))
    assert told == f"1-shot, 5 steps, {'first' if first_order else 'second'} order, 28x28, 16 tasks"


@pytest.mark.usefixtures("tiny_plugins")
def test_engines_take_turns_and_local_is_what_they_are_compared_with(tiny_suite, tmp_path, capsys):
    asked = ["--suite", str(tiny_suite), "--learner", "nearest-code", "--seeds", "1"]
    asked += ["--repeats", "1", "--folder", str(tmp_path), "--engine", "inline"]
    table = engines.main(asked)
    assert list(table) == ["local", "inline"]
    assert table["local"]["more"] == 0
    inline = table["inline"]
    assert inline["more"] == inline["group"] - table["local"]["group"]
    assert "more than local" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
