"""`bench run` on tiny suites: sharing, resuming, retrying, killing."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest

import bench
from bench.cli.stopping import Stopped
from bench.errors import BenchError
from bench.running.following import Following
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.store.atomic import locked
from bench.worker.devices import Device
from tests.helpers.damage import one_setting, results_of
from tests.helpers.killed import start

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def events_of(**options) -> list[tuple[str, str]]:
    """Runs, and lists (kind, phase) of all that happened but progress."""
    happened = []

    def listen(event):
        if event.kind != "progress":
            happened.append((event.kind, event.assignment.phase))

    prepare(Request(**options), listen).run()
    return happened


def test_every_cell_is_computed_once_and_then_kept(tiny_suite, tmp_path):
    asked = {"budget": "smoke", "results": tmp_path, "executor": "inline"}
    first = events_of(suites=[tiny_suite], learners=["nearest-code"], **asked)
    before = results_of(tmp_path)
    second = events_of(suites=[tiny_suite], learners=["nearest-code"], **asked)
    assert ("done", "train") in first
    assert {kind for kind, _ in second} == {"kept"}
    assert results_of(tmp_path) == before


def test_two_devices_train_once_and_give_two_sets_of_timings(tiny_suite, tmp_path):
    happened = events_of(
        suites=[tiny_suite], learners=["nearest-code"], devices=["cpu", "cpu/1"], budget="smoke",
        results=tmp_path, executor="inline",
    )  # fmt: skip
    cells = happened.count(("done", "test"))
    assert happened.count(("done", "time")) == 2 * cells
    assert happened.count(("done", "train")) == len(list((tmp_path / "trainings").iterdir()))
    names = {file.name for file in tmp_path.glob("cells/*/*/*/timings/*")}
    assert names == {"cpu.json", "cpu-1.json"}
    frame = bench.load_results(tmp_path)
    assert set(frame.timings[0]) == {"cpu", "cpu/1"}
    assert frame.timings[0]["cpu/1"]["adapt"] > 0


def test_a_training_is_of_a_kind_of_device_and_not_of_one(tiny_suite, tmp_path, monkeypatch):
    monkeypatch.setattr(Device, "check", lambda self: None)  # as if two GPUs were here

    def planned(*devices):
        asked = Request(suites=[tiny_suite], learners=["nearest-code"], devices=devices,
                        results=tmp_path)  # fmt: skip
        return prepare(asked)

    def ids(*devices):
        return [(cell.id, cell.training.id) for cell in planned(*devices).plan.cells]

    assert ids("cuda") == ids("cuda:0") == ids("cuda:1") == ids("cuda:1", "cpu")
    assert ids("cpu") == ids("cpu/1") == ids("cpu", "cpu/1") == ids("cpu/1", "cuda:0")
    assert not {*ids("cpu")} & {*ids("cuda")}
    assert [place.name for place in planned("cuda", "cuda:0", "cuda:1").places] == [
        "cuda:0", "cuda:1",
    ]  # fmt: skip


def test_where_it_ran_stands_in_the_environment(tiny_suite, tmp_path):
    asked = {"suites": [tiny_suite], "learners": ["nearest-code"], "budget": "smoke",
             "results": tmp_path, "executor": "inline"}  # fmt: skip
    events_of(**asked, devices=["cpu/1"])
    for file in tmp_path.glob("**/result.json"):
        stored = json.loads(file.read_text())
        assert (stored["device"], stored["environment"]["device"]) == ("cpu", "cpu/1")
        assert stored["environment"]["threads"] == 1
    again = events_of(**asked, devices=["cpu", "cpu/1"])  # only the timing on cpu is missing
    assert [phase for kind, phase in again if kind == "done"] == ["time", "time"]


def test_equal_threads_give_equal_results_whatever_else_runs(tiny_suite, tmp_path):
    # products that are large enough to be split among threads
    wide = [f"nearest-code[width={width}]" for width in (512, 768)]
    asked = {"suites": [tiny_suite], "learners": wide, "budget": "smoke", "threads": 2}
    for jobs in (1, 2):
        events_of(**asked, jobs=jobs, results=tmp_path / str(jobs))
    one, two = (results_of(tmp_path / str(jobs)) for jobs in (1, 2))
    assert one == two
    results = {name: result for name, result in one.items() if name.endswith("result.json")}
    trainings = [result for name, result in results.items() if name.startswith("trainings")]
    tests = [result for name, result in results.items() if name.startswith("cells")]
    assert {t["threads"] for t in trainings} == {2}
    assert {r["environment"]["threads"] for r in trainings + tests} == {2}  # torch's own, there


def test_threads_are_shared_among_the_jobs(tiny_suite, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.running.runner.cores", lambda: 8)

    def threads(**asked):
        return prepare(Request(suites=[tiny_suite], results=tmp_path, **asked)).threads

    assert threads() == 8
    assert threads(jobs=3) == 2
    assert threads(jobs=20) == 1
    assert threads(jobs=3, threads=5) == 5
    assert threads(devices=["cpu/3", "cpu"], jobs=2) == 3


def test_a_begun_training_keeps_its_threads(tiny_suite, tmp_path):
    asked = {"suites": [tiny_suite], "learners": ["nearest-code"], "budget": "smoke",
             "results": tmp_path, "executor": "inline"}  # fmt: skip
    first, second = prepare(Request(**asked)).plan.trainings  # one per setting
    begun = first.folder(tmp_path) / "started.json"
    begun.parent.mkdir(parents=True)
    begun.write_text('{"threads": 3, "device": "cpu", "started": "2026-01-01T00:00:00+00:00"}')

    def stored(training):
        return json.loads((training.folder(tmp_path) / "result.json").read_text())

    runner = prepare(Request(**asked, threads=1))
    note = (
        "1 of 2 trainings were begun with 3 CPU threads, not with 1, and are kept as they are; "
        "train them anew with --rerun"
    )
    assert note in runner.plan.notes
    runner.run()
    assert [stored(training)["threads"] for training in (first, second)] == [3, 1]
    assert stored(first)["environment"]["threads"] == 3
    tested = {}
    for file in tmp_path.glob("cells/**/result.json"):
        result = json.loads(file.read_text())
        tested[result["training"]] = result["environment"]["threads"]
    assert tested == {first.folder(tmp_path).name: 3, second.folder(tmp_path).name: 1}

    assert note in prepare(Request(**asked, threads=1)).plan.notes  # finished ones too
    assert prepare(Request(**asked)).plan.notes == []  # nobody asked for a number
    assert prepare(Request(**asked, jobs=2)).plan.notes == []
    anew = prepare(Request(**asked, threads=1, rerun=True))
    assert anew.plan.notes == []
    anew.run()
    assert [stored(training)["threads"] for training in (first, second)] == [1, 1]


def test_the_same_cell_twice_gives_identical_scores(tiny_suite, tiny_online, tmp_path):
    suites = [str(tiny_suite), str(tiny_online)]
    for name in ("one", "two"):
        events_of(suites=suites, learners=["nearest-code"], budget="smoke", results=tmp_path / name)
    assert results_of(tmp_path / "one")
    assert results_of(tmp_path / "one") == results_of(tmp_path / "two")


def test_a_failing_learner_never_stops_the_others(tiny_suite, tmp_path):
    frame = bench.run(
        [str(tiny_suite)], ["raises", "exits", "nearest-code"], budget="smoke", results=tmp_path,
        jobs=2,
    )  # fmt: skip
    status = frame.groupby("learner").status.unique().map(list).to_dict()
    assert status == {"raises": ["failed"], "exits": ["failed"], "nearest-code": ["done"]}
    assert frame[frame.learner == "raises"].reason.str.contains("training failed").all()


def test_failures_are_kept_until_they_are_retried(tiny_suite, tmp_path):
    asked = {"budget": "smoke", "results": tmp_path, "executor": "inline"}
    events_of(suites=[tiny_suite], learners=["raises"], **asked)
    kept = events_of(suites=[tiny_suite], learners=["raises"], **asked)
    assert {kind for kind, _ in kept} == {"kept"}
    again = events_of(suites=[tiny_suite], learners=["raises"], retry_failed=True, **asked)
    assert ("start", "train") in again


def test_rerun_computes_again(tiny_suite, tmp_path):
    asked = {"budget": "smoke", "results": tmp_path, "executor": "inline"}
    events_of(suites=[tiny_suite], learners=["nearest-code"], **asked)
    again = events_of(suites=[tiny_suite], learners=["nearest-code"], rerun=True, **asked)
    assert "kept" not in {kind for kind, _ in again}


def test_altered_data_is_noticed_by_the_worker(tiny_suite, tmp_path):
    runner = prepare(
        Request(
            suites=[tiny_suite], learners=["nearest-code"], budget="smoke", results=tmp_path,
            executor="inline",
        )
    )  # fmt: skip
    plan = runner.plan
    plan.cells = [cell.model_copy(update={"bank": "0" * 64}) for cell in plan.cells]
    runner.run()
    frame = bench.load_results(tmp_path)
    assert frame.status.tolist() == ["failed"] * len(frame)
    assert frame.reason.str.contains("has changed").all()


def test_run_says_what_to_do_when_a_worker_imports_the_script(monkeypatch, tiny_suite):
    monkeypatch.setattr("multiprocessing.parent_process", object)
    with pytest.raises(BenchError, match="__main__"):
        bench.run([str(tiny_suite)])


def test_a_killed_run_leaves_no_process_behind(tiny_suite, tmp_path):
    process = start([tiny_suite], tmp_path, "--learner", "hangs")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("trainings/hangs-*/log.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    import psutil

    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_waiting_for_another_run_is_no_failure(tiny_suite, tmp_path):
    """It may last longer than --timeout: the time in which another works does not count."""
    suite = one_setting(tiny_suite, tmp_path / "one.toml")
    asked = {"learners": ["nearest-code"], "budget": "smoke", "results": tmp_path / "r"}
    waiting, told = threading.Event(), []

    def listen(event) -> None:
        told.append((event.kind, event.details.get("state")))
        if told[-1] == ("progress", "waiting"):
            waiting.set()

    runner = prepare(Request(suites=[suite], **asked, timeout=8.0), listen)
    with locked(runner.plan.trainings[0].folder(tmp_path / "r")):
        run = threading.Thread(target=runner.run)
        run.start()
        assert waiting.wait(120)
        time.sleep(10)
        assert run.is_alive()
    run.join(120)
    assert ("done", None) in told
    assert not list(tmp_path.rglob("*failure.json"))


def test_interrupted_it_says_how_to_go_on(tiny_suite, tmp_path):
    process = start([tiny_suite], tmp_path, "--learner", "hangs", "--rerun", "--retry-failed")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("trainings/hangs-*/log.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with" in output
    assert "--learner hangs" in output
    # What they remove is removed: once more, and what was finished since would be lost.
    assert "--rerun" not in output.partition("go on with")[2]
    assert "--retry-failed" not in output.partition("go on with")[2]
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)]
)
def test_what_a_cluster_does_ends_by_ctrl_c_only(tiny_suite, tmp_path, monkeypatch, number, ends):
    """A terminal that is closed and a login node that is shut down end no jobs."""
    told, cancelled = [], []
    request = Request(suites=[tiny_suite], learners=["untrained"], budget="smoke", results=tmp_path)
    runner = prepare(request, notify=told.append)
    monkeypatch.setattr(type(runner.executor), "detaches", True)
    monkeypatch.setattr(Following, "cancel", lambda self: cancelled.append(1))
    with pytest.raises(Stopped), runner._following():
        raise Stopped(number)
    assert bool(cancelled) is ends
    assert ends is not any("the same command follows it again" in message for message in told)
