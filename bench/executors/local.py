"""One process per job, forked from a server that has torch imported already.

A crash, a hang or an out-of-memory kill costs that job and nothing else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from bench.api.executor import Cancelled, Ended, Executor, Job, Limits, Progress

POLL_SECONDS = 0.05


class LocalExecutor(Executor):
    """Runs each job in a process of its own on this machine."""

    description = "one process per training and cell on this machine"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        # Windows has no fork server; there a process starts from nothing, in seconds
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
        self._context: Any = multiprocessing.get_context(method)
        # Threads that spin while they wait cost ten times where the cores are shared with others:
        # a MAML update took 65 s with spinning and 6.7 s without, at a load of 8 on 2 cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if method:
            self._context.set_forkserver_preload(["bench.executors.preload"])
        self._start_lock = threading.Lock()

    def run(self, job: Job, progress: Progress, cancelled: threading.Event) -> Ended | None:
        """See `Executor.run`."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_child, args=(job, sender), daemon=False)
        with self._start_lock:  # starting is not thread-safe
            process.start()
        sender.close()
        try:
            ended = self._watch(process, receiver, progress, cancelled)
        finally:
            _kill(process)
            receiver.close()
        if ended is not None or job.output.exists():
            return ended
        return Ended("exit", _last_words(process, job.log))

    def _watch(
        self,
        process: BaseProcess,
        receiver: multiprocessing.connection.Connection,
        progress: Progress,
        cancelled: threading.Event,
    ) -> Ended | None:
        """Until the process ends or breaks a limit; its own failure, or that of the limit."""
        started: float | None = time.monotonic()  # None: it waits for another process
        limits = self.limits
        while True:
            if cancelled.is_set():
                raise Cancelled
            worked = 0.0 if started is None else time.monotonic() - started
            if limits.seconds is not None and worked > limits.seconds:
                reason = f"still running after {limits.seconds:g} s (--timeout)"
                return Ended("timeout", reason)
            if limits.memory is not None and _resident(process) > limits.memory:
                reason = f"used more than {limits.memory / 2**30:.3g} GiB of memory (--memory)"
                return Ended("memory", reason)
            with contextlib.suppress(EOFError, OSError):
                while receiver.poll(POLL_SECONDS):
                    kind, content = receiver.recv()
                    if kind == "failure":
                        return Ended("error", *content)
                    if "state" in content:
                        started = None if content["state"] == "waiting" else time.monotonic()
                    progress(content)
            if not process.is_alive():
                return None


# -- in the child ---------------------------------------------------------------------------------


def _child(job: Job, sender: multiprocessing.connection.Connection) -> None:
    """Performs the job; what it prints goes to its log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    faulthandler.enable()  # a segmentation fault leaves its stack in the log

    def send(kind: str, content: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            sender.send((kind, content))

    try:
        job.perform(lambda event: send("progress", event))
    except Exception as error:
        reason = str(error).strip()
        name = type(error).__name__
        send("failure", (f"{name}: {reason}" if reason else name, traceback.format_exc()))
    sys.stdout.flush()


def _end_with_parent() -> None:
    """A run that was killed must not leave processes behind that go on training."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


# -- in the parent --------------------------------------------------------------------------------


def _kill(process: BaseProcess) -> None:
    """Ends the process and whatever it has started."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    if process.is_alive():
        process.kill()
    process.join()


def _resident(process: BaseProcess) -> int:
    """Resident bytes of the process and its children."""
    try:
        main = psutil.Process(process.pid)
        return sum(one.memory_info().rss for one in [main, *main.children(recursive=True)])
    except psutil.Error:
        return 0


def _last_words(process: BaseProcess, log: Path) -> str:
    """Why a process ended without a result, as far as its exit code and its log tell."""
    code = process.exitcode
    if code is not None and code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += ", perhaps by the system for want of memory"
    else:
        how = f"ended the interpreter with exit code {code}"
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            how += f"; last line of its log: {lines[-1][:200]}"
    return f"the process {how}"
