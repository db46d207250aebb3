"""Carries out a group, part by part: what fails is stored, and what stands on it is not tried."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.api.executor import Cancelled, Ended, Progress
from bench.groups.events import Event, Listener
from bench.groups.group import Group
from bench.planning.jobs import Cell
from bench.processes.child import Work, carry_out
from bench.processes.failure import failure_of
from bench.store import layout
from bench.store.atomic import lock_file, write_json, writing
from bench.store.checked import UnreadableError, missing, set_aside
from bench.store.records import Failure
from bench.worker.assignment import Assignment
from bench.worker.environment import now

Do = Callable[[Assignment, Progress], Ended | None]
"""Carries out one part: afterwards its output exists, or it is said why not."""


@dataclass(frozen=True)
class Processes:
    """Which processes do it; see `bench.api.Group.carry_out`."""

    here: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0


def carry_out_group(
    group: Group, listener: Listener, cancelled: threading.Event, how: Processes
) -> None:
    """See `bench.api.Group.carry_out`."""

    def in_this_process(assignment: Assignment, progress: Progress) -> Ended | None:
        def tell(event: dict[str, Any]) -> None:
            if cancelled.is_set():
                raise Cancelled
            progress(event)

        try:
            assignment.perform(tell)
        except Cancelled:
            raise
        except Exception as error:
            return failure_of(error)
        return None

    def in_its_own(assignment: Assignment, progress: Progress) -> Ended | None:
        work = Work(
            "bench.worker.perform:perform_json",
            assignment.to_json(),
            assignment.log,
            done=lambda: assignment.done,
            preload=("bench.groups.preload",),
            environment=how.environment,
            patience=how.patience,
        )
        return carry_out(work, group.frame.limits, progress, cancelled)

    do = in_this_process if how.here else in_its_own
    Carrying(group, do, listener, cancelled).run()


class Carrying:
    """Carries out a group.

    Args:
        group: what is to be done.
        do: does one part of it.
        listener: told what happens to each.
        cancelled: nothing further is begun once it is set.
    """

    def __init__(
        self, group: Group, do: Do, listener: Listener, cancelled: threading.Event
    ) -> None:
        self._group, self._do, self._listener = group, do, listener
        self._cancelled = cancelled
        self._results = group.frame.results
        self._weights_seen = False

    def run(self) -> None:
        """Returns when it is settled.

        Raises:
            Cancelled: soon after it was cancelled.
            BenchError: the disk is full or may not be written to.
        """
        if self._group.kind == "time":
            self._time()
        else:
            self._train_and_test()

    def _train_and_test(self) -> None:
        group, training = self._group, self._group.training
        wanted = [cell for cell in group.cells if group.wanted(cell)]
        for cell in wanted:
            self._forget_old_failure(cell)
        if wanted or training.damaged(self._results):
            self._look_at_weights()
            self._carry_out(group.train())
        reason = training.failure(self._results)
        for cell in group.cells:
            if reason is None or cell not in wanted:
                self._carry_out(group.test(cell))
            else:
                why = f"its training failed: {reason}"
                fail(group.test(cell), "training", why, None, self._listener)
        if group.auditable():
            self._carry_out(group.audit())
        else:
            self._listener(Event("kept", group.audit()))

    def _time(self) -> None:
        for cell in self._group.cells:
            timing = self._group.time(cell)
            if self._group.to_time(cell):
                self._carry_out(timing)
            elif timing.done or timing.failed:
                self._listener(Event("kept", timing))

    def _forget_old_failure(self, cell: Cell) -> None:
        """Of a cell whose training was the reason and has no failure any more."""
        path = cell.folder(self._results) / layout.FAILURE
        if not missing(path):
            with writing(path):
                path.unlink(missing_ok=True)

    def _look_at_weights(self) -> None:
        """Damaged weights are as if it had not been trained: nothing else makes them again. They
        are looked at once, and only where something is to be computed with them."""
        training = self._group.training
        if self._weights_seen or not self._group.has_weights():
            return
        self._weights_seen = True
        folder = training.folder(self._results)
        if training.budget is None or training.status(self._results) != "done":
            return
        from bench.worker.checkpoints import best_weights  # needs torch

        weights = folder / layout.WEIGHTS
        try:
            best_weights(folder)
        except UnreadableError as error:
            with lock_file(folder) as lock, writing(weights):
                if lock(False):  # else another process makes them at this moment
                    self._note(f"{weights} {error}: it is set aside, and trained again")
                    # The result first: one without weights would pass for a finished training.
                    set_aside(folder / layout.RESULT)
                    set_aside(weights)

    def _note(self, message: str, about: Assignment | None = None) -> None:
        self._listener(Event("progress", about or self._group.train(), {"note": message}))

    def _carry_out(self, assignment: Assignment) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if assignment.done or assignment.failed:
            self._listener(Event("kept", assignment))
            return
        for path, reason in assignment.damaged():
            self._note(f"{path}: {reason}; it is computed again", assignment)
        if assignment.phase != "train":
            self._ready()
        self._listener(Event("start", assignment))
        ended = self._do(
            assignment, lambda details: self._listener(Event("progress", assignment, details))
        )
        if ended is None:
            if assignment.phase == "train":  # written a moment ago
                self._weights_seen = True
            self._listener(Event("done", assignment))
        else:
            fail(assignment, ended.kind, ended.reason, ended.traceback, self._listener)

    def _ready(self) -> None:
        """Another run may have removed it since, or something may have damaged its weights."""
        self._look_at_weights()
        if self._group.training.status(self._results) == "unfinished":
            self._carry_out(self._group.train())


def fail(
    assignment: Assignment, kind: Any, reason: str, traceback: str | None, listener: Listener
) -> None:
    """Stores why a part of a group did not end well, and tells it.

    Args:
        assignment: which one.
        kind: see `bench.store.records.Failure`.
        reason: one sentence.
        traceback: where the learner raised, if it did.
        listener: told of it.
    """
    if assignment.done:  # by another process, in the meantime
        listener(Event("done", assignment))
        return
    failure = Failure(
        kind=kind, reason=reason, traceback=traceback, phase=assignment.phase, finished=now()
    )
    write_json(assignment.failure, failure)
    listener(Event("failed", assignment, {"reason": reason}))


def fail_part(group: Group, why: Ended, listener: Listener) -> bool:
    """Stores why a group was ended from outside: with the part that it was at, the first one that
    is not done and has not failed. What stands on a training fails with it.

    Returns:
        Whether there was one. Where there is none nothing is stored, and who would hand the group
        over again would do so for ever.
    """
    part = _open_part(group)
    if part is None:
        return False
    if part.phase == "train":
        wanted = [cell for cell in group.cells if group.wanted(cell)]
        part.set_damaged_aside()  # else it would count as something left to do
        fail(part, why.kind, why.reason, why.traceback, listener)
        for cell in wanted:
            fail(group.test(cell), "training", f"its training failed: {why.reason}", None, listener)
    else:
        fail(part, why.kind, why.reason, why.traceback, listener)
    return True


def _open_part(group: Group) -> Assignment | None:
    """The first part that something is left to do of; see `Group.settled`."""
    if group.kind == "time":
        return next((group.time(cell) for cell in group.cells if group.to_time(cell)), None)
    results, training = group.frame.results, group.training
    wanted = [cell for cell in group.cells if group.wanted(cell)]
    if training.damaged(results) or (wanted and training.status(results) == "unfinished"):
        return group.train()
    tests = [group.test(cell) for cell in wanted]
    if group.frame.store:  # a cell that is done may lack its answers
        tests += [test for test in map(group.test, group.cells) if not (test.done or test.failed)]
    if tests:
        return tests[0]
    audit = group.audit()
    return None if audit.done or audit.failed or not group.auditable() else audit
