"""What an executor adds, without looking at any time."""

from __future__ import annotations

import pytest

from benchmarks import engines


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
