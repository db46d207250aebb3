"""`bench work`: carries out one group of a plan, on whatever machine it is called."""

from __future__ import annotations

import threading
from pathlib import Path

from bench.api.executor import Cancelled, Ended
from bench.groups.carrying import fail_part
from bench.groups.events import Event, Listener
from bench.groups.group import Group
from bench.groups.plan_file import PlanFile
from bench.groups.status import StatusWriter
from bench.store.checked import missing, record_part
from bench.store.records import Failure

PATIENCE_SECONDS = 20.0
"""So long a training may take to store where it stands when it is stopped."""

MOST_LOST = 3
"""So often a group is begun and neither ends nor is stopped, before what it was at has failed."""


class Stopping:
    """Stops a group when it is called: by a signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.status: StatusWriter | None = None

    def __call__(self) -> None:
        """Says so at once: soon there may be no time for it."""
        self.event.set()
        if self.status is not None:
            self.status.state("stopped")


def work(plan: Path, index: int, listener: Listener, stopping: Stopping) -> bool:
    """Carries out a group, and writes where it stands beside the plan.

    Args:
        plan: the file.
        index: the group's number.
        listener: told what happens.
        stopping: ends it, before it is settled.

    Returns:
        Whether all is done: else something has failed, which is stored.

    Raises:
        Cancelled: it was stopped.
        BenchError: it is refused, and why; or the disk is full.
    """
    group = PlanFile(plan).group(index)
    status = stopping.status = StatusWriter(plan.absolute().parent, group)

    def tell(event: Event) -> None:
        status(event)
        listener(event)

    try:
        if stopping.event.is_set():
            raise Cancelled
        if status.lost >= MOST_LOST and not group.settled:
            reason = f"the machine was lost {status.lost} times while it worked on this"
            fail_part(group, Ended("lost", reason), tell)
            status.forget_lost()
        group.carry_out(tell, stopping.event, patience=PATIENCE_SECONDS)
    except BaseException:
        status.state("stopped")
        raise
    status.state("ended")
    return not has_failures(group)


def has_failures(group: Group) -> bool:
    """Whether a failure of one of its parts is stored."""
    files = {part.failure for part in group.parts()}
    return any(not missing(file) and record_part(file, Failure).damage() is None for file in files)
