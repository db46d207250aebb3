"""What an executor is: the contract of the entry-point group ``bench.executors``."""

from __future__ import annotations

import datetime
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.store.records import Failure
from bench.worker.perform import Assignment
from bench.worker.training_loop import Progress


class Cancelled(Exception):  # noqa: N818 - not an error
    """The user has stopped the run."""


@dataclass(frozen=True)
class Limits:
    """What one process may use; None: no limit."""

    seconds: float | None = None
    memory: int | None = None
    """Bytes resident."""


class Executor(ABC):
    """Carries out assignments. `run` blocks, and is called from several threads at once. It may
    state the ``contract`` that it was written for, as learners do.

    Args:
        limits: what one assignment may use.
    """

    description: ClassVar[str]
    """One sentence for ``bench list executors``."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    @abstractmethod
    def run(
        self, assignment: Assignment, progress: Progress, cancelled: threading.Event
    ) -> Failure | None:
        """Carries it out: afterwards ``assignment.output`` exists, or a failure is returned.

        Args:
            assignment: what to do.
            progress: told now and then where it stands.
            cancelled: set when the user stops the run.

        Raises:
            Cancelled: soon after `cancelled` was set.
        """


def failure(
    assignment: Assignment,
    kind: Literal["error", "exit", "timeout", "memory"],
    reason: str,
    traceback: str | None = None,
) -> Failure:
    """A failure of this assignment, now."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    fields: dict[str, Any] = {"kind": kind, "reason": reason, "traceback": traceback}
    return Failure(**fields, phase=assignment.phase, finished=now)
