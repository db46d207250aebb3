"""The command's own process imports no torch and nothing of a plugin, and a run that computes
nothing draws nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("torch", "pandas", "scipy", "matplotlib")

TELLS = """
import json, sys
from bench.cli import cli

try:
    cli(sys.argv[1:], standalone_mode=False)
finally:
    print("IMPORTED", json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported_by(*arguments: str) -> list[str]:
    """What a command's process has imported at its end, of plugins and of what is slow."""
    command = [sys.executable, "-c", TELLS, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = ran.stderr.rpartition("IMPORTED ")[2]
    plugins = ("bench_plugins", "tiny_plugins")
    return [name for name in json.loads(told) if name.partition(".")[0] in (*plugins, *SLOW)]


@pytest.mark.usefixtures("tiny_plugins")
@pytest.mark.parametrize(
    "arguments",
    [
        "list learners",
        "list datasets",
        "show nearest-code",
        "show codes",
        "check nearest-code --check determinism",
        "check codes --image-size 16",
        "data list",
    ],
)
def test_looking_at_plugins(arguments: str) -> None:
    assert imported_by(*arguments.split()) == []


def test_a_run_and_the_same_again(tiny_suite: Path, tmp_path: Path) -> None:
    asked = [
        "run", "--suite", str(tiny_suite), "--budget", "smoke", "--results", str(tmp_path / "r"),
    ]  # fmt: skip
    page = tmp_path / "r" / "report.html"
    assert not {"torch", "tiny_plugins"} & {*imported_by(*asked, "--learner", "untrained")}
    drawn = page.stat().st_mtime_ns
    assert imported_by(*asked, "--learner", "untrained") == [], "nothing is drawn"
    assert page.stat().st_mtime_ns == drawn
    imported_by(*asked, "--learner", "untrained", "--learner", "nearest-code")
    assert page.stat().st_mtime_ns > drawn, "another learner is drawn"
    drawn = page.stat().st_mtime_ns
    os.truncate(page, 1000)
    imported_by(*asked, "--learner", "untrained")
    assert page.stat().st_mtime_ns > drawn, "a page that was cut is drawn again"
