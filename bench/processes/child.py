"""Has one piece of work done in a process of its own, and watches it: bench's side.

Whoever carries out assignments calls `carry_out`: the executor `local`, or a job on a cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.api.errors import BenchError
from bench.api.executor import Cancelled, Ended, Limits, Progress
from bench.processes.failure import how_it_ended
from bench.processes.forkserver import ForkServer, fork_server, give_up_server
from bench.processes.guard import SWEEP_SECONDS, end_all
from bench.processes.log import last_line
from bench.processes.messages import MOST_READ, Failure, Message, Reader

POLL_SECONDS = 0.1
"""So often it is looked at when it says nothing; a cancellation is noticed in this time."""

QUIET_SECONDS = 0.01
"""Between two looks, whatever it says."""

CHECK_SECONDS = 0.25
"""So often its memory is measured, and its result looked for."""

GRACE_SECONDS = 2.0
"""So long a process may live on when its result is there: for its threads and exit handlers."""


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes:
        function: ``module:name``; called with `argument` and a function that is told the progress.
        argument: what it is about, as JSON.
        log: the file for what is printed.
        done: whether its result is there.
        preload: modules that its process has imported when it begins.
        environment: what it has beside the environment of this process.
        patience: seconds that it may take, once it is cancelled, to store where it stands.
    """

    function: str
    argument: str
    log: Path
    done: Callable[[], bool]
    preload: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0

    def question(self) -> bytes:
        """The line for the guard; with this process's environment, folder and import path."""
        content = {
            "function": self.function,
            "argument": self.argument,
            "log": str(self.log.absolute()),
            "environment": {**os.environ, **self.environment},
            "folder": os.getcwd(),  # noqa: PTH109 - as a text
            "path": [place for place in sys.path if place],
        }
        return json.dumps(content).encode() + b"\n"


def carry_out(
    work: Work, limits: Limits, progress: Progress, cancelled: threading.Event
) -> Ended | None:
    """Has it done: afterwards its result is there, or it is said why not; nothing of its process is
    left.

    Args:
        work: what is to be done.
        limits: what its process may use. The time in which it says that it is waiting does not
            count.
        progress: told now and then where it stands.
        cancelled: ends it when it is set.

    Raises:
        Cancelled: soon after `cancelled` was set.
        BenchError: no process could be started.
    """
    for _ in range(2):  # a learner may have ended the fork server under this one
        server = fork_server()
        child = Child(server, work)
        try:
            ended = Watch(child, work, limits, progress, cancelled).run()
        finally:
            child.end()
        if work.done():
            return None
        if child.worker is not None:
            return ended or Ended("exit", how_it_ended(child.code, last_line(work.log)))
        words = give_up_server(server)
    raise BenchError(f"no worker process could be started: {words}")


class Child:
    """A worker with its guard, as bench sees it.

    Args:
        server: forks the guard.
        work: what it is to do.

    Attributes:
        worker: the number of the worker's process, once it is known.
        code: its exit code, once it has ended: see `how_it_ended`.
        ended: whether it and its guard are gone.
    """

    def __init__(self, server: ForkServer, work: Work) -> None:
        self.worker: int | None = None
        self.code: int | None = None
        self.ended = False
        self._question = memoryview(work.question())
        self._told = b""  # of the guard's lines
        self._reader = Reader()
        lifeline, self._lifeline = os.pipe()
        self._status, status = os.pipe()
        self._messages, messages = os.pipe()
        server.fork(work.preload, lifeline, status, messages)
        for descriptor in (lifeline, status, messages):
            os.close(descriptor)
        self._selector = selectors.DefaultSelector()
        os.set_blocking(self._lifeline, False)
        self._selector.register(self._lifeline, selectors.EVENT_WRITE)
        for descriptor in (self._status, self._messages):
            self._selector.register(descriptor, selectors.EVENT_READ)

    def listen(self, seconds: float) -> list[Message]:
        """What the worker says, after `seconds` at the latest."""
        said: list[Message] = []
        for key, _ in self._selector.select(seconds):
            if key.fd == self._lifeline:
                self._ask()
            elif key.fd == self._status:
                self._hear_guard()
            elif part := os.read(key.fd, MOST_READ):
                said += self._reader.take(part)
            else:  # closed by all who had it: it would be ready for ever
                self._selector.unregister(key.fd)
        return said

    def _ask(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                self._question = self._question[os.write(self._lifeline, self._question) :]
            except BrokenPipeError:
                self._question = self._question[:0]
        if not self._question:
            self._selector.unregister(self._lifeline)

    def _hear_guard(self) -> None:
        part = os.read(self._status, MOST_READ)
        self.ended = not part
        *lines, self._told = (self._told + part).split(b"\n")
        for line in lines:
            content = json.loads(line)
            self.worker = content.get("worker", self.worker)
            self.code = content.get("ended", self.code)

    def resident(self) -> int:
        """Bytes resident, of the worker and of what it has started."""
        if self.worker is None:
            return 0
        with contextlib.suppress(psutil.Error):
            main = psutil.Process(self.worker)
            everyone = [main, *main.children(recursive=True)]
            return sum(process.memory_info().rss for process in everyone)
        return 0

    def end(self) -> None:
        """Ends it and all that it has started, if it has not ended; gives the descriptors back.

        One that has not begun, as the fork server is still importing, will not begin.
        """
        os.close(self._lifeline)  # the guard ends the rest
        until = time.monotonic() + SWEEP_SECONDS + 1
        with selectors.DefaultSelector() as selector:
            selector.register(self._status, selectors.EVENT_READ)
            while self.worker is not None and not self.ended and time.monotonic() < until:
                if selector.select(until - time.monotonic()):
                    self._hear_guard()
        if self.worker is not None and self.code is None:
            end_session(self.worker)
        self._selector.close()
        os.close(self._status)
        os.close(self._messages)


def end_session(leader: int) -> None:
    """Where a guard was ended or stopped: ends its worker, and what is in the worker's session."""
    end_all(leader)
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


class Watch:
    """Follows a child until it ends, breaks a limit, or is needed no more."""

    def __init__(
        self,
        child: Child,
        work: Work,
        limits: Limits,
        progress: Progress,
        cancelled: threading.Event,
    ) -> None:
        self._child, self._work, self._limits = child, work, limits
        self._progress, self._cancelled = progress, cancelled
        self._looked = self._checked = time.monotonic()
        self._working = 0.0  # seconds
        self._waiting = False
        self._done: float | None = None  # since when its result is there

    def run(self) -> Ended | None:
        """Its own failure, or that of a limit; None where it has ended, or need not go on."""
        while True:
            said = self._child.listen(POLL_SECONDS)
            if self._cancelled.is_set():
                self._let_it_stop()
                raise Cancelled
            if (failure := self._hear(said)) is not None:
                return failure
            if self._child.ended:
                self._wait_for_cancellation()
                return None
            if (ended := self._look()) is not None or self._outlives_its_result():
                return ended
            if said:
                self._cancelled.wait(QUIET_SECONDS)

    def _hear(self, said: list[Message]) -> Ended | None:
        """A failure; of its progress the last is passed on."""
        for message in said:
            if isinstance(message, Failure):
                return Ended(message.kind, message.reason, message.traceback)
            if "state" in message:
                self._waiting = message["state"] == "waiting"
        if said and not isinstance(said[-1], Failure):
            self._progress(said[-1])
        return None

    def _look(self) -> Ended | None:
        """The limit that it has broken."""
        now, limits = time.monotonic(), self._limits
        if self._child.worker is not None and not self._waiting:
            self._working += now - self._looked
        self._looked = now
        if limits.seconds is not None and self._working > limits.seconds:
            return Ended("timeout", f"still running after {limits.seconds:g} s (--timeout)")
        if now - self._checked > CHECK_SECONDS:
            self._checked = now
            if self._done is None and not self._waiting and self._work.done():
                self._done = now
            if limits.memory is not None and self._child.resident() > limits.memory:
                reason = f"used more than {limits.memory / 2**30:.3g} GiB of memory (--memory)"
                return Ended("memory", reason)
        return None

    def _outlives_its_result(self) -> bool:
        return self._done is not None and time.monotonic() - self._done > GRACE_SECONDS

    def _let_it_stop(self) -> None:
        """Asks the worker to store where it stands (`bench.processes.worker.Stopping`), and waits
        until it has ended, or has taken too long."""
        if self._work.patience and self._child.worker is not None and not self._child.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.worker, signal.SIGTERM)
            until = time.monotonic() + self._work.patience
            while not self._child.ended and time.monotonic() < until:
                self._child.listen(POLL_SECONDS)

    def _wait_for_cancellation(self) -> None:
        """A system that shuts down, or a cluster, ends all processes of a run with a signal; the
        worker's end may be seen before bench has its own, and is no failure then."""
        asked = {-signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT}
        if self._child.code in asked and self._cancelled.wait(1.0):
            raise Cancelled
