"""Thousands of groups: what the command that follows them takes. The queue is played by scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.helpers.damage import one_setting
from tests.helpers.slurm_toy import wait_for

SEEDS = 5_000
MOST_MEMORY = 300 * 2**20
MOST_OF_A_CORE = 0.1

PLAYED = {
    "sbatch": "n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n > n; echo $n",
    "squeue": "n=$(cat n 2>/dev/null || echo 0)\n"
    'for j in $(seq 1 $n); do echo "$j|64-1000%64|PENDING|JobArrayTaskLimit|x"\n'
    '  for t in $(seq 0 63); do echo "$j|$t|RUNNING|None|x"; done; done',
    "scontrol": "echo 'MaxArraySize = 1001'",
    "scancel": "echo 0 > n",
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_following_thousands_of_groups_takes_little(tiny_suite, tmp_path):
    played = tmp_path / "played"
    played.mkdir()
    for name, script in PLAYED.items():
        (played / name).write_text(f"#!/bin/bash\ncd {played}\n{script}\n")
        (played / name).chmod(0o755)
    suite = one_setting(tiny_suite, tmp_path / "one.toml")
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", f"{heed}from bench.cli import main; main()", "run"]
    command += ["--suite", str(suite), "--learner", "nearest-code", "--seeds", f"0-{SEEDS - 1}"]
    command += ["--executor", "slurm", "--jobs", "64", "--results", str(tmp_path / "r")]
    environment = {**os.environ, "PATH": f"{played}:{os.environ['PATH']}"}
    with (tmp_path / "said.txt").open("w") as said:
        run = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    arrays = -(-SEEDS // 1001)
    wait_for(lambda: submitted(played) == arrays, 1200)
    time.sleep(5)
    driver = psutil.Process(run.pid)
    before, began = driver.cpu_times(), time.monotonic()
    time.sleep(30)
    after = driver.cpu_times()
    seconds = sum(after[:4]) - sum(before[:4])  # of its children too: squeue
    assert seconds / (time.monotonic() - began) < MOST_OF_A_CORE
    assert driver.memory_info().rss < MOST_MEMORY
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130, (tmp_path / "said.txt").read_text()


def submitted(played: Path) -> int:
    """Arrays so far."""
    try:
        return int((played / "n").read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0
