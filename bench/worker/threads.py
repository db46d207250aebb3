"""CPU threads of a training: chosen when it begins, and kept.

How a sum is split among threads decides its last bits, and a meta-training makes another result of
them. So a training has one number of threads, from its first update to its audits and tests,
however often it is interrupted and whatever else runs beside it. Only a timing has a number of its
own: that of the place which is timed.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bench.planning.jobs import Training
from bench.store import layout
from bench.store.atomic import write_json
from bench.store.checked import UnreadableError, read_record
from bench.store.records import TrainingResult, TrainingStart
from bench.worker.assignment import Assignment
from bench.worker.devices import Device, cores
from bench.worker.environment import now


def begun_with(training: Training, results: Path) -> int | None:
    """The threads of a training that is finished or has begun; None where it has not."""
    folder = training.folder(results)
    for name, model in ((layout.RESULT, TrainingResult), (layout.STARTED, TrainingStart)):
        with contextlib.suppress(UnreadableError):  # not there, or of no use
            record = read_record(folder / name, model)
            # an older version says it of the environment only
            return int(record.get("threads") or record["environment"]["threads"])
    return None


def threads_of(assignment: Assignment, device: Device) -> int:
    """The threads to carry out an assignment with; written down where a training begins with it."""
    if assignment.phase == "time":
        return device.threads or cores()
    begun = begun_with(assignment.training, assignment.results)
    if begun is not None:
        return begun
    threads = assignment.threads or device.threads or cores()
    if assignment.phase == "train":
        start = TrainingStart(threads=threads, device=device.name, started=now())
        write_json(assignment.folder / layout.STARTED, start)
    return threads
