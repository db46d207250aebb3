"""What a worker process does: one training, its audits, one meta-test, or one timing.

Everything is read from the `Assignment` and written into the job's folder, so that an assignment
can be carried out in this process, in another, or on another machine that shares the folder.
"""

from __future__ import annotations

from bench.api.executor import Progress
from bench.store.atomic import locked
from bench.worker.assignment import Assignment
from bench.worker.auditing import audit_phase
from bench.worker.devices import Device
from bench.worker.meta_testing import test_phase
from bench.worker.meta_training import train_phase
from bench.worker.threads import threads_of
from bench.worker.timing import time_phase


def perform_json(text: str, progress: Progress) -> None:
    """Does the assignment that `Assignment.to_json` has written: in another process."""
    perform(Assignment.from_json(text), progress)


def perform(assignment: Assignment, progress: Progress) -> None:
    """Does it, unless it is done. Whatever a learner raises comes through."""
    device = Device.parse(assignment.device)
    with locked(assignment.folder):
        if assignment.output.exists():
            return
        device.use(threads_of(assignment, device))
        phases = {
            "train": train_phase,
            "audit": audit_phase,
            "test": test_phase,
            "time": time_phase,
        }
        phases[assignment.phase](assignment, device, progress)
