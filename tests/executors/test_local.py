"""A learner that raises, hangs, exits or eats the memory costs its own cell and nothing else."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import psutil
import pytest

from bench.api.executor import Cancelled, Limits
from bench.executors.inline import InlineExecutor
from bench.executors.local import LocalExecutor
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.worker.assignment import Assignment

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def training_of(learner: str, suite: Path, results: Path) -> Assignment:
    asked = Request(suites=[suite], learners=[learner], budget="smoke", results=results)
    runner = prepare(asked)
    training = runner.plan.trainings[0]
    return Assignment("train", training, None, results, runner.folders, "cpu", 1)


def run_local(assignment: Assignment, **limits: float):
    executor = LocalExecutor(Limits(limits.get("seconds"), limits.get("memory")))
    return executor.run(assignment, lambda event: None, threading.Event())


def children_of_workers() -> list[psutil.Process]:
    """Worker processes that still live: children of the fork server of this process."""
    everyone = psutil.Process().children(recursive=True)
    return [process for process in everyone if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("executor", [InlineExecutor, LocalExecutor])
def test_a_training_writes_its_result(executor, tiny_suite, tmp_path):
    assignment = training_of("nearest-code", tiny_suite, tmp_path)
    events = []
    ended = executor(Limits()).run(assignment, events.append, threading.Event())
    assert ended is None
    stored = json.loads(assignment.output.read_text())
    assert stored["learner"] == "nearest-code"
    assert stored["updates"] > 0
    assert any(event.get("updates") for event in events)


@pytest.mark.parametrize("executor", [InlineExecutor, LocalExecutor])
def test_an_exception_is_a_failure_with_the_plugin_s_traceback(executor, tiny_suite, tmp_path):
    assignment = training_of("raises", tiny_suite, tmp_path)
    told = executor(Limits()).run(assignment, lambda event: None, threading.Event())
    assert told is not None
    assert told.kind == "error"
    assert "tiny_plugins.py" in told.traceback
    assert not assignment.output.exists()


def test_exiting_the_interpreter_is_a_failure_with_the_exit_code(tiny_suite, tmp_path):
    told = run_local(training_of("exits", tiny_suite, tmp_path))
    assert told is not None
    assert told.kind == "exit"
    assert "exit code 3" in told.reason


def test_a_hanging_learner_is_ended_at_the_time_limit(tiny_suite, tmp_path):
    assignment = training_of("hangs", tiny_suite, tmp_path)
    before = {process.pid for process in children_of_workers()}
    started = time.monotonic()
    told = run_local(assignment, seconds=2.0)
    assert told is not None
    assert told.kind == "timeout"
    assert "2 s" in told.reason
    assert time.monotonic() - started < 60
    alive = {process.pid for process in children_of_workers()} - before
    assert len(alive) <= 2, "the worker lives on (fork server and resource tracker may)"


def test_a_greedy_learner_is_ended_at_the_memory_limit(tiny_suite, tmp_path):
    told = run_local(training_of("allocates", tiny_suite, tmp_path), memory=1.5 * 2**30, seconds=90)
    assert told is not None
    assert told.kind == "memory"
    assert "1.5 GiB" in told.reason


def test_cancelling_ends_the_worker(tiny_suite, tmp_path):
    assignment = training_of("hangs", tiny_suite, tmp_path)
    cancelled = threading.Event()
    threading.Timer(1.0, cancelled.set).start()
    with pytest.raises(Cancelled):
        LocalExecutor(Limits()).run(assignment, lambda event: None, cancelled)


def test_what_a_learner_prints_goes_to_the_log_of_its_folder(tiny_suite, tmp_path, capfd):
    assignment = training_of("raises", tiny_suite, tmp_path)
    run_local(assignment)
    assert (assignment.folder / "log.txt").exists()
    assert capfd.readouterr().out == ""
