"""Calls a function in a process apart, as often as it takes to do without what ends that process."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from bench.apart import blame
from bench.apart.processes import Child, server
from bench.apart.wire import adapters, decode, encode
from bench.errors import BenchError

P = ParamSpec("P")
R = TypeVar("R")

PRELOADED = ("torch", "bench.planning.plan")
"""Slow to import, and needed by nearly everything that asks for plugins."""
MOST_BYTES = 2**28
"""Of all messages of a process."""
MOST_TEXT = 10_000
"""Characters of a text that is shown."""
MOST_SAID = 4096
"""Bytes kept of what is printed: its end."""
POLL_SECONDS = 0.2


def apart(
    function: Callable[P, R],
    *,
    preload: tuple[str, ...] = PRELOADED,
    seconds: float | None = None,
) -> Callable[P, R]:
    """The same function, called in a process of its own.

    What ends or hangs that process while it is touched (`bench.apart.blame.touching`) is given up,
    and the function is called again, in a new process, with that in mind. What is printed there is
    dropped. Where no process can be forked (Windows), and in a process apart itself, this is
    the function as it is.

    Args:
        function: one of the harness's, by name at the top of its module. Its arguments and its
            answer are of types that pydantic knows how to write as JSON; an argument that is a
            function is called here, with texts.
        preload: what the process has imported when it begins.
        seconds: how long it may take in all; None: as long as it likes.

    Raises (the function that is returned):
        BenchError: the function raised one; the process ended and nothing was touched that could
            be left out; it took longer than `seconds`.
        RuntimeError: the function raised anything else; the message holds its traceback.
    """
    if not hasattr(os, "fork") or blame.watched():
        return function

    @wraps(function)
    def ask(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature(function).bind(*args, **kwargs).arguments
        typed = adapters(function)
        told = {name: value for name, value in given.items() if name not in typed}
        content = {
            "function": f"{function.__module__}:{function.__name__}",
            "arguments": {
                name: encode(function, name, value) for name, value in given.items() if name in typed
            },
            "callables": list(told),
            "environment": dict(os.environ),
            "folder": os.getcwd(),  # noqa: PTH109 - as a text
            "path": [place for place in sys.path if place],
        }
        given_up: dict[str, str] = {}
        while True:
            child = server(preload).fork()
            attempt = _Attempt(child, told, seconds)
            try:
                ended = attempt.follow(json.dumps({**content, "given_up": given_up}))
            finally:
                child.kill()
                child.close()
            if ended is None:
                result: R = decode(function, "return", attempt.answer)
                return result
            culprit = attempt.touched
            if culprit is None or culprit in given_up:
                raise BenchError(f"the process that imports plugins {ended}")
            given_up[culprit] = ended

    return ask


class _Attempt:
    """One process, from its question to its end.

    Args:
        child: the process.
        told: the functions that it may call here, by the argument's name.
        seconds: how long it may take.
    """

    def __init__(
        self, child: Child, told: Mapping[str, Callable[..., object]], seconds: float | None
    ) -> None:
        self.answer: Any = None
        self.touched: str | None = None
        self._answered = False
        self._child = child
        self._told = told
        self._whole = _Limit.of(seconds)
        self._limit: _Limit | None = None  # of what is touched
        self._said, self._line, self._bytes = b"", bytearray(), 0
        self._ended = b""

    def follow(self, question: str) -> str | None:
        """Until it has answered: None; else how it ended, as the end of a sentence."""
        child = self._child
        with selectors.DefaultSelector() as watching:
            watching.register(child.channel, selectors.EVENT_READ, self._hear)
            watching.register(child.said, selectors.EVENT_READ, self._listen)
            watching.register(child.ended, selectors.EVENT_READ, self._notice)
            child.channel.settimeout(POLL_SECONDS)
            rest = memoryview(question.encode() + b"\n")
            try:
                while child.ended in watching.get_map():
                    if rest:
                        rest = rest[self._send(rest) :]
                    for key, _ in watching.select(0 if rest else POLL_SECONDS):
                        if not key.data():
                            watching.unregister(key.fileobj)
                    if self._answered:
                        return None
                    self._keep_time()
                while child.channel in watching.get_map() and self._hear():
                    pass  # what it has sent before it ended
            except _Ended as ended:
                return str(ended)
        return None if self._answered else self._how()

    def _keep_time(self) -> None:
        for limit in (self._limit, self._whole):
            if limit is not None and time.monotonic() > limit.until:
                raise _Ended(f"did not come back within {limit.seconds:g} s")

    def _send(self, rest: memoryview) -> int:
        try:
            return self._child.channel.send(rest)
        except TimeoutError:
            return 0
        except OSError:  # it has ended: how is seen elsewhere
            return len(rest)

    def _listen(self) -> bool:
        part = os.read(self._child.said, 2**16)
        self._said = (self._said + part)[-MOST_SAID:]
        return bool(part)

    def _notice(self) -> bool:
        part = os.read(self._child.ended, 2**12)
        self._ended += part
        if self._child.pid is None and b"\n" in self._ended:
            self._child.pid = json.loads(self._ended.partition(b"\n")[0])["pid"]
        return bool(part)

    def _hear(self) -> bool:
        """Reads messages; False: there will be none any more."""
        try:
            part = self._child.channel.recv(2**20)
        except TimeoutError:
            return True
        except OSError:
            return False
        self._bytes += len(part)
        if self._bytes > MOST_BYTES:
            raise _Ended(f"sent more than {MOST_BYTES >> 20} MiB")
        self._line += part
        if b"\n" in part:
            *lines, rest = self._line.split(b"\n")
            self._line = bytearray(rest)
            for line in lines:
                self._take(bytes(line))
        return bool(part)

    def _take(self, line: bytes) -> None:
        """One message: see `bench.apart.child`."""
        told: Callable[..., object] = _nothing
        values: list[str] = []
        try:
            [(kind, content)] = json.loads(line).items()
            if kind == "touching":
                self.touched, seconds = content or (None, None)
                self._limit = _Limit.of(seconds)
            elif kind == "call":
                told, values = self._told[content[0]], [plain(text) for text in content[1:]]
            elif kind in {"error", "raised"}:
                content = [plain(text) for text in content]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise _Ended("wrote into the pipe of its answers") from error
        told(*values)
        if kind == "answer":
            self.answer, self._answered = content, True
        if kind == "error":
            raise BenchError(content[0])
        if kind == "raised":
            raise RuntimeError("\n\nIn the process apart:\n".join(content))

    def _how(self) -> str:
        """How it ended, as far as its exit code and its last line tell."""
        last = self._ended.strip().split(b"\n")[-1]
        code = json.loads(last or b"{}").get("status")
        if code is None:
            how = "ended the process that forks"
        elif code < 0:
            how = f"was ended by {signal_name(-code)}"
        else:
            how = f"ended the interpreter with exit code {code}"
        lines = self._said.decode(errors="backslashreplace").strip().splitlines()
        return f"{how}; the last line of what it printed: {plain(lines[-1])[:200]}" if lines else how


def _nothing() -> None:
    """What a message calls that calls nothing."""


class _Ended(Exception):  # noqa: N818 - an end, of which the caller may make an error
    """How a process ended that has not answered."""


@dataclass(frozen=True)
class _Limit:
    seconds: float
    until: float

    @classmethod
    def of(cls, seconds: float | None) -> _Limit | None:
        """Beginning now; None: no limit."""
        return None if seconds is None else cls(seconds, time.monotonic() + seconds)


def signal_name(number: int) -> str:
    """``SIGKILL``; real-time signals have numbers only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def plain(text: str) -> str:
    """A text from a plugin as it can be shown anywhere: bounded, and with no control characters
    but line breaks."""
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]} ... ({len(text):,} characters)"
    text = text.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
