"""What a target is, and how one execution of it is judged."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import click

from bench.errors import BenchError
from tests.fuzz.mutations import Mutation

CORPUS = Path(__file__).parent / "corpus"

MOST_SECONDS = 10
"""Of a core: an execution that takes more is a finding, and one that waits twelve times as long. A
machine with much else to do is none."""

CLEAR = (BenchError, click.ClickException)
"""What is told to a person as one message."""


@dataclass(frozen=True)
class Target:
    """Something that reads what comes from outside.

    Attributes:
        name: of its folder in the corpus.
        read: takes an input; whatever it raises besides `CLEAR` is a finding.
        mutate: changes an input.
        seeds: inputs to begin with, valid ones.
        share: its part of a run's executions, relative to the others.
    """

    name: str
    read: Callable[[bytes], Any]
    mutate: Mutation
    seeds: Sequence[bytes]
    share: int

    @cached_property
    def corpus(self) -> dict[str, bytes]:
        """The kept inputs, by file name."""
        return {path.name: path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))}

    def case(self, number: int) -> bytes:
        """The input of an execution."""
        random = Random(f"{self.name}/{number}")
        return self.mutate(random.choice([*self.seeds, *self.corpus.values()]), random)

    def finding(self, content: bytes) -> BaseException | None:
        """What reading an input raises that no person should see; None: nothing."""
        try:
            with at_most(MOST_SECONDS):
                self.read(content)
        except CLEAR as error:
            if not str(error).strip() and not isinstance(error, click.ClickException):
                return error
        except Exception as error:
            return error
        return None


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raises `TimeoutError` in what takes longer."""

    def stop(*_: object) -> None:
        for own in before:  # the other timer may be about to go off
            signal.signal(own, signal.SIG_IGN)
        raise TimeoutError(f"more than {seconds} s of a core, or a wait of {12 * seconds} s")

    timers = {signal.ITIMER_PROF: seconds, signal.ITIMER_REAL: 12 * seconds}
    before = {own: signal.signal(own, stop) for own in (signal.SIGPROF, signal.SIGALRM)}
    for timer, most in timers.items():
        signal.setitimer(timer, most)
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for own, handler in before.items():
            signal.signal(own, handler)


def place_of(error: BaseException) -> str:
    """Where it was raised: two findings of one place are one."""
    own = [f for f in traceback.extract_tb(error.__traceback__) if "/bench/" in f.filename]
    frame = own[-1] if own else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {Path(frame.filename).name}:{frame.lineno} {frame.name}"
