"""One unit of work: what is in it, and whether anything of it is left to do."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench.api.dataset import DataFolders
from bench.api.executor import Limits
from bench.planning.jobs import Cell, Training
from bench.store import layout
from bench.store.checked import UnreadableError, missing, read_record
from bench.store.records import Failure, TrainingResult
from bench.worker.assignment import Assignment
from bench.worker.devices import Device

GroupKind = Literal["train", "time"]


@dataclass(frozen=True)
class Frame:
    """What the groups of a plan have in common.

    Attributes:
        results: the results folder.
        folders: where data lies.
        plan: the file that has the plan, if it is written down.
        limits: of each process.
        store: what tests store beside their results; see `bench.worker.assignment.ANSWERS`.
        tracker: who is told how trainings go, by the name of an entry point; or nobody.
    """

    results: Path
    folders: DataFolders
    plan: Path
    limits: Limits = field(default_factory=Limits)
    store: tuple[str, ...] = ()
    tracker: str = ""


@dataclass(frozen=True)
class Group:
    """A training with its tests and audit, or the timings of its cells on one device: the
    `bench.api.Group` of an executor.

    Attributes:
        index: its place in the plan.
        kind: ``train`` or ``time``.
        training: the training.
        cells: what is tested with it, or timed.
        device: the device, by name.
        threads: CPU threads of a training that begins with it; None: those of the device.
        source: hash of the learner's code, when the run was planned; None: it was not looked at.
        frame: what it shares with others.
    """

    index: int
    kind: GroupKind
    training: Training
    cells: tuple[Cell, ...]
    device: str
    threads: int | None
    source: str | None
    frame: Frame

    def __post_init__(self) -> None:
        for job in (self.training, *self.cells):
            job.keep_id()

    @cached_property
    def name(self) -> str:
        """See `bench.api.Group.name`."""
        folder = self.training.folder(Path()).name
        if self.kind == "train":
            return f"train-{folder}"
        return f"time-{layout.timing_file(Path(), self.device).stem}-{folder}"

    @property
    def plan(self) -> Path:
        """See `bench.api.Group.plan`."""
        return self.frame.plan

    @property
    def command(self) -> list[str]:
        """See `bench.api.Group.command`."""
        program = [sys.executable, "-P", "-m", "bench.cli", "work"]
        return [*program, str(self.plan), "--index", str(self.index)]

    def carry_out(
        self,
        tell: Callable[[Any], object],
        cancelled: threading.Event,
        *,
        here: bool = False,
        environment: Mapping[str, str] | None = None,
        patience: float = 0.0,
    ) -> None:
        """See `bench.api.Group.carry_out`."""
        from bench.groups.carrying import Processes, carry_out_group

        how = Processes(here, environment or {}, patience)
        carry_out_group(self, tell, cancelled, how)

    # -- its parts --------------------------------------------------------------------------------

    def train(self) -> Assignment:
        """The meta-training."""
        return self._assignment("train", None)

    def test(self, cell: Cell) -> Assignment:
        """The meta-test of a cell."""
        return self._assignment("test", cell)

    def audit(self) -> Assignment:
        """The audits."""
        return self._assignment("audit", None)

    def time(self, cell: Cell) -> Assignment:
        """The timing of a cell."""
        return self._assignment("time", cell)

    def parts(self) -> list[Assignment]:
        """All of them, in the order in which they are carried out."""
        if self.kind == "time":
            return [self.time(cell) for cell in self.cells]
        return [self.train(), *map(self.test, self.cells), self.audit()]

    def _assignment(self, phase: Any, cell: Cell | None) -> Assignment:
        frame = self.frame
        threads = None if phase == "time" else self.threads
        store = frame.store if phase == "test" and self.has_weights() else ()
        return Assignment(
            phase, self.training, cell, frame.results, frame.folders, self.device, threads,
            self.source, store, frame.tracker if phase == "train" else "",
        )  # fmt: skip

    # -- what is left to do -----------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """See `bench.api.Group.settled`. Nothing is changed by asking."""
        if self.kind == "time":
            return not any(map(self.to_time, self.cells))
        if any(map(self.wanted, self.cells)) or self.training.damaged(self.frame.results):
            return False
        if self.frame.store and not all(test.done or test.failed for test in self._tests()):
            return False
        audit = self.audit()
        return audit.done or audit.failed or not self.auditable()

    @property
    def pending(self) -> bool:
        """Whether something is left to do, or will be once the trainings have ended."""
        if self.kind == "train":
            return not self.settled
        open_ones = [cell for cell in self.cells if not self._timed(cell)]
        return any(self.to_time(cell) or self.wanted(cell) for cell in open_ones)

    def _tests(self) -> list[Assignment]:
        return [self.test(cell) for cell in self.cells]

    def _timed(self, cell: Cell) -> bool:
        timing = self.time(cell)
        return timing.done or timing.failed

    def wanted(self, cell: Cell) -> bool:
        """Whether a cell is to be computed: a failure is kept, unless its training was the reason
        and has no failure any more."""
        results = self.frame.results
        status = cell.status(results)
        if status != "failed":
            return status == "unfinished"
        try:
            failure = read_record(cell.folder(results) / layout.FAILURE, Failure)
        except UnreadableError:  # another run has removed it at this moment
            return True
        return failure["kind"] == "training" and self.training.failure(results) is None

    def to_time(self, cell: Cell) -> bool:
        """Whether a cell is to be timed: where it is done, and its training's weights are there."""
        if self._timed(cell) or not self.has_weights():
            return False
        return cell.status(self.frame.results) == "done"

    def stands(self) -> tuple[int, list[bool]]:
        """What has been done of it: it is another thing once it has got on."""
        checkpoint = self.train().folder / layout.CHECKPOINT
        try:
            stored = checkpoint.stat().st_mtime_ns
        except OSError:
            stored = 0
        return stored, [part.done or part.failed for part in self.parts()]

    def has_weights(self) -> bool:
        """Whether the training can be looked at again: reference results come without weights."""
        weights = self.training.folder(self.frame.results) / layout.WEIGHTS
        return self.training.budget is None or not missing(weights)

    def auditable(self) -> bool:
        """Whether the training's weights are there, and the learner's code is what they were
        trained with."""
        if self.training.status(self.frame.results) != "done" or not self.has_weights():
            return False
        path = self.training.folder(self.frame.results) / layout.RESULT
        try:
            trained_with = read_record(path, TrainingResult)["source"]
        except UnreadableError:  # written anew at this moment
            return False
        return bool(trained_with == self.source)

    @property
    def place(self) -> Device:
        """Its device."""
        return Device.parse(self.device)
