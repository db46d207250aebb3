"""What an executor is: the contract of the entry-point group ``bench.executors``."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

Progress = Callable[[dict[str, Any]], object]
"""Told now and then where a job stands."""


class Cancelled(Exception):  # noqa: N818 - not an error
    """The user has stopped the run."""


@dataclass(frozen=True)
class Limits:
    """What one process may use; None: no limit."""

    seconds: float | None = None
    memory: int | None = None
    """Bytes resident."""


class Job(Protocol):
    """One thing to do: a training, its audits, a meta-test, a timing. It can be pickled, and holds
    all that it needs."""

    @property
    def log(self) -> Path:
        """The file for what it prints; its folder need not be there yet."""

    @property
    def output(self) -> Path:
        """The file whose presence means that it is done."""

    def perform(self, progress: Progress) -> None:
        """Does it, in this process. Whatever a learner raises comes through."""


@dataclass(frozen=True)
class Ended:
    """Why a job did not end well."""

    kind: Literal["error", "exit", "timeout", "memory"]
    reason: str
    """One sentence."""
    traceback: str | None = None


class Executor(ABC):
    """Carries out jobs. `run` blocks, and is called from several threads at once. It may state the
    ``contract`` that it was written for, as learners do.

    Args:
        limits: what one job may use.
    """

    description: ClassVar[str]
    """One sentence for ``bench list executors``."""
    here: ClassVar[bool] = False
    """True for one that calls learners in the process that called it: then a run is planned there
    too, else in a process apart."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    @abstractmethod
    def run(self, job: Job, progress: Progress, cancelled: threading.Event) -> Ended | None:
        """Carries it out: afterwards ``job.output`` exists, or it is said why not.

        Args:
            job: calls `Job.perform` in a process of its choice.
            progress: told now and then where it stands.
            cancelled: set when the user stops the run.

        Raises:
            Cancelled: soon after `cancelled` was set.
        """
