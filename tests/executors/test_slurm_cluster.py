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

SLOW = ("slow[seconds=0.1]",)
GOOD = ("nearest-code", *SLOW)


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch) -> Iterator[Toy]:
    folder = tmp_path_factory.mktemp("slurm") / "toy"
    with toy(folder) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        monkeypatch.setenv("PATH", cluster.environment["PATH"])
        yield cluster


@pytest.fixture
def suite(tiny_suite, tmp_path_factory) -> Path:
    """One setting, so that a learner has one training. Results tell its path."""
    return one_setting(tiny_suite, tmp_path_factory.getbasetemp() / "one.toml")


@pytest.fixture
def local(suite, tmp_path_factory) -> Path:
    """The same, carried out on this machine; made once."""
    folder = tmp_path_factory.getbasetemp() / "local"
    if not folder.exists():
        asked = request(suite, folder.with_suffix(".new"), GOOD)
        prepare(Request(**asked, executor="inline")).run()
        folder.with_suffix(".new").rename(folder)
    return folder


def of_slow(results: Path) -> dict[str, object]:
    """Results of one of the two learners."""
    return {name: what for name, what in results_of(results).items() if "/slow-" in name}


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

    def end(self, seconds: float = 480) -> int:
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


def node_of(cluster: Toy, driver: Driver, learner: str) -> str:
    """The node on which a training of a learner works."""
    (array,) = driver.results.glob(".runs/*/arrays/*.json")
    groups = json.loads(array.read_text())["groups"]
    number = next(k for k, name in enumerate(groups) if name.startswith(f"train-{learner}-"))
    tasks = dict(line.split() for line in cluster.jobs("-o", "%K %N", states="running"))
    return tasks[str(number)]


def test_a_node_that_dies_and_a_driver_that_is_killed_change_nothing(
    cluster, suite, tmp_path, local
):
    driver = Driver(suite, tmp_path / "r", GOOD)
    wait_for(lambda: driver.trains("slow"), 240)
    finished = finished_files(driver.results)
    submitted = len(cluster.jobs(states="all"))
    node = node_of(cluster, driver, "slow")
    driver.process.kill()
    driver.process.wait()
    cluster.lose(node)
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
    driver = Driver(suite, tmp_path / "r", SLOW, "--jobs", "3")
    wait_for(lambda: driver.trains("slow"), 240)
    driver.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert driver.end(20) == 130
    wait_for(lambda: not cluster.jobs() and not working(tmp_path), 5)
    assert time.monotonic() - began < 10
    assert "go on with" in driver.said()
    assert not list(driver.results.rglob("failure.json"))
    driver.begin()
    assert driver.end() == 0, driver.said()
    assert results_of(driver.results) == of_slow(local)


def working(folder: Path) -> list[str]:
    """Processes that were begun in this test's folder."""
    lines = [
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ]
    return [line for line in lines if str(folder) in line and " work " in line]


def lost(driver: Driver) -> int:
    """How often a group was broken off without a word."""
    files = driver.results.glob(".runs/*/groups/*.json")
    return sum(json.loads(file.read_text())["lost"] for file in files)


def test_jobs_that_are_stopped_go_on_and_those_that_are_lost_are_a_failure_in_the_end(
    cluster, suite, tmp_path, local
):
    """Three runs at once, a node for each: out of time, out of luck, and without power. That the
    next run tries again what was lost, tests/groups/test_work.py shows."""
    limited = Driver(suite, tmp_path / "limited", SLOW, "-X", "nodelist=n1", "-X", "time=9")
    preempted = Driver(suite, tmp_path / "preempted", SLOW, "-X", "nodelist=n2")
    unlucky = Driver(suite, tmp_path / "unlucky", ("slow[seconds=0.5]",), "-X", "nodelist=n3")
    for driver in (limited, preempted):
        wait_for(lambda d=driver: d.trains("slow"), 240)
    # What Slurm sends itself, some time before the limit; half a minute more or less.
    (job,) = cluster.jobs("-o", "%F", "-w", "n1", "-p", "main")[:1]
    cluster.slurm("scancel", "--batch", "--signal=USR1", job)
    urgent = ["-p", "urgent", "-w", "n2", "--exclusive", "--wrap", "sleep 3"]
    cluster.slurm("sbatch", "-o", "/dev/null", *urgent)
    for attempt in (1, 2, 3):
        wait_for(lambda n=attempt: n in unlucky.attempts().values(), 240)
        cluster.lose("n3")
        cluster.mend("n3")
    wait_for(lambda: failures_of(unlucky.results, "slow") == {"lost"}, 240)
    assert unlucky.end() == 1
    for driver in (limited, preempted):
        assert driver.end() == 0, driver.said()
        assert not list(driver.results.rglob("failure.json"))
        assert results_of(driver.results) == of_slow(local)
        assert max(driver.attempts().values()) >= 2, driver.said()
        assert lost(driver) == 0, "it was stopped, and stored where it stood"


def test_learners_that_misbehave_have_the_words_that_they_have_locally(cluster, suite, tmp_path):
    """And a run that is left alone, beside them."""
    bad = ("raises", "exits", "hangs", "nearest-code")
    driver = Driver(suite, tmp_path / "r", bad, "--timeout", "15s", "--jobs", "3")
    greedy = Driver(suite, tmp_path / "greedy", ("allocates",))
    alone = Driver(suite, tmp_path / "alone", ("nearest-code",), "--detach")
    assert alone.end() == 0, alone.said()
    assert "2 groups are left to slurm" in alone.said()
    told = status_of(alone)
    assert re.search(r"\d queued, \d running, \d done, 0 failed, 0 unfinished", told), told
    assert driver.end() == 1
    assert {name: failures_of(driver.results, name) for name in bad} == {
        "raises": {"error"}, "exits": {"exit"}, "hangs": {"timeout"}, "nearest-code": set(),
    }  # fmt: skip
    assert "exit code 3" in driver.said()
    assert "still running after 15 s (--timeout)" in driver.said()
    assert re.search(r"1 of 4 cells done", driver.said())
    assert greedy.end() == 1
    assert failures_of(greedy.results, "allocates") == {"memory"}, greedy.said()
    wait_for(lambda: not cluster.jobs(), 240)
    assert "0 queued, 0 running, 2 done, 0 failed, 0 unfinished" in status_of(alone)
    assert timings_of(alone.results) == 1, "the timing came after the training"


def status_of(driver: Driver) -> str:
    ask = [*driver.command[:3], "status", "--results", str(driver.results)]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout
