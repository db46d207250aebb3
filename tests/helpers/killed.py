"""`bench run` as a process of its own, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LEARNERS = ("nearest-code", "nearest-code[width=24]", "untrained", "prototypical")


def start(
    suites: list[Path], results: Path, *more: str, jobs: int = 2, learners=LEARNERS
) -> subprocess.Popen[str]:
    """Begins a run; the caller waits for it."""
    # Where the tests run behind a shell's "&" SIGINT is ignored, which a process would inherit.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", f"{heed}from bench.cli import main; main()", "run"]
    for suite in suites:
        command += ["--suite", str(suite)]
    for learner in learners:
        command += ["--learner", learner]
    command += ["--budget", "smoke", "--results", str(results), "--jobs", str(jobs), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy()
    )


def finished_files(results: Path) -> dict[Path, int]:
    """Every finished file with the time it was written."""
    return {file: file.stat().st_mtime_ns for file in results.glob("**/result.json")}
