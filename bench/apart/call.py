"""Calls a function in a process apart, again and again without what has ended that process."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bench.apart import blame
from bench.apart.ahead import PRELOAD
from bench.apart.wire import adapters, decode, encode, place_of
from bench.errors import BenchError
from bench.processes.child import Child, Work
from bench.processes.failure import how_it_ended
from bench.processes.forkserver import fork_server, give_up_server
from bench.processes.log import last_line
from bench.processes.messages import Failure

P = ParamSpec("P")
R = TypeVar("R")

MOST_BYTES = 2**28
"""Of an answer."""

POLL_SECONDS = 0.1


def apart(
    function: Callable[P, R],
    *,
    preload: tuple[str, ...] = PRELOAD,
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
            function is called here, with a text.
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
        question = {
            "function": place_of(function),
            "arguments": {
                name: encode(function, name, value)
                for name, value in given.items()
                if name in typed
            },
            "callables": [name for name in given if name not in typed],
        }
        called = {name: given[name] for name in question["callables"]}
        given_up: dict[str, str] = {}
        while True:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                attempt = Attempt(Path(folder), called, seconds)
                try:
                    ended = attempt.follow({**question, "given_up": given_up}, preload)
                except NoProcessError:  # something may have ended the fork server under it
                    attempt = Attempt(Path(folder), called, seconds)
                    ended = attempt.follow({**question, "given_up": given_up}, preload)
                if ended is None:
                    answer: R = decode(function, "return", attempt.answer())
                    return answer
            if attempt.touched is None or attempt.touched in given_up:
                raise BenchError(f"the process that imports plugins {ended}")
            given_up[attempt.touched] = ended

    return ask


class NoProcessError(BenchError):
    """The fork server could not fork."""


@dataclass(frozen=True)
class Limit:
    """Until when something may take."""

    seconds: float
    until: float

    @classmethod
    def of(cls, seconds: float | None) -> Limit | None:
        """Beginning now; None: no limit."""
        return None if seconds is None else cls(seconds, time.monotonic() + seconds)


class Attempt:
    """One process, from its question to its end.

    Args:
        folder: for its answer and its log.
        called: the functions that it may have called here, by the argument's name.
        seconds: how long it may take.

    Attributes:
        touched: what it has touched last.
    """

    def __init__(
        self, folder: Path, called: Mapping[str, Callable[..., object]], seconds: float | None
    ) -> None:
        self.touched: str | None = None
        self._file, self._log = folder / "answer.json", folder / "printed.txt"
        self._called = called
        self._whole = Limit.of(seconds)
        self._limit: Limit | None = None  # of what is touched

    def follow(self, question: Mapping[str, Any], preload: tuple[str, ...]) -> str | None:
        """Until it has answered: None; else how it ended, as the end of a sentence."""
        argument = json.dumps({**question, "file": str(self._file)})
        work = Work("bench.apart.child:answer", argument, self._log, self._file.exists, preload)
        server = fork_server()
        child = Child(server, work)
        try:
            while not work.done() and not child.ended:
                for message in child.listen(POLL_SECONDS):
                    if isinstance(message, Failure):
                        raise RuntimeError(
                            f"{message.reason}\n\nIn the process apart:\n{message.traceback}"
                        )
                    self._hear(message)
                for limit in (self._limit, self._whole):
                    if limit is not None and time.monotonic() > limit.until:
                        return f"did not come back within {limit.seconds:g} s"
        finally:
            child.end()
        if work.done():
            return None
        if child.worker is None:
            raise NoProcessError(f"no process could be started: {give_up_server(server)}")
        return how_it_ended(child.code, last_line(self._log)).removeprefix("the process ")

    def _hear(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"touching": str(what), "seconds": float() | int() | None as seconds}:
                self.touched, self._limit = what, Limit.of(seconds)
            case {"touching": None}:
                self.touched, self._limit = None, None
            case {"call": str(name), "text": str(text)} if name in self._called:
                self._called[name](plain(text))

    def answer(self) -> Any:
        """What it has answered.

        Raises:
            BenchError: the one that the function has raised; an answer without end.
        """
        if self._file.stat().st_size > MOST_BYTES:
            raise BenchError(f"the process that imports plugins sent more than {MOST_BYTES} bytes")
        content = json.loads(self._file.read_bytes())
        if "error" in content:
            raise BenchError(plain(str(content["error"])))
        return content["answer"]


def plain(text: str) -> str:
    """A text from a plugin as it can be shown anywhere: no control characters but line breaks."""
    text = text.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
