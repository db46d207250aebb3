"""The guard of one worker: writes its log, says how it ended, and leaves nothing of it behind.

It runs no code of a learner, so that a learner that hangs, holds the interpreter's lock or has
closed its descriptors hangs none of this. Where the guard itself is ended, its worker ends too
(`bench.processes.worker`), and bench does the rest (`bench.processes.child.Child.end`).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import psutil

from bench.processes.linux import become_subreaper
from bench.processes.log import BoundedLog
from bench.processes.worker import work

SWEEP_SECONDS = 5.0
"""So long it tries to end what does not end."""

PART = 2**16
"""Bytes of output read at once: what a pipe holds."""


def guard(lifeline: int, status: int, messages: int) -> NoReturn:
    """Guards a worker until it has ended, or is to end.

    Args:
        lifeline: holds the question, a line of JSON: ``function``, ``argument``, ``log`` and what
            `bench.processes.worker.settle` needs. When it is closed, the worker is to end.
        status: where it says, in lines of JSON, which process the worker is (``worker``) and, once
            nothing of it is left, how it ended (``ended``).
        messages: the worker's, see `bench.processes.messages`.
    """
    os.setsid()
    become_subreaper()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # bench is told the same, and closes the lifeline
    question = read_question(lifeline)
    if question is None:
        os._exit(0)
    output, its_output = os.pipe()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    guarding = os.getpid()
    worker = os.fork()
    if worker == 0:
        for descriptor in (lifeline, status, output):
            os.close(descriptor)
        work(question, messages, its_output, guarding)
    os.close(messages)
    os.close(its_output)
    tell(status, {"worker": worker})
    log = BoundedLog(Path(question["log"]))
    code = Guard(worker, lifeline, output, log).watch()
    log.close()
    tell(status, {"ended": code})
    os._exit(0)


class Guard:
    """Watches a worker.

    Args:
        worker: its number.
        lifeline: is closed when it is to end.
        output: what it prints.
        log: where that goes.
    """

    def __init__(self, worker: int, lifeline: int, output: int, log: BoundedLog) -> None:
        self._worker, self._lifeline, self._output, self._log = worker, lifeline, output, log
        self._code: int | None = None

    def watch(self) -> int | None:
        """Until nothing of it is left; its exit code, None where it would not end."""
        wake, woken = os.pipe()
        for descriptor in (wake, woken, self._output):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken)
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._lifeline, self._output, wake):
                selector.register(descriptor, selectors.EVENT_READ)
            over = False
            while not over:
                self._bury()  # before it waits: the worker may have ended before this began
                if self._code is not None:
                    break
                for key, _ in selector.select():
                    part = read(key.fd)
                    if key.fd == self._lifeline:
                        over |= part == b""
                    elif key.fd == self._output and part == b"":  # closed by all who had it
                        selector.unregister(self._output)
                    elif key.fd == self._output and part:
                        self._log.write(part)
        self._sweep()
        for _ in range(2**30 // PART):  # what is left in the pipe, if all that write it are gone
            part = read(self._output)
            if not part:
                break
            self._log.write(part)
        return self._code

    def _bury(self) -> bool:
        """Takes note of children that have ended; whether there are others."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._worker:
                    self._code = os.waitstatus_to_exitcode(status)
        return False

    def _sweep(self) -> None:
        """Ends the worker and all that it has started."""
        until = time.monotonic() + SWEEP_SECONDS
        if self._code is None:
            end_all(os.getpid())
        with contextlib.suppress(OSError):
            os.killpg(self._worker, signal.SIGKILL)
        while self._bury() and time.monotonic() < until:
            end_all(os.getpid())
            time.sleep(0.002)


def end_all(pid: int) -> None:
    """Ends what a process has started, and what that has started."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()


def read_question(lifeline: int) -> dict[str, Any] | None:
    """The first line of the lifeline; None where bench went away before it was whole."""
    content = bytearray()
    while not content.endswith(b"\n"):
        part = os.read(lifeline, PART)
        if not part:
            return None
        content += part
    question: dict[str, Any] = json.loads(content)
    return question


def read(descriptor: int) -> bytes | None:
    """What is there; nothing (``b""``) where it is closed, None where nothing is there yet."""
    try:
        return os.read(descriptor, PART)
    except BlockingIOError:
        return None


def tell(status: int, content: dict[str, int | None]) -> None:
    """One line for bench, which may be gone."""
    with contextlib.suppress(OSError):
        os.write(status, json.dumps(content).encode() + b"\n")
