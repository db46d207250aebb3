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
    """One thing to do. What it is, is the worker's matter: `bench.worker.perform.perform`."""

    @property
    def folder(self) -> Path:
        """Where it is done; logs belong there."""

    @property
    def output(self) -> Path:
        """The file whose presence means that it is done."""


@dataclass(frozen=True)
class Ended:
    """Why a job did not end well."""

    kind: Literal["error", "exit", "timeout", "memory"]
    reason: str
    """One sentence."""
    traceback: str | None = None


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
    def run(self, job: Any, progress: Progress, cancelled: threading.Event) -> Ended | None:
        """Carries it out: afterwards ``job.output`` exists, or it is said why not.

        Args:
            job: a `Job`, to be handed to `bench.worker.perform.perform`.
            progress: told now and then where it stands.
            cancelled: set when the user stops the run.

        Raises:
            Cancelled: soon after `cancelled` was set.
        """
