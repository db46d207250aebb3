"""`bench work`: carries out one group of a plan, on whatever machine it is called."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bench.api.dataset import Notify
from bench.api.executor import Cancelled, Ended
from bench.groups.carrying import fail_part
from bench.groups.events import Event, Listener
from bench.groups.group import Group
from bench.groups.plan_file import PlanFile
from bench.groups.status import StatusWriter
from bench.planning.jobs import Cell
from bench.store.checked import missing, record_part
from bench.store.records import Failure

PATIENCE_SECONDS = 20.0
"""So long a training may take to store where it stands when it is stopped."""

MOST_LOST = 3
"""So often a group is begun and neither ends nor is stopped, before what it was at has failed."""


MOST_IDLE = 3
"""So often a group is stopped without having got on, as by a time limit that is too short for it,
before what it was at has failed: it would be begun for ever."""


class Stopping:
    """Stops a group when it is called: by a signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.status: StatusWriter | None = None

    def __call__(self, by_hand: bool = False) -> None:
        """Says so at once: soon there may be no time for it."""
        self.event.set()
        if self.status is not None:
            self.status.stopped(by_hand)


Outcome = Literal["done", "failed", "waiting"]


def work(
    plan: Path,
    index: int,
    listener: Listener,
    stopping: Stopping,
    notify: Notify = lambda message: None,
) -> Outcome:
    """Carries out a group, and writes where it stands beside the plan.

    Args:
        plan: the file.
        index: the group's number.
        listener: told what happens.
        stopping: ends it, before it is settled.
        notify: told why timings cannot be made.

    Returns:
        ``done``: all of it. ``failed``: something has, which is stored. ``waiting``: these are
        timings of what is not trained and tested yet.

    Raises:
        Cancelled: it was stopped.
        BenchError: it is refused, and why; or the disk is full.
    """
    planned = PlanFile(plan)
    group = planned.group(index)
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
            status.count_anew()
        elif status.idle >= MOST_IDLE and not group.settled:
            reason = (
                f"it was stopped {status.idle} times and had not got on: give it more time (with "
                "Slurm -X time), or --timeout, so that what hangs is ended"
            )
            fail_part(group, Ended("lost", reason), tell)
            status.count_anew()
        group.carry_out(tell, stopping.event, patience=PATIENCE_SECONDS)
    except BaseException:
        status.state("stopped")
        raise
    status.state("ended")
    outcome: Outcome = "failed" if has_failures(group) else "done"
    for untimed, why in why_untimed(group, planned):
        notify(why)
        if outcome == "done":
            outcome = untimed
    return outcome


def why_untimed(group: Group, planned: PlanFile) -> Iterator[tuple[Outcome, str]]:
    """What the timings that could not be made say of the group, and what to tell; nothing of a
    group that is no timings."""
    if group.kind != "time":
        return
    left = [cell for cell in group.cells if not (group.time(cell).done or group.time(cell).failed)]
    open_ones = [cell for cell in left if group.wanted(cell)]
    failed = [cell for cell in left if cell.status(group.frame.results) == "failed"]
    failed = [cell for cell in failed if cell not in open_ones]
    if open_ones:
        training = replace(group, kind="train").name
        first = f" (group {planned.names.index(training)})" if training in planned.names else ""
        why = f"{_of(open_ones, group)} are not trained and tested yet"
        then = f"carry out {training}{first}, and then this again"
        yield "waiting", f"{group.name} is not timed: {why}; {then}"
    if failed:
        # Nothing of these timings has: the group of the training says so.
        yield "done", f"{group.name} is not timed: {_of(failed, group)} have failed"
    if len(left) > len(open_ones) + len(failed):
        yield "done", f"{group.name} is not timed: the weights of its training are not here"


def _of(cells: Sequence[Cell], group: Group) -> str:
    return f"{len(cells)} of {len(group.cells)} cells"


def has_failures(group: Group) -> bool:
    """Whether a failure of one of its parts is stored."""
    files = {part.failure for part in group.parts()}
    return any(not missing(file) and record_part(file, Failure).damage() is None for file in files)
