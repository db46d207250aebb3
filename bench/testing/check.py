"""A named check, and what came of it."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar

import torch

Status = Literal["pass", "fail", "not applicable"]
Subject_contra = TypeVar("Subject_contra", contravariant=True)
"""What a check looks at: a `bench.testing.subject.Subject`, or anything that is `Examined`."""


class FailedError(AssertionError):
    """The learner does not hold what a check asks for.

    Args:
        reason: what was seen.
        value: see `CheckResult.value`.
    """

    def __init__(self, reason: str, value: float | None = None) -> None:
        super().__init__(reason)
        self.value = value


class NotApplicableError(Exception):
    """The check asks nothing of the learner; with a value, it has measured something.

    Args:
        reason: why, and what was measured.
        value: see `CheckResult.value`.
    """

    def __init__(self, reason: str, value: float | None = None) -> None:
        super().__init__(reason)
        self.value = value


class Seen(NamedTuple):
    """What else is worth knowing of a check that passed."""

    words: str
    value: float
    """See `CheckResult.value`."""


Told = str | Seen | None


@dataclass(frozen=True)
class CheckResult:
    """What came of a check."""

    name: str
    status: Status
    explanation: str
    """What is checked, and why: one sentence."""
    reason: str | None
    """What was seen. Of a check that passed, what else is worth knowing."""
    hint: str | None
    """What to do about a failure."""
    traceback: str | None
    """Where the learner raised, if it did."""
    seconds: float
    value: float | None = None
    """The figure in `reason`, where there is one: a fraction of answers."""

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.status}" + (f": {self.reason}" if self.reason else "")]
        lines += [f"{self.explanation}"] if self.status == "fail" else []
        lines += [f"Hint: {self.hint}"] if self.hint else []
        lines += [self.traceback.rstrip()] if self.traceback else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Check(Generic[Subject_contra]):
    """Something that holds for every learner."""

    name: str
    explanation: str
    hint: str
    function: Callable[[Subject_contra], Told]
    """Returns what else is worth knowing; raises `FailedError` or `NotApplicableError`."""

    def __call__(self, subject: Subject_contra) -> CheckResult:
        """Runs it. Whatever the learner raises is a failure; torch's random state is kept."""
        status: Status = "pass"
        reason = hint = trace = value = None
        started = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            try:
                seen = self.function(subject)
                reason, value = seen if isinstance(seen, Seen) else (seen, None)
            except NotApplicableError as told:
                status, reason, value = "not applicable", str(told), told.value
            except FailedError as told:
                status, reason, hint, value = "fail", str(told), self.hint, told.value
            except BaseException as error:  # a plugin may raise anything, SystemExit too
                if isinstance(error, KeyboardInterrupt):
                    raise
                status, hint = "fail", self.hint
                reason, trace = f"{type(error).__name__}: {error}".rstrip(": "), _trace(error)
        seconds = time.perf_counter() - started
        return CheckResult(self.name, status, self.explanation, reason, hint, trace, seconds, value)


def check(hint: str) -> Callable[[Callable[[Subject_contra], Told]], Check[Subject_contra]]:
    """Makes a check of a function: its name with hyphens, its docstring as the explanation."""

    def decorate(function: Callable[[Subject_contra], Told]) -> Check[Subject_contra]:
        explanation = " ".join((inspect.getdoc(function) or "").split())
        return Check(function.__name__.replace("_", "-"), explanation, hint, function)

    return decorate


def _trace(error: BaseException) -> str:
    """The traceback from the learner's first frame on."""
    bench = Path(__file__).parents[1]
    asking = (bench / "testing", bench / "protocols")
    frame = first = error.__traceback__
    while frame is not None:
        if Path(frame.tb_frame.f_code.co_filename).parent in asking:
            first = frame.tb_next
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, first))
