"""A named check, and what came of it."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from bench.testing.subject import Subject

Status = Literal["pass", "fail", "not applicable"]


class FailedError(AssertionError):
    """The learner does not hold what a check asks for."""


class NotApplicableError(Exception):
    """The check has nothing to say about the learner."""


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

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.status}" + (f": {self.reason}" if self.reason else "")]
        lines += [f"{self.explanation}"] if self.status == "fail" else []
        lines += [f"Hint: {self.hint}"] if self.hint else []
        lines += [self.traceback.rstrip()] if self.traceback else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Check:
    """Something that holds for every learner."""

    name: str
    explanation: str
    hint: str
    function: Callable[[Subject], str | None]
    """Returns what else is worth knowing; raises `FailedError` or `NotApplicableError`."""

    def __call__(self, subject: Subject) -> CheckResult:
        """Runs it. Whatever the learner raises is a failure; torch's random state is kept."""
        status: Status = "pass"
        reason = hint = trace = None
        started = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            try:
                reason = self.function(subject)
            except NotApplicableError as told:
                status, reason = "not applicable", str(told)
            except FailedError as told:
                status, reason, hint = "fail", str(told), self.hint
            except BaseException as error:  # a plugin may raise anything, SystemExit too
                if isinstance(error, KeyboardInterrupt):
                    raise
                status, hint = "fail", self.hint
                reason, trace = f"{type(error).__name__}: {error}".rstrip(": "), _trace(error)
        seconds = time.perf_counter() - started
        return CheckResult(self.name, status, self.explanation, reason, hint, trace, seconds)


def check(hint: str) -> Callable[[Callable[[Subject], str | None]], Check]:
    """Makes a check of a function: its name with hyphens, its docstring as the explanation."""

    def decorate(function: Callable[[Subject], str | None]) -> Check:
        explanation = " ".join((inspect.getdoc(function) or "").split())
        return Check(function.__name__.replace("_", "-"), explanation, hint, function)

    return decorate


def _trace(error: BaseException) -> str:
    """The traceback from the learner's first frame on."""
    here, frame, first = Path(__file__).parent, error.__traceback__, error.__traceback__
    while frame is not None:
        if Path(frame.tb_frame.f_code.co_filename).parent == here:
            first = frame.tb_next
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, first))
