"""`bench work`: a group of a plan, as an array task or anybody's loop carries it out."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.api.executor import Cancelled
from bench.cli import cli
from bench.groups.carrying import Carrying
from bench.groups.plan_file import write_plan
from bench.groups.status import read_status
from bench.groups.work import Stopping, work
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.running.runner import tried_again
from bench.store.atomic import write_json
from bench.store.checked import UnreadableError
from bench.store.records import Failure
from bench.worker.perform import perform
from tests.helpers.damage import results_of

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def planned(suite: Path, results: Path, *learners: str, **more):
    """The file of a plan, and its groups."""
    asked = {"budget": "smoke", "threads": 1, **more}
    request = Request(suites=[suite], learners=learners, results=results, **asked)
    return prepare(request).write_plan()


def command(path: Path, index: int) -> list[str]:
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = [sys.executable, "-c", f"{heed}from bench.cli import main; main()", "work"]
    return [*start, str(path), "--index", str(index)]


def bench_work(path: Path, index: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(path, index), capture_output=True, text=True, check=False)


def done(path: Path, index: int) -> bool:
    return work(path, index, lambda event: None, Stopping()) == "done"


def test_all_groups_give_what_a_run_gives(tiny_suite, tmp_path):
    asked = {"suites": [tiny_suite], "learners": ["nearest-code"], "budget": "smoke", "threads": 1}
    prepare(Request(**asked, results=tmp_path / "run", executor="inline")).run()
    path, groups = planned(tiny_suite, tmp_path / "work", "nearest-code")
    assert all(done(path, index) for index in range(len(groups)))
    assert not any(group.pending for group in groups)
    assert results_of(tmp_path / "work") == results_of(tmp_path / "run")
    times = [sorted(p.name for p in (tmp_path / name).rglob("timings/*.json"))
             for name in ("run", "work")]  # fmt: skip
    assert times[0] == times[1] == ["cpu.json"] * 2
    status = read_status(path.parent, groups[0])
    assert status is not None
    assert (status.state, status.attempts, status.lost) == ("ended", 1, 0)


def test_as_a_command(tiny_suite, tmp_path):
    path, groups = planned(tiny_suite, tmp_path, "nearest-code", "raises")
    kinds = {group.training.learner: group.index for group in groups if group.kind == "train"}
    failed = bench_work(path, kinds["raises"])
    assert failed.returncode == 1, failed.stderr
    assert "FAILED train raises" in failed.stderr
    stored = json.loads(groups[kinds["raises"]].train().failure.read_text())
    assert stored["kind"] == "error"
    assert "this learner always raises" in stored["reason"]
    ran = bench_work(path, kinds["nearest-code"])
    assert ran.returncode == 0, ran.stderr
    before = results_of(tmp_path)
    assert bench_work(path, kinds["nearest-code"]).returncode == 0, "once more, and all is kept"
    assert results_of(tmp_path) == before
    refused = bench_work(path, 99)
    assert refused.returncode == 2
    assert "has no group 99" in refused.stderr
    assert "Traceback" not in failed.stderr + ran.stderr + refused.stderr


def test_timings_before_their_training_wait_for_it(tiny_suite, tmp_path):
    path, groups = planned(tiny_suite, tmp_path, "nearest-code")
    timing = next(group for group in groups if group.kind == "time")
    training = next(group for group in groups if group.training.id == timing.training.id)
    ask = ["work", str(path), "--index", str(timing.index)]
    ran = CliRunner().invoke(cli, ask)
    assert ran.exit_code == 75
    assert f"{timing.name} is not timed: 1 of 1 cells are not trained and tested" in ran.stderr
    assert f"carry out {training.name} (group {training.index}), and then this" in ran.stderr
    assert done(path, training.index)
    ran = CliRunner().invoke(cli, ask)
    assert (ran.exit_code, timing.pending) == (0, False)
    assert "not timed" not in ran.stderr


def test_timings_of_what_has_failed_say_so(tiny_suite, tmp_path):
    path, groups = planned(tiny_suite, tmp_path, "raises")
    timing = next(group for group in groups if group.kind == "time")
    told: list[str] = []
    for group in groups:
        work(path, group.index, lambda event: None, Stopping())
    assert work(path, timing.index, lambda event: None, Stopping(), told.append) == "done"
    assert told == [f"{timing.name} is not timed: 1 of 1 cells have failed"]


def test_other_code_than_planned_is_refused(tiny_suite, tmp_path):
    path, groups = planned(tiny_suite, tmp_path, "nearest-code")
    write_plan(path, [replace(group, source="0123456789ab") for group in groups])
    assert not done(path, 0)
    failure = json.loads(groups[0].train().failure.read_text())
    assert failure["kind"] == "refused"
    assert re.search(r"code of nearest-code is not what was planned: \w+ here, 0123456789ab",
                     failure["reason"])  # fmt: skip
    assert not groups[0].train().output.exists()
    # it is no fault of the learner: the next run tries again by itself
    path, groups = planned(tiny_suite, tmp_path, "nearest-code")
    assert done(path, 0)


def test_a_signal_stops_it_and_it_goes_on(tiny_suite, tmp_path):
    path, groups = planned(tiny_suite, tmp_path, "hangs")
    running = subprocess.Popen(command(path, 0), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not groups[0].train().log.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    status = None
    while status is None or status.state != "stopped":  # at once, whatever hangs
        status = read_status(path.parent, groups[0])
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not groups[0].train().failure.exists()


def test_stopped_a_training_stores_where_it_stands(tiny_suite, tmp_path):
    whole, groups = planned(tiny_suite, tmp_path / "whole", "nearest-code", budget="standard")
    assert done(whole, 0)
    path, groups = planned(tiny_suite, tmp_path / "parts", "nearest-code", budget="standard")
    stopping = Stopping()

    def stop(event) -> None:
        if event.kind == "progress" and event.details.get("updates"):
            stopping()

    with pytest.raises(Cancelled):
        work(path, 0, stop, stopping)
    assert (groups[0].train().folder / "checkpoint.pt").exists()
    assert not groups[0].train().done
    status = read_status(path.parent, groups[0])
    assert status is not None
    assert status.state == "stopped"
    assert done(path, 0)
    assert results_of(tmp_path / "parts") == results_of(tmp_path / "whole")
    status = read_status(path.parent, groups[0])
    assert status is not None
    assert (status.attempts, status.lost) == (2, 0)


def test_lost_three_times_it_has_failed_until_the_next_run(tiny_suite, tmp_path):
    path, groups = planned(tiny_suite, tmp_path, "nearest-code")
    file = path.parent / "groups" / "0.json"
    assert done(path, 1)
    for lost in (0, 1, 2):
        record = {"name": groups[0].name, "state": "working", "host": "n1", "process": "n1_4-77",
                  "attempts": lost + 1, "lost": lost, "told": ""}  # fmt: skip
        file.write_text(json.dumps(record))
        if lost < 2:
            status = read_status(path.parent, groups[0])
            assert status is not None
            assert status.lost == lost
    assert not done(path, 0)
    failure = json.loads(groups[0].train().failure.read_text())
    assert (failure["kind"], failure["phase"]) == ("lost", "train")
    assert failure["reason"] == "the machine was lost 3 times while it worked on this"
    assert groups[0].settled
    path, groups = planned(tiny_suite, tmp_path, "nearest-code")
    assert not groups[0].settled
    assert done(path, 0)


def test_stopped_three_times_without_getting_on_it_has_failed(tiny_suite, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.groups.status.LONG_SECONDS", 0.0)
    path, groups = planned(tiny_suite, tmp_path, "nearest-code")
    for _ in range(3):
        stopping = Stopping()
        stopping()
        with pytest.raises(Cancelled):
            work(path, 0, lambda event: None, stopping)
        assert not groups[0].settled
    assert not done(path, 0)
    failure = json.loads(groups[0].train().failure.read_text())
    assert (failure["kind"], failure["phase"]) == ("lost", "train")
    assert failure["reason"].startswith("it was stopped 3 times and had not got on: give it more t")
    assert groups[0].settled


def test_a_training_that_another_process_finished_has_no_failure(tiny_suite, tmp_path):
    """What a run has stored of its own end does not count once another one got further."""
    _, groups = planned(tiny_suite, tmp_path, "nearest-code")
    group = groups[0]
    lost = {"kind": "memory", "reason": "it was ended", "phase": "train", "finished": "2026"}
    told: list[str] = []

    def finish(assignment, progress):
        perform(assignment, progress)
        if assignment.phase == "train":
            write_json(assignment.failure, Failure(**lost))

    Carrying(group, finish, lambda event: told.append(event.kind), threading.Event()).run()
    assert "failed" not in told
    assert group.training.failure(tmp_path) is None
    assert not any(map(group.wanted, group.cells))


def test_a_failure_that_is_removed_at_this_moment_is_none(tiny_suite, tmp_path, monkeypatch):
    _, groups = planned(tiny_suite, tmp_path, "nearest-code")
    cell = groups[0].cells[0]
    record = {"kind": "training", "reason": "r", "phase": "test", "finished": "2026"}
    file = groups[0].test(cell).failure
    write_json(file, Failure(**record))

    def gone(path, *others):
        raise UnreadableError("is missing")

    monkeypatch.setattr("bench.groups.group.read_record", gone)
    assert groups[0].wanted(cell)
    monkeypatch.setattr("bench.planning.jobs.read_json", gone)
    assert cell.failure(tmp_path) is None
    monkeypatch.setattr("bench.running.runner.read_json", gone)
    assert not tried_again(file, None)
