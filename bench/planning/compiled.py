"""Whose update ``bench run --compile`` compiles, or records as a CUDA graph."""

from __future__ import annotations

from typing import Any

from bench.api import Learner, TaskSpec
from bench.errors import BenchError
from bench.registry.contestants import Contestant


class NotCompiledError(BenchError):
    """A learner's update cannot be compiled."""


def why_not_compiled(contestant: Contestant, task: TaskSpec) -> str | None:
    """Why a learner's update is not to be compiled or captured; None: it is tried. One that says
    nothing itself may be: what comes of it is compared with the ordinary update before it is used
    (`bench.worker.compiled`, `bench.worker.captured`)."""
    asked: Any = contestant.learner.why_not_compiled
    unsaid: Any = Learner.why_not_compiled
    if asked.__func__ is unsaid.__func__:
        return None
    reason: str | None = asked(contestant.config, task)
    return reason


def refuse(not_compiled: dict[str, str]) -> None:
    """Says who cannot be compiled, and why.

    Raises:
        BenchError: where there are any.
    """
    if not_compiled:
        told = "\n".join(f"  {label}: {reason}" for label, reason in not_compiled.items())
        raise BenchError(
            f"--compile: not every learner has an update that can be compiled\n{told}\n"
            "name others with --learner, or run these without --compile"
        )
