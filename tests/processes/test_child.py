"""Whatever a worker does is the end of that worker and of nothing else. Real processes, each of
which lives for a second."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from bench.api.errors import BenchError
from bench.api.executor import Cancelled, Ended, Limits
from bench.processes import child
from bench.processes.child import Work, carry_out
from bench.processes.forkserver import close_server, fork_server
from bench.processes.log import HEAD, TAIL

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")


@pytest.fixture(scope="module", autouse=True)
def _last_server():
    yield
    close_server()


@pytest.fixture
def work(tmp_path):
    def make(name: str) -> Work:
        argument = json.dumps(str(tmp_path))
        done = (tmp_path / "result").exists
        return Work(f"tests.helpers.hostile:{name}", argument, tmp_path / "log.txt", done)

    return make


def run(work: Work, progress=lambda event: None, **limits) -> Ended | None:
    return carry_out(work, Limits(**limits), progress, threading.Event())


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while alive := [pid for pid in pids if running(pid)]:
        if time.monotonic() > until:
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.05)
    return True


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_progress_and_result_arrive(work):
    events = []
    assert run(work("well"), events.append) is None
    assert events == [{"fraction": 0.5, "updates": 3, "state": "working"}]


def test_it_has_the_environment_and_the_folder_of_now_and_no_other_modules_first(
    work, tmp_path, monkeypatch
):
    run(work("well"))  # the server has begun
    monkeypatch.setenv("SET_SINCE", "yes")
    (tmp_path / "json.py").write_text("raise RuntimeError('a module of the user')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "result").unlink()
    assert run(work("says_where_it_is")) is None
    about = json.loads((tmp_path / "about").read_text())
    assert about["environment"]["SET_SINCE"] == "yes"
    assert about["folder"] == str(tmp_path)
    assert about["path"][-1] != about["path"][0]
    assert str(tmp_path) in about["path"][1:]


def test_it_collects_garbage_though_the_fork_server_does_not(work, tmp_path):
    assert run(work("says_whether_it_collects")) is None
    assert (tmp_path / "collects").read_text() == "True"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")
def test_memory_that_is_freed_and_asked_for_again_is_mapped_once(work, tmp_path):
    """Given back in between, it would be 16,384 pages each time."""
    assert run(work("frees_and_asks_again")) is None
    assert int((tmp_path / "result").read_text()) < 16_384


@pytest.mark.parametrize("name", ["closes_everything", "floods"])
def test_what_it_does_to_descriptors_is_no_failure(name, work, tmp_path):
    assert run(work(name)) is None
    assert all(not file.read_bytes() for file in tmp_path.glob("own*"))


def test_its_log_is_bounded(work, tmp_path):
    assert run(work("prints")) is None
    log = (tmp_path / "log.txt").read_bytes()
    assert log.startswith(b"first\ny")
    assert log.endswith("caf\\udce9 and ±, last\n".encode())
    assert b"bytes left out ...]" in log
    assert len(log) < HEAD + 2 * TAIL + 100


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("ends_the_interpreter", "exit", "exit code 7"),
        ("real_time_signal", "exit", f"SIGRTMIN+{40 - signal.SIGRTMIN}"),
        ("exits", "error", "SystemExit: bye"),
        ("finds_no_memory", "memory", "RuntimeError: CUDA out of memory. Tried"),
        ("long_and_foreign", "error", "ValueError: file caf\\udce9.png \\x00xxx"),
        ("writes_into_pipes", "error", "wrote into a pipe that is not its own"),
        ("kills_its_guard", "exit", "is gone"),
    ],
)  # fmt: skip
def test_how_it_failed(name, kind, words, work):
    ended = run(work(name))
    assert ended is not None
    assert ended.kind == kind
    assert words in ended.reason
    assert len(ended.reason) < 2_100


@pytest.mark.parametrize("name", ["half_a_message", "stops_itself"])
def test_the_time_limit_ends_it(name, work):
    started = time.monotonic()
    ended = run(work(name), seconds=1.0)
    assert ended is not None
    assert ended.kind == "timeout"
    assert time.monotonic() - started < 30


def test_waiting_for_another_run_is_not_working(work):
    events, started = [], time.monotonic()
    ended = run(work("waits"), events.append, seconds=1.5)
    assert ended is not None
    assert ended.kind == "timeout"
    assert time.monotonic() - started > 3.5
    assert [event["state"] for event in events] == ["waiting", "working"]


def test_the_memory_limit_ends_it(work):
    ended = run(work("allocates"), memory=200 * 2**20, seconds=60.0)
    assert ended is not None
    assert ended.kind == "memory"


def test_a_thread_that_it_left_is_not_waited_for_long(work, monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 0.5)
    started = time.monotonic()
    assert run(work("leaves_a_thread")) is None
    assert time.monotonic() - started < 30


@linux
def test_processes_that_it_started_end_with_it(work, tmp_path):
    assert run(work("leaves_processes")) is None
    assert gone(json.loads((tmp_path / "pids").read_text()), seconds=0.5)


@linux
def test_the_end_of_the_fork_server_costs_nothing(work):
    assert run(work("ends_the_fork_server")) is None
    assert run(work("well")) is None


def test_cancelled_it_ends(work, tmp_path):
    cancelled = threading.Event()
    threading.Timer(1.0, cancelled.set).start()
    with pytest.raises(Cancelled):
        carry_out(work("sleeps"), Limits(), lambda event: None, cancelled)
    if (tmp_path / "pid").exists():
        assert gone([int((tmp_path / "pid").read_text())])


def test_cancelled_while_the_server_imports_it_ends_at_once(tmp_path, put_on_path, work):
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(1000)")
    put_on_path(tmp_path)
    close_server()  # the next one has this folder on its path
    slow = Work(**{**vars(work("well")), "preload": ("slow_to_import",)})
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        carry_out(slow, Limits(seconds=0.1), lambda event: None, cancelled)
    close_server()
    assert time.monotonic() - started < 5


def test_a_server_that_cannot_start_is_an_error_with_its_words(work):
    broken = Work(**{**vars(work("well")), "preload": ("no_such_module",)})
    with pytest.raises(BenchError, match="no_such_module"):
        run(broken)


def test_it_does_not_spin(work):
    """Neither for a worker that says nothing, nor for one that has closed its pipe."""
    before = time.process_time()
    run(work("stops_itself"), seconds=2.0)
    assert time.process_time() - before < 0.5


@linux
@pytest.mark.parametrize("name", ["sleeps", "holds_the_interpreter"])
def test_when_bench_is_killed_nothing_lives_on(name, tmp_path):
    script = f"""
import threading
from pathlib import Path
from bench.api.executor import Limits
from bench.processes.child import Work, carry_out
work = Work("tests.helpers.hostile:{name}", {json.dumps(str(tmp_path))!r}, Path("log.txt"), bool)
carry_out(work, Limits(), print, threading.Event())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    bench = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment)
    file, until = tmp_path / "pid", time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert bench.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    family = [process.pid for process in psutil.Process(bench.pid).children(recursive=True)]
    assert int(file.read_text()) in family
    bench.kill()
    bench.wait()
    assert gone(family)


def test_a_server_is_shared(work):
    run(work("well"))
    assert fork_server() is fork_server()
