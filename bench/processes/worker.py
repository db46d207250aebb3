"""The worker: the process that runs a learner's code."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NoReturn

from bench.api.executor import Cancelled
from bench.processes.failure import failure_of
from bench.processes.linux import die_with_parent
from bench.processes.messages import Sender

STOP_SECONDS = 30
"""So long after SIGTERM a worker that does not tell its progress ends."""


def work(question: Mapping[str, Any], messages: int, output: int, guard: int) -> NoReturn:
    """Does what is asked for: calls a function with a text and a place to tell its progress.

    Args:
        question: see `bench.processes.guard.guard`.
        messages: descriptor of a pipe, see `bench.processes.messages`.
        output: descriptor of a pipe: what is printed goes there.
        guard: the process that this one ends with.
    """
    os.setsid()  # a learner that signals its process group means its own
    die_with_parent()
    if os.getppid() != guard:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is bench's to handle
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping)
    print_to(output)
    sender = Sender(messages)

    def progress(event: dict[str, Any]) -> None:
        sender.progress(event)
        if stopping.asked:
            raise Cancelled

    code = 1
    try:
        settle(question)
        named(question["function"])(question["argument"], progress)
        code = 0
    except BaseException as error:  # whatever a learner raises
        if stopping.asked:
            stopping.end()
        failure = failure_of(error)
        sender.failure(failure.reason, failure.traceback or "", failure.kind)
    leave(code)


class Stopping:
    """What SIGTERM does: the work ends where it next tells its progress, and a training stores
    where it stands before. What does not come to that ends after `STOP_SECONDS`.

    Processes that a learner forks inherit this, and end at once.
    """

    def __init__(self) -> None:
        self.asked = False
        self._worker = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._worker:
            self.end()
        self.asked = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(STOP_SECONDS)

    def end(self) -> NoReturn:
        """Ends this process as the signal does by itself."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(1)  # in whatever way a learner has blocked it


def print_to(output: int) -> None:
    """Sends what is printed, by Python or by others, down a pipe that takes any character."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    # Line by line, so that the last one is seen of a process that was killed.
    how: Any = {"encoding": "utf-8", "errors": "backslashreplace", "buffering": 1}
    sys.stdout, sys.stderr = (open(number, "w", closefd=False, **how) for number in (1, 2))  # noqa: SIM115
    faulthandler.enable()  # a segmentation fault leaves its stack in the log


def settle(question: Mapping[str, Any]) -> None:
    """Takes on the environment, the folder and the import path of bench."""
    os.environ.clear()
    os.environ.update(question["environment"])
    with contextlib.suppress(OSError):  # a folder that is gone
        os.chdir(question["folder"])
    # Behind its own: what lies in a folder of the user's must not become the harness's code.
    sys.path += [place for place in question["path"] if place not in sys.path]
    importlib.invalidate_caches()


def named(place: str) -> Callable[[str, Callable[[dict[str, Any]], object]], object]:
    """The function ``module:name``."""
    module, _, name = place.partition(":")
    function: Callable[[str, Callable[[dict[str, Any]], object]], object] = getattr(
        importlib.import_module(module), name
    )
    return function


def leave(code: int) -> NoReturn:
    """Ends this process, as the interpreter would: threads are waited for, exit handlers called.

    Who waits for it need not: see `bench.processes.child.GRACE_SECONDS`.
    """
    with contextlib.suppress(BaseException):
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code)
