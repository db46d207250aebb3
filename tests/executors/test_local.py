"""A learner that raises, hangs, exits or eats the memory costs its own cell and nothing else; and
what runs beside what, and on which GPU."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import psutil
import pytest

from bench.api.executor import Cancelled, Executor, Limits, Resources, Site
from bench.errors import BenchError
from bench.executors import local
from bench.executors.inline import InlineExecutor
from bench.executors.local import LocalExecutor
from bench.groups.group import Group
from bench.running.prepare import prepare
from bench.running.request import Request

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def group_of(learner: str, suite: Path, results: Path, **limits: float | None) -> Group:
    """The training of a learner, with one of its cells."""
    asked = Request(suites=[suite], learners=[learner], budget="smoke", results=results,
                    threads=1, **limits)  # fmt: skip
    return prepare(asked).groups()[0]


def executor_of(kind: type[Executor], events: list, jobs: int | None = 1) -> Executor:
    return kind(Site(jobs, Path("nowhere"), tell=events.append))


def carry_out(kind: type[Executor], group: Group) -> list:
    """Has it carried out; what happened to its parts."""
    events: list = []
    executor = executor_of(kind, events)
    handle = executor.submit(group, Resources(cpus=1))
    until = time.monotonic() + 120
    while executor.poll([handle])[handle].kind != "ended":
        assert time.monotonic() < until
    executor.close()
    return events


def failure_of(group: Group) -> dict:
    return json.loads(group.train().failure.read_text())


def children_of_workers() -> list[psutil.Process]:
    """Worker processes that still live: children of the fork server of this process."""
    everyone = psutil.Process().children(recursive=True)
    return [process for process in everyone if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("executor", [InlineExecutor, LocalExecutor])
def test_a_group_is_settled(executor, tiny_suite, tmp_path):
    group = group_of("nearest-code", tiny_suite, tmp_path)
    assert not group.settled
    events = carry_out(executor, group)
    assert group.settled
    stored = json.loads(group.train().output.read_text())
    assert stored["learner"] == "nearest-code"
    assert stored["updates"] > 0
    assert any(event.details.get("updates") for event in events)
    done = [event.assignment.phase for event in events if event.kind == "done"]
    assert done == ["train", "test", "audit"]


@pytest.mark.parametrize("executor", [InlineExecutor, LocalExecutor])
def test_an_exception_is_a_failure_with_the_plugin_s_traceback(executor, tiny_suite, tmp_path):
    group = group_of("raises", tiny_suite, tmp_path)
    carry_out(executor, group)
    told = failure_of(group)
    assert told["kind"] == "error"
    assert "tiny_plugins.py" in told["traceback"]
    assert not group.train().output.exists()
    assert group.settled, "what cannot be tested has failed with it"


def test_exiting_the_interpreter_is_a_failure_with_the_exit_code(tiny_suite, tmp_path):
    group = group_of("exits", tiny_suite, tmp_path)
    carry_out(LocalExecutor, group)
    assert failure_of(group)["kind"] == "exit"
    assert "exit code 3" in failure_of(group)["reason"]


def test_a_hanging_learner_is_ended_at_the_time_limit(tiny_suite, tmp_path):
    group = group_of("hangs", tiny_suite, tmp_path, timeout=2.0)
    before = {process.pid for process in children_of_workers()}
    started = time.monotonic()
    carry_out(LocalExecutor, group)
    assert failure_of(group)["kind"] == "timeout"
    assert "2 s" in failure_of(group)["reason"]
    assert time.monotonic() - started < 60
    alive = {process.pid for process in children_of_workers()} - before
    assert len(alive) <= 2, "the worker lives on (fork server and resource tracker may)"


def test_a_greedy_learner_is_ended_at_the_memory_limit(tiny_suite, tmp_path):
    memory = int(1.5 * 2**30)
    group = group_of("allocates", tiny_suite, tmp_path, memory=memory, timeout=90)
    carry_out(LocalExecutor, group)
    assert failure_of(group)["kind"] == "memory"
    assert "1.5 GiB" in failure_of(group)["reason"]


def test_cancelling_ends_the_worker(tiny_suite, tmp_path):
    group = group_of("hangs", tiny_suite, tmp_path)
    executor = executor_of(LocalExecutor, [])
    handle = executor.submit(group, Resources(cpus=1))
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert executor.poll([handle])[handle].kind == "running"
    before = {process.pid for process in children_of_workers()}
    executor.cancel([handle])
    assert len({process.pid for process in children_of_workers()} & before) < len(before)
    assert not group.settled
    assert not group.train().failure.exists()


def test_what_a_learner_prints_goes_to_the_log_of_its_folder(tiny_suite, tmp_path, capfd):
    group = group_of("raises", tiny_suite, tmp_path)
    carry_out(LocalExecutor, group)
    assert (group.train().folder / "log.txt").exists()
    assert capfd.readouterr().out == ""


# -- what runs beside what ------------------------------------------------------------------------


class Pretended:
    """A group that works until it is told to end, and knows the environment it was given."""

    index, plan, settled = 0, Path("plan.json"), True

    def __init__(self, name: str) -> None:
        self.name, self.command = name, [name]
        self.gpu: str | None = None
        self.begun, self.end = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def carry_out(self, tell, cancelled, *, here=False, environment=None, patience=0.0):
        self.gpu = (environment or {}).get("CUDA_VISIBLE_DEVICES")
        self.begun.set()
        while not self.end.wait(0.01):
            if cancelled.is_set():
                raise Cancelled
        if self.error:
            raise self.error


class Machine:
    """An executor with groups that only pretend to work."""

    def __init__(self, jobs: int | None, monkeypatch, gpus: list[str]) -> None:
        monkeypatch.setattr(local, "visible_gpus", lambda: gpus)
        monkeypatch.setattr(local, "WAIT_SECONDS", 0.02)
        self.executor = executor_of(LocalExecutor, [], jobs)
        self.groups: dict[str, Pretended] = {}

    def submit(self, *names: str, **resources) -> None:
        for name in names:
            group = self.groups[name] = Pretended(name)
            self.executor.submit(group, Resources(cpus=1, **resources))

    def running(self) -> dict[str, str | None]:
        """The GPU of each group that works."""
        for handle, standing in self.executor.poll(list(self.groups)).items():
            if standing.kind == "ended":
                del self.groups[handle]
            elif standing.kind == "running":
                assert self.groups[handle].begun.wait(10)
        return {name: one.gpu for name, one in self.groups.items() if one.begun.is_set()}

    def end(self, *names: str) -> None:
        for name in names:
            self.groups[name].end.set()
        until = time.monotonic() + 10
        while set(names) & set(self.groups):
            self.running()
            assert time.monotonic() < until


def test_groups_go_to_all_gpus_and_each_sees_one(monkeypatch):
    machine = Machine(None, monkeypatch, ["0", "1", "GPU-7f"])
    machine.submit("a", "b", "c", "d", gpus=1)
    assert machine.running() == {"a": "0", "b": "1", "c": "GPU-7f"}
    machine.end("b")
    assert machine.running() == {"a": "0", "c": "GPU-7f", "d": "1"}
    machine.end("a", "c", "d")


def test_one_that_was_asked_for_is_the_only_one(monkeypatch):
    machine = Machine(None, monkeypatch, ["4", "5", "6"])
    machine.submit("a", "b", gpus=1, gpu=1)
    assert machine.running() == {"a": "5"}
    machine.end("a")
    assert machine.running() == {"b": "5"}
    machine.end("b")
    machine.submit("c", gpus=1, gpu=3)
    with pytest.raises(BenchError, match="cuda:3 is not here: 3 GPUs are visible"):
        machine.running()


def test_more_jobs_than_gpus_share_them_and_fewer_leave_some(monkeypatch):
    machine = Machine(3, monkeypatch, ["0", "1"])
    machine.submit("a", "b", "c", gpus=1)
    assert machine.running() == {"a": "0", "b": "1", "c": "0"}
    machine.end("a", "b", "c")
    machine = Machine(1, monkeypatch, ["0", "1"])
    machine.submit("a", "b", gpus=1)
    assert machine.running() == {"a": "0"}
    machine.end("a")
    machine.end("b")


def test_a_timing_is_alone_and_after_what_was_submitted_before(monkeypatch):
    machine = Machine(2, monkeypatch, [])
    machine.submit("a", "b")
    machine.submit("t", "u", exclusive=True)
    assert set(machine.running()) == {"a", "b"}
    machine.end("a")
    assert set(machine.running()) == {"b"}
    machine.end("b")
    assert set(machine.running()) == {"t"}
    machine.end("t")
    assert machine.running() == {"u": None}
    machine.end("u")


def test_what_no_group_could_help_ends_the_run(monkeypatch):
    machine = Machine(2, monkeypatch, [])
    machine.submit("a", "b")
    machine.running()
    machine.groups["a"].error = BenchError("the disk is full")
    machine.groups["a"].end.set()
    one = machine.executor._groups["a"].thread
    one.join(10)
    with pytest.raises(BenchError, match="the disk is full"):
        machine.running()
    machine.executor.cancel(["b"])


def test_limits_are_those_of_the_plan(tiny_suite, tmp_path):
    group = group_of("untrained", tiny_suite, tmp_path, timeout=7.0, memory=2**30)
    assert group.frame.limits == Limits(7.0, 2**30)
