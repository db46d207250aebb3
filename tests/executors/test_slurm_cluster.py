"""`bench run --executor slurm` on a real cluster of three nodes, in which nodes, jobs, the driver
and the controller are lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.running.prepare import prepare
from bench.running.request import Request
from tests.helpers.damage import one_setting, results_of
from tests.helpers.killed import finished_files
from tests.helpers.slurm_toy import Toy, toy, wait_for, why_not

pytestmark = [
    pytest.mark.usefixtures("tiny_plugins"),
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

GOOD = ("nearest-code", "slow")


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch) -> Iterator[Toy]:
    folder = tmp_path_factory.mktemp("slurm") / "toy"
    with toy(folder, Path("/tmp/bench-slurm-toy.lock")) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        monkeypatch.setenv("PATH", cluster.environment["PATH"])
        yield cluster


@pytest.fixture
def suite(tiny_suite, tmp_path) -> Path:
    """One setting, so that a learner has one training."""
    return one_setting(tiny_suite, tmp_path / "one.toml")


@pytest.fixture
def local(suite, tmp_path_factory) -> Path:
    """The same, carried out on this machine; made once."""
    folder = tmp_path_factory.getbasetemp() / "local"
    if not folder.exists():
        asked = request(suite, folder.with_suffix(".new"), GOOD)
        prepare(Request(**asked, executor="inline")).run()
        folder.with_suffix(".new").rename(folder)
    return folder


def request(suite: Path, results: Path, learners: tuple[str, ...]) -> dict[str, Any]:
    return {"suites": [suite], "learners": learners, "budget": "standard", "threads": 1,
            "results": results}  # fmt: skip


class Driver:
    """`bench run --executor slurm`, in a process of its own."""

    def __init__(self, suite: Path, results: Path, learners: tuple[str, ...], *more: str) -> None:
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        self.results = results
        self.command = [sys.executable, "-c", f"{heed}from bench.cli import main; main()", "run"]
        self.command += ["--suite", str(suite), "--budget", "standard", "--results", str(results)]
        self.command += ["--executor", "slurm", "-X", "poll=0.5", "-X", "mem=2500", *more]
        for learner in learners:
            self.command += ["--learner", learner]
        self.begin()

    def begin(self) -> None:
        self.output = (self.results.parent / f"{self.results.name}.txt").open("a+")
        self.process = subprocess.Popen(
            self.command, stdout=self.output, stderr=self.output, env=os.environ.copy()
        )

    def said(self) -> str:
        self.output.flush()
        return Path(self.output.name).read_text()

    def end(self, seconds: float = 240) -> int:
        code = self.process.wait(seconds)
        assert "Traceback" not in self.said(), self.said()
        return code

    def trains(self, learner: str) -> list[Path]:
        """Checkpoints of a learner's trainings: they have got on."""
        return list(self.results.glob(f"trainings/{learner}-*/checkpoint.pt"))

    def attempts(self) -> dict[str, int]:
        """How often each training was begun."""
        files = self.results.glob(".runs/*/groups/*.json")
        told = [json.loads(file.read_text()) for file in files]
        return {one["name"]: one["attempts"] for one in told if one["name"].startswith("train")}


def failures_of(results: Path, learner: str) -> set[str]:
    files = results.glob(f"trainings/{learner}-*/failure.json")
    return {json.loads(file.read_text())["kind"] for file in files}


def timings_of(results: Path) -> int:
    return len(list(results.glob("cells/*/*/*/timings/*.json")))


def node_of(cluster: Toy, partition: str = "main") -> str:
    """A node that works."""
    found: list[str] = []

    def look() -> bool:
        found[:] = cluster.jobs("-o", "%N", "-p", partition, states="running")
        return bool(found)

    wait_for(look)
    return found[0]


def test_a_node_that_dies_and_a_driver_that_is_killed_change_nothing(
    cluster, suite, tmp_path, local
):
    driver = Driver(suite, tmp_path / "r", GOOD)
    wait_for(lambda: driver.trains("slow"), 120)
    finished = finished_files(driver.results)
    submitted = len(cluster.jobs(states="all"))
    driver.process.kill()
    driver.process.wait()
    cluster.lose(node_of(cluster))
    cluster.stop_controller()
    driver.begin()  # the same command, while nobody answers
    wait_for(lambda: "does not answer" in driver.said())
    cluster.start_controller()
    assert driver.end() == 0, driver.said()
    assert results_of(driver.results) == results_of(local)
    assert timings_of(driver.results) == timings_of(local) == 2
    assert finished.items() <= finished_files(driver.results).items(), "nothing is computed twice"
    timed = 2
    assert len(cluster.jobs(states="all")) == submitted + timed, "nothing is submitted twice"
    assert max(driver.attempts().values()) == 2, "one was lost with its node"


def test_ctrl_c_leaves_nothing_and_the_same_command_goes_on(cluster, suite, tmp_path, local):
    driver = Driver(suite, tmp_path / "r", GOOD, "--jobs", "3")
    wait_for(lambda: driver.trains("slow"), 120)
    driver.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert driver.end(20) == 130
    wait_for(lambda: not cluster.jobs() and not working(tmp_path), 5)
    assert time.monotonic() - began < 10
    assert "go on with" in driver.said()
    assert not list(driver.results.rglob("failure.json"))
    driver.begin()
    assert driver.end() == 0, driver.said()
    assert results_of(driver.results) == results_of(local)


def working(folder: Path) -> list[str]:
    """Processes that were begun in this test's folder."""
    lines = [
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ]
    return [line for line in lines if str(folder) in line and " work " in line]


def test_time_limits_and_higher_priorities_are_no_failures(cluster, suite, tmp_path):
    slow = ("slow[seconds=0.25]",)
    limited = Driver(suite, tmp_path / "limited", slow, "-X", "time=1", "-X",
                     "signal=B:USR1@5", "-X", "nodelist=n1")  # fmt: skip
    preempted = Driver(suite, tmp_path / "preempted", slow, "-X", "nodelist=n2")
    wait_for(lambda: preempted.trains("slow"), 120)
    urgent = ["-p", "urgent", "-w", "n2", "--exclusive", "--wrap", "sleep 3"]
    cluster.slurm("sbatch", "-o", "/dev/null", *urgent)
    asked = request(suite, tmp_path / "here", slow)
    prepare(Request(**asked, executor="inline")).run()
    for driver in (limited, preempted):
        assert driver.end() == 0, driver.said()
        assert not list(driver.results.rglob("failure.json"))
        assert results_of(driver.results) == results_of(tmp_path / "here")
        assert max(driver.attempts().values()) >= 2, driver.said()


def test_learners_that_misbehave_have_the_words_that_they_have_locally(cluster, suite, tmp_path):
    bad = ("raises", "exits", "hangs", "nearest-code")
    limits = ["--timeout", "5s", "--jobs", "4"]
    driver = Driver(suite, tmp_path / "r", bad, *limits)
    greedy = Driver(suite, tmp_path / "greedy", ("allocates",))
    assert driver.end() == 1
    assert {name: failures_of(driver.results, name) for name in bad} == {
        "raises": {"error"}, "exits": {"exit"}, "hangs": {"timeout"}, "nearest-code": set(),
    }  # fmt: skip
    assert "exit code 3" in driver.said()
    assert "still running after 5 s (--timeout)" in driver.said()
    assert re.search(r"1 of 4 cells done", driver.said())
    assert greedy.end() == 1
    assert failures_of(greedy.results, "allocates") == {"memory"}, greedy.said()


def test_a_node_that_is_lost_three_times_is_a_failure_until_the_next_run(cluster, suite, tmp_path):
    driver = Driver(suite, tmp_path / "r", ("slow[seconds=0.3]",), "-X", "nodelist=n3",
                    "--jobs", "1")  # fmt: skip
    for attempt in (1, 2, 3):
        wait_for(lambda n=attempt: n in driver.attempts().values(), 120)
        wait_for(lambda: node_of(cluster) == "n3")
        cluster.lose("n3")
        cluster.mend("n3")
    wait_for(lambda: failures_of(driver.results, "slow") == {"lost"}, 120)
    driver.process.send_signal(signal.SIGINT)
    assert driver.end() == 130
    driver.command += ["--plan-only"]
    driver.begin()
    assert driver.end() == 0
    assert failures_of(driver.results, "slow") == set()


def test_left_alone_it_is_done_too(cluster, suite, tmp_path):
    driver = Driver(suite, tmp_path / "r", ("nearest-code",), "--detach")
    assert driver.end() == 0, driver.said()
    assert "2 groups are left to slurm" in driver.said()
    ask = [*driver.command[:3], "status", "--results", str(driver.results)]

    def status() -> str:
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout

    told = status()
    assert re.search(r"\d queued, \d running, 0 done, 0 failed, 0 unfinished", told), told
    wait_for(lambda: not cluster.jobs(), 120)
    assert "0 queued, 0 running, 2 done, 0 failed, 0 unfinished" in status()
    assert timings_of(driver.results) == 1, "the timings came after the trainings"
