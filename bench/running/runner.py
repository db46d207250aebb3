"""`bench run`: makes the asked cells exist. What is there already is not computed again."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.api.dataset import DataFolders, Notify
from bench.api.executor import Cancelled, Executor
from bench.planning.jobs import Cell, Plan, Training, describe
from bench.running.request import Request
from bench.store import layout
from bench.store.atomic import clear, lock_file, write_json, writing
from bench.store.checked import UnreadableError, missing, read_record, record_part, set_aside
from bench.store.records import Failure, TrainingResult
from bench.worker.assignment import Assignment, Phase
from bench.worker.devices import Device, cores
from bench.worker.environment import now

Kind = Literal["error", "exit", "timeout", "memory", "training"]
EventKind = Literal["start", "progress", "done", "failed", "kept"]


@dataclass(frozen=True)
class Event:
    """Something that happened to an assignment.

    Attributes:
        kind: ``kept`` means that it was done (or had failed) before.
        assignment: what it happened to.
        details: of ``progress``: fraction, updates, loss, ...; of ``failed``: reason.
    """

    kind: EventKind
    assignment: Assignment
    details: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], object]


@dataclass
class Runner:
    """Carries out a plan: trainings with their cells and audits side by side, then the timings one
    by one.

    Args:
        request: how they are to be carried out.
        plan: the cells that must exist.
        executor: what carries them out.
        results: the results folder.
        folders: where data lies.
        places: the devices: trains and tests on the first, times every cell on each.
        listener: told what happens, from any thread.
        notify: told what the user should know, from any thread: what was found damaged.
    """

    request: Request
    plan: Plan
    executor: Executor
    results: Path
    folders: DataFolders
    places: Sequence[Device]
    listener: Listener = lambda event: None
    notify: Notify = lambda message: None

    def __post_init__(self) -> None:
        self._cancelled = threading.Event()
        self._weights_seen: set[str] = set()
        self.prepared = False
        """Whether what is to be computed again is removed: to go on, nobody has to ask for that
        once more."""

    @property
    def threads(self) -> int:
        """CPU threads of a training that begins now."""
        return self.asked_threads or max(1, cores() // self.request.jobs)

    @property
    def asked_threads(self) -> int | None:
        """The same, where a number of them was asked for."""
        return self.request.threads or self.places[0].threads

    def run(self) -> None:
        """Returns when every cell is done or has failed.

        Raises:
            KeyboardInterrupt: after everything has stopped; the same run goes on from there.
            BenchError: the disk is full or may not be written to, or holds what a newer version
                of bench has made.
        """
        jobs: list[Training | Cell] = [*self.plan.trainings, *self.plan.cells]
        for job in jobs:
            self._prepare(job)
        self.prepared = True
        with self._pool(self.request.jobs) as pool:
            self._await(
                [pool.submit(self._train_and_test, cells) for cells in by_training(self.plan)]
            )
        with self._pool(1) as pool:
            self._await([pool.submit(self._time_all)])

    @contextmanager
    def _pool(self, workers: int) -> Iterator[ThreadPoolExecutor]:
        """Threads that Ctrl-C stops wherever it comes, and so does an error of the harness."""
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield pool
            except BaseException:
                self._cancelled.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _await(self, futures: Sequence[Future[None]]) -> None:
        """Waits for all, and raises what the first of them has raised."""
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def _prepare(self, job: Training | Cell) -> None:
        """Removes what is to be computed again, and writes down what is asked for."""
        folder = job.folder(self.results)
        if self.request.rerun:
            if not clear(folder):
                self.notify(f"{folder}: another process works in it; what that makes is kept")
        elif folder.exists():
            for path in list(layout.failures(folder)):
                why = record_part(path, Failure).damage()
                with writing(path):
                    if self.request.retry_failed:
                        path.unlink(missing_ok=True)
                    elif why is not None:
                        self.notify(f"{path}: {why}; it is set aside")
                        set_aside(path)
        describe(job, self.results)

    def _train_and_test(self, cells: list[Cell]) -> None:
        """One training, what is tested with it, and its audits."""
        training = cells[0].training
        wanted = [cell for cell in cells if self._wanted(cell)]
        if wanted or training.damaged(self.results):
            self._look_at_weights(training)
            self._carry_out(self._assignment("train", training))
        self._test(training, cells, wanted)
        audit = self._assignment("audit", training)
        if self._auditable(training):
            self._carry_out(audit)
        else:
            self.listener(Event("kept", audit))

    def _test(self, training: Training, cells: list[Cell], wanted: list[Cell]) -> None:
        reason = training.failure(self.results)
        for cell in cells:
            assignment = self._assignment("test", training, cell)
            if reason is None or cell not in wanted:
                self._carry_out(assignment)
            else:
                self._fail(assignment, "training", f"its training failed: {reason}")

    def _wanted(self, cell: Cell) -> bool:
        """Whether a cell is to be computed: a failure is kept, unless its training was the reason
        and has no failure any more."""
        status = cell.status(self.results)
        if status != "failed":
            return status == "unfinished"
        path = cell.folder(self.results) / layout.FAILURE
        failure = read_record(path, Failure)
        if failure["kind"] == "training" and cell.training.failure(self.results) is None:
            with writing(path):
                path.unlink(missing_ok=True)
            return True
        return False

    def _look_at_weights(self, training: Training) -> None:
        """Damaged weights are as if it had not been trained: nothing else makes them again. Each
        training is looked at once, and only where something is to be computed with it."""
        if training.id in self._weights_seen or not self._has_weights(training):
            return
        self._weights_seen.add(training.id)
        folder = training.folder(self.results)
        if training.budget is None or training.status(self.results) != "done":
            return
        from bench.worker.checkpoints import best_weights  # needs torch

        weights = folder / layout.WEIGHTS
        try:
            best_weights(folder)
        except UnreadableError as error:
            with lock_file(folder) as lock, writing(weights):
                if lock(False):  # else another process makes them at this moment
                    self.notify(f"{weights} {error}: it is set aside, and trained again")
                    set_aside(weights)
                    set_aside(folder / layout.RESULT)

    def _time_all(self) -> None:
        for cell in self.plan.cells:
            if cell.status(self.results) == "done":
                for place in self.places:
                    assignment = self._assignment("time", cell.training, cell, place)
                    if self._has_weights(cell.training):
                        self._carry_out(assignment)

    def _has_weights(self, training: Training) -> bool:
        """Whether it can be looked at again: reference results come without weights."""
        weights = training.folder(self.results) / layout.WEIGHTS
        return training.budget is None or not missing(weights)

    def _auditable(self, training: Training) -> bool:
        """Whether its weights are there, and the learner's code is what they were trained with."""
        if training.status(self.results) != "done" or not self._has_weights(training):
            return False
        path = training.folder(self.results) / layout.RESULT
        trained_with = read_record(path, TrainingResult)["source"]
        return bool(trained_with == self.plan.sources.get(training.learner_name))

    def _assignment(
        self,
        phase: Phase,
        training: Training,
        cell: Cell | None = None,
        place: Device | None = None,
    ) -> Assignment:
        where = (place or self.places[0]).name
        threads = None if phase == "time" else self.threads
        store = tuple(self.request.store) if phase == "test" and self._has_weights(training) else ()
        tracker = self.request.tracker if phase == "train" else ""
        asked = (self.results, self.folders, where, threads, store, tracker)
        return Assignment(phase, training, cell, *asked)

    def _carry_out(self, assignment: Assignment) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if assignment.done or assignment.failed:
            self.listener(Event("kept", assignment))
            return
        for path, reason in assignment.damaged():
            self.notify(f"{path}: {reason}; it is computed again")
        if assignment.phase != "train":
            self._ready(assignment.training)
        self.listener(Event("start", assignment))
        ended = self.executor.run(
            assignment,
            lambda details: self.listener(Event("progress", assignment, details)),
            self._cancelled,
        )
        if ended is None:
            if assignment.phase == "train":  # written a moment ago
                self._weights_seen.add(assignment.training.id)
            self.listener(Event("done", assignment))
        else:
            self._fail(assignment, ended.kind, ended.reason, ended.traceback)

    def _ready(self, training: Training) -> None:
        """Another run may have removed it since, or something may have damaged its weights."""
        self._look_at_weights(training)
        if training.status(self.results) == "unfinished":
            self._carry_out(self._assignment("train", training))

    def _fail(
        self, assignment: Assignment, kind: Kind, reason: str, traceback: str | None = None
    ) -> None:
        if assignment.done:  # by another process, in the meantime
            self.listener(Event("done", assignment))
            return
        failure = Failure(
            kind=kind, reason=reason, traceback=traceback, phase=assignment.phase, finished=now()
        )
        write_json(assignment.failure, failure)
        self.listener(Event("failed", assignment, {"reason": reason}))


def by_training(plan: Plan) -> list[list[Cell]]:
    """The cells of each training."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in plan.cells:
        groups[cell.training.id].append(cell)
    return list(groups.values())


def statuses(plan: Plan, results: Path) -> dict[str, int]:
    """How many cells of a plan are done, failed and unfinished."""
    counts = {"done": 0, "failed": 0, "unfinished": 0}
    for job in plan.cells:
        counts[job.status(results)] += 1
    return counts
