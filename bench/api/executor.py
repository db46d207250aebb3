"""What an executor is: the contract of the entry-point group ``bench.executors``."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

Progress = Callable[[dict[str, Any]], object]
"""Told now and then where a job stands: ``fraction`` done, ``updates``, ``loss`` and the like;
``state``, "waiting" for another process that does the same or "working" (it begins with that);
``note``, a sentence for the user."""


class Cancelled(Exception):  # noqa: N818 - not an error
    """The user has stopped the run."""


@dataclass(frozen=True)
class Limits:
    """What one process may use; None: no limit."""

    seconds: float | None = None
    """At work: a job that says it is waiting is not."""
    memory: int | None = None
    """Bytes resident."""


class Job(Protocol):
    """One thing to do: a training, its audits, a meta-test, a timing. It holds all that it needs,
    and can be written as JSON."""

    @property
    def log(self) -> Path:
        """The file for what it prints; its folder need not be there yet."""

    @property
    def output(self) -> Path:
        """The file whose presence means that it is done."""

    @property
    def done(self) -> bool:
        """Whether its result is there."""

    def to_json(self) -> str:
        """All of it, for another process: ``bench.worker.perform:perform_json`` does it there."""

    def perform(self, progress: Progress) -> None:
        """Does it, in this process. Whatever a learner raises comes through."""


MOST_REASON, MOST_TRACEBACK = 2_000, 20_000
"""Characters that are kept."""


@dataclass(frozen=True)
class Ended:
    """Why a job did not end well.

    Both texts may come from a learner. They are kept as what can be stored and encoded anywhere:
    bounded, and with escapes for characters that no file may hold; who shows them escapes them for
    the place where they are shown.
    """

    kind: Literal["error", "exit", "timeout", "memory"]
    reason: str
    """One sentence."""
    traceback: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", storable(self.reason, MOST_REASON))
        if self.traceback is not None:
            object.__setattr__(self, "traceback", storable(self.traceback, MOST_TRACEBACK))


def storable(text: str, most: int) -> str:
    """A text that can be stored: its middle is left out where it has more than `most` characters,
    and escapes stand for lone surrogates (of file names that are no UTF-8) and for NUL."""
    if len(text) > most:
        head, tail = text[: most // 2], text[-(most // 2) :]
        text = f"{head} [... {len(text) - len(head) - len(tail):,} characters left out ...] {tail}"
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


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
