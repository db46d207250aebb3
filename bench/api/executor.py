"""What an executor is: the contract of the entry-point group ``bench.executors``.

The unit of work is a *group*: a training with its tests and audit, or the timings of a training on
one device. An executor takes groups, has each carried out somewhere, and says where they stand.
What was computed is in the results folder; an executor never carries results.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from bench.api.errors import BenchError

Progress = Callable[[dict[str, Any]], object]
"""Told now and then where a part of a group stands: ``fraction`` done, ``updates``, ``loss`` and
the like; ``state``, "waiting" for another process that does the same or "working" (it begins with
that); ``note``, a sentence for the user."""


class Cancelled(Exception):  # noqa: N818 - not an error
    """The user, or who runs the machine, has stopped it."""


class PlanMismatchError(BenchError):
    """What is here is not what was planned: another version of bench, other code of a learner,
    other data. Nothing is computed, and the next run tries again."""


@dataclass(frozen=True)
class Limits:
    """What one process may use; None: no limit."""

    seconds: float | None = None
    """At work: a job that says it is waiting is not."""
    memory: int | None = None
    """Bytes resident."""


MOST_REASON, MOST_TRACEBACK = 2_000, 20_000
"""Characters that are kept."""


@dataclass(frozen=True)
class Ended:
    """Why a part of a group did not end well.

    Both texts may come from a learner. They are kept as what can be stored and encoded anywhere:
    bounded, and with escapes for characters that no file may hold; who shows them escapes them for
    the place where they are shown.
    """

    kind: Literal["error", "exit", "timeout", "memory", "lost", "refused"]
    """``lost``: its machine was, again and again; ``refused``: see `PlanMismatchError`. The next
    run tries these two again by itself."""
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


BESIDE = 2**30
"""Bytes that a group needs beside the process that ``--memory`` limits."""


@dataclass(frozen=True)
class Resources:
    """What a group needs while it runs."""

    cpus: int
    """The CPU threads that its trainings are to have: asked for, and never those of the machine
    that submits it."""
    gpus: int = 0
    gpu: int | None = None
    """Which one of the visible ones, for an executor of this machine; None: any."""
    memory: int | None = None
    """Bytes that one of its processes may have resident (``--memory``); None: no limit."""
    seconds: float | None = None
    """How long one of its processes may work (``--timeout``); None: no limit. A group has several
    processes, one after another."""
    exclusive: bool = False
    """It is a timing: alone on its device, and begun when all that was submitted before it has
    ended."""

    @property
    def job_memory(self) -> int | None:
        """Bytes that an engine is asked for: `memory`, and `BESIDE` for the processes beside."""
        return None if self.memory is None else self.memory + BESIDE


class Group(Protocol):
    """A training with its tests and audit, or its timings on a device."""

    @property
    def name(self) -> str:
        """Of what is to be done, the same in every run: ``train-maml-0123456789ab``."""

    @property
    def index(self) -> int:
        """Its place in the plan, from 0."""

    @property
    def plan(self) -> Path:
        """The JSON plan that has it, where the executor's work is done by other machines."""

    @property
    def command(self) -> list[str]:
        """What carries it out on any machine that has the results folder: ``bench work``. It stores
        its own failures and writes its own progress. It ends with 0 (all is done), 1 (something
        has failed, which is stored), 2 (it refuses, and says why) or 75 (it was stopped: carry it
        out again)."""

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do: all is done, or its failure is stored."""

    def carry_out(
        self,
        tell: Callable[[Any], object],
        cancelled: threading.Event,
        *,
        here: bool = False,
        environment: Mapping[str, str] | None = None,
        patience: float = 0.0,
    ) -> None:
        """Does what `command` does, but is watched by this process; returns when it is settled.

        Args:
            tell: `Site.tell`.
            cancelled: ends it when it is set.
            here: the learner is called in this process, else in one of its own for each part.
            environment: what these processes have beside the environment of this one.
            patience: seconds that a training may take, when it is ended, to store where it stands.

        Raises:
            Cancelled: soon after `cancelled` was set.
            BenchError: the disk is full, for instance: nothing that one group could help.
        """


@dataclass(frozen=True)
class Standing:
    """Where a submitted group stands."""

    kind: Literal["queued", "running", "ended", "cancelled"]
    """``ended``: it will not go on; whether it is settled is seen in the results folder.
    ``cancelled``: somebody else has stopped it; it is left as it is."""
    why: Ended | None = None
    """Of one that has ended and cannot have said so itself: it was killed, or never began. None
    where it is settled, or ought to be carried out once more."""


@dataclass(frozen=True)
class Site:
    """What an executor is made with.

    Attributes:
        jobs: groups at once; None: it was not said how many.
        folder: of this run, in the results folder: for what it must remember. It is the same when
            the same command is given again; it may not be there yet.
        options: what was given with ``-X`` and ``--executor-options``, by name.
        tell: for `Group.carry_out`.
        notify: told what the user should know.
    """

    jobs: int | None
    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    tell: Callable[[Any], object] = lambda event: None
    notify: Callable[[str], object] = lambda message: None


class Executor(ABC):
    """Has groups carried out. Its methods are called from one thread. It may state the ``contract``
    that it was written for, as learners do.

    Args:
        site: what it is made with.

    Raises:
        BenchError: for an option that it does not have, or that does not fit.
    """

    description: ClassVar[str]
    """One sentence for ``bench list executors``."""
    here: ClassVar[bool] = False
    """True for one that calls learners in the process that called it: then a run is planned there
    too, else in a process apart."""
    elsewhere: ClassVar[bool] = False
    """True for one whose groups may run on other machines: they read the plan in the results
    folder, devices are looked for there, and what they say is read from the folder."""
    detaches: ClassVar[bool] = False
    """True for one whose groups go on when this process has ended (``--detach``)."""
    pause: float = 0.0
    """Seconds between two calls of `poll`."""
    options: ClassVar[tuple[str, ...] | None] = ()
    """The names that ``-X`` may give; None: it looks at them itself."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @abstractmethod
    def submit(self, group: Group, resources: Resources) -> str:
        """Takes a group. It need not begin before the next `poll`.

        Returns:
            A handle, for the other methods; of one group no other than of another.
        """

    @abstractmethod
    def poll(self, handles: Sequence[str]) -> Mapping[str, Standing]:
        """Where these groups stand, all at once. It may wait for a second, for something to change.

        Raises:
            BenchError: nothing can go on, as where a disk is full.
        """

    @abstractmethod
    def cancel(self, handles: Iterable[str]) -> None:
        """Ends them, with their processes; returns when that is done, or after seconds. What is
        finished of them is kept."""

    def reattach(self, group: Group) -> str | None:
        """The handle of a group that an earlier run has submitted, where it is still queued or
        running; None where it is not. The same command given again submits nothing twice."""
        return None

    def threads(self) -> int | None:
        """CPU threads of a training, where an option says how many CPUs it has."""
        return None

    def scripts(self) -> list[str]:
        """What would be handed over of all that was submitted, for a person to read; nothing is."""
        return []

    def close(self) -> None:  # noqa: B027 - most have nothing to do there
        """Called once, when nothing is submitted or polled any more."""
