"""`bench run --executor ray` on a real cluster of Ray, of which a node is lost: `tox -e ray`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.api.executor import Resources, Site
from bench.errors import BenchError
from bench.running.prepare import prepare
from bench.running.request import Request
from tests.helpers.damage import one_setting, results_of
from tests.helpers.killed import finished_files
from tests.helpers.slurm_toy import wait_for

ray = pytest.importorskip("ray", reason="needs Ray; tox -e ray has it")
pytestmark = [pytest.mark.usefixtures("tiny_plugins"), pytest.mark.timeout(900)]

SLOW = "slow[seconds=0.1]"


@pytest.fixture
def cluster(tiny_plugins, monkeypatch, tmp_path) -> Iterator:
    """A cluster whose head does no work."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("TEST_CLUSTER", str(tmp_path))  # its processes are known by it
    monkeypatch.setenv("RAY_worker_niceness", "0")  # this machine does other things too
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    cluster.shutdown()


@pytest.fixture
def suite(tiny_suite, tmp_path_factory) -> Path:
    """One setting, so that a learner has one training. Results tell its path."""
    return one_setting(tiny_suite, tmp_path_factory.getbasetemp() / "one.toml")


@pytest.fixture
def local(suite, tmp_path_factory) -> dict[str, object]:
    """Results of the same, carried out on this machine; made once."""
    folder = tmp_path_factory.getbasetemp() / "local"
    if not folder.exists():
        asked = {"suites": [suite], "learners": ["nearest-code", SLOW], "budget": "standard"}
        new = folder.with_suffix(".new")
        prepare(Request(**asked, threads=1, results=new, executor="inline")).run()
        new.rename(folder)
    return results_of(folder)


def start(suite: Path, results: Path, address: str, *learners: str, more=()) -> subprocess.Popen:
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", f"{heed}from bench.cli import main; main()", "run"]
    command += ["--suite", str(suite), "--budget", "standard", "--results", str(results)]
    command += ["--executor", "ray", "-X", f"address={address}", "--threads", "1", *more]
    for learner in learners:
        command += ["--learner", learner]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy()
    )


def kinds(results: Path) -> dict[str, str]:
    """Kind of the failure of each learner's training."""
    files = results.glob("trainings/*/failure.json")
    return {f.parent.name.rpartition("-")[0]: json.loads(f.read_text())["kind"] for f in files}


def workers(folder: Path) -> set[int]:
    """Processes of a test's cluster that run a learner's code, or guard one."""
    found = set()
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, variables = process.info["cmdline"] or [""], process.info["environ"] or {}
        server = words[0] == sys.executable and "bench.processes.forkserver" in words
        if server and variables.get("TEST_CLUSTER") == str(folder):
            found |= {child.pid for child in process.children(recursive=True)}
    return found


def test_a_node_that_dies_changes_nothing(cluster, suite, tmp_path, local):
    first = cluster.add_node(num_cpus=2)
    run = start(suite, tmp_path / "r", cluster.address, "nearest-code", SLOW)
    wait_for(lambda: list(tmp_path.glob("r/trainings/slow-*/checkpoint.pt")), 240)
    finished = finished_files(tmp_path / "r")
    cluster.add_node(num_cpus=2)
    cluster.remove_node(first, allow_graceful=False)
    output, _ = run.communicate(timeout=400)
    assert run.returncode == 0, output
    assert results_of(tmp_path / "r") == local
    assert finished.items() <= finished_files(tmp_path / "r").items()
    assert len(list(tmp_path.glob("r/cells/*/*/*/timings/cpu.json"))) == 2
    told = [json.loads(file.read_text()) for file in tmp_path.glob("r/.runs/*/groups/*.json")]
    assert max(one["attempts"] for one in told) == 2


def test_no_cluster_there_is_told(tmp_path):
    from bench.executors.ray import RayExecutor

    executor = RayExecutor(Site(1, tmp_path, {"address": "127.0.0.1:1"}))
    with pytest.raises(BenchError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        executor.poll([])
    with pytest.raises(BenchError, match="expected names and numbers, as a100:1"):
        RayExecutor(Site(1, tmp_path, {"resources": "a100:many"}))


def test_a_cluster_that_refuses_is_told_in_its_own_words(tmp_path, monkeypatch):
    from bench.executors import ray as module

    def refuse(**options):
        raise ray.exceptions.AuthenticationError("a token\nis missing")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(module, "_reach", lambda address: None)
    executor = module.RayExecutor(Site(1, tmp_path, {"address": "ray://there:10001"}))
    with pytest.raises(BenchError, match=r"lets nobody in: a token is missing.*RAY_AUTH_TOKEN"):
        executor.poll([])


def test_signals_are_heard_as_before(monkeypatch):
    """Ray's own handler would end a run without a word on how to go on."""
    from bench.executors.ray import signals_kept

    def ours(number, frame):
        """Never called."""

    before = signal.signal(signal.SIGTERM, ours)
    try:
        with signals_kept():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("asked", "lacks"),
    [
        (Resources(cpus=4, gpus=1, memory=2**30), None),
        (Resources(cpus=8), "8 CPU, 1 a100"),
        (Resources(cpus=1, gpus=2), "1 CPU, 2 GPU, 1 a100"),
        (Resources(cpus=1, memory=2**33), "1 CPU, 1 a100, 9 GiB of memory"),
    ],
)
def test_what_no_node_has_is_told_and_waited_for(asked, lacks, tmp_path, monkeypatch):
    from bench.executors.ray import RayExecutor

    small = {"CPU": 16.0}  # a large one, without what is asked for
    node = {"CPU": 4.0, "GPU": 1.0, "a100": 1.0, "memory": 2.0**32}
    nodes = [{"Alive": True, "Resources": small}, {"Alive": True, "Resources": node}]
    nodes += [{"Alive": False, "Resources": dict.fromkeys(node, 1000000000000.0)}]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    told: list[str] = []
    executor = RayExecutor(Site(1, tmp_path, {"resources": "a100"}, notify=told.append))
    executor._tell_what_no_node_has(asked)
    assert len(told) == (lacks is not None)
    assert lacks is None or re.search(rf"asks for \({lacks}\); waiting for one", told[0]), told


def test_what_a_task_asks_for(tmp_path, monkeypatch):
    from bench.executors import ray as module

    monkeypatch.setattr(module, "most_cpus", lambda: 16.0)
    executor = module.RayExecutor(Site(1, tmp_path, {"resources": "a100:1"}))
    asked = {}

    class Remote:
        def options(self, **options):
            asked.update(options)
            return self

    monkeypatch.setattr(ray, "remote", lambda function: Remote())
    executor._task(Resources(cpus=4, gpus=1, memory=2**30), "a")
    assert (asked["num_cpus"], asked["num_gpus"], asked["memory"]) == (4, 1, 2 * 2**30)
    assert asked["resources"] == {"a100": 1.0}
    executor._task(Resources(cpus=4, exclusive=True), "a")
    assert asked["num_cpus"] == 16.0


def test_ctrl_c_leaves_nothing_and_failures_have_the_words_that_they_have_locally(
    cluster, suite, tmp_path, local
):
    cluster.add_node(num_cpus=4)
    run = start(suite, tmp_path / "r", cluster.address, SLOW)
    wait_for(lambda: list(tmp_path.glob("r/trainings/slow-*/checkpoint.pt")), 240)
    assert workers(tmp_path)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    wait_for(lambda: not workers(tmp_path), 5)
    assert not list(tmp_path.rglob("*result.json")), "it was in the middle"
    assert kinds(tmp_path / "r") == {}
    run = start(suite, tmp_path / "r", cluster.address, SLOW)  # it goes on, beside another
    bad = ("raises", "exits", "hangs", "allocates", "nearest-code")
    limits = ["--timeout", "15s", "--memory", "1.5GiB"]
    beside = start(suite, tmp_path / "bad", cluster.address, *bad, more=limits)
    output, _ = beside.communicate(timeout=400)
    assert beside.returncode == 1, output
    found = {"raises": "error", "exits": "exit", "hangs": "timeout", "allocates": "memory"}
    assert kinds(tmp_path / "bad") == found
    assert "exit code 3" in output
    assert "still running after 15 s (--timeout)" in output
    assert "1 of 5 cells done" in output
    output, _ = run.communicate(timeout=400)
    assert run.returncode == 0, output
    assert results_of(tmp_path / "r") == {
        name: of for name, of in local.items() if "/slow-" in name
    }
