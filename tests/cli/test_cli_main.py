"""The end of every command: one message, an exit code, no traceback."""

from __future__ import annotations

import sys

import pytest

from bench.cli import main

LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ("results", "--results", LONG),
        ("report", "--results", LONG),
        ("compare", LONG, LONG),
        ("show", LONG),
        ("show", f"{LONG}.toml"),
        ("show", f"folder:{LONG}"),
        ("show", "folder:~nosuchuser"),
        ("check", f"folder:{LONG}"),
        ("data", "verify", f"folder:{LONG}"),
        ("new-learner", LONG),
        ("new-learner", "con"),
        ("new-learner", "mine", "--dir", LONG),
        ("run", "--suite", "glyphs-5way", "--learner", "maml", "--results", LONG),
        ("run", "--suite", "glyphs-5way", "--learner", "maml", "--data-dir", "~nosuchuser/x"),
        ("run", "--suite", f"{LONG}.toml", "--learner", "maml"),
        ("run", "--suite", "glyphs-5way", "--learner", "maml[widths=(1"),
        ("run", "--suite", "glyphs-5way", "--learner", f"maml[inner_lr={'9' * 4400}]"),
        ("run", "--suite", "glyphs-5way", "--learner", "maml", "--seeds", str(2**63)),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_names_that_the_system_refuses_are_one_message(arguments, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "Error: " in told
    assert len(told) < 1500
