"""One thing for a worker to do, and the files that say how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from bench.api.dataset import DataFolders
from bench.api.executor import Progress
from bench.planning.jobs import Cell, Training
from bench.store import layout
from bench.store.atomic import writing
from bench.store.checked import (
    Part,
    Problem,
    UnreadableError,
    missing,
    read_json,
    record_part,
    set_aside,
)
from bench.store.records import AuditResult, Failure, TimingResult
from bench.worker.devices import Device

Phase = Literal["train", "audit", "test", "time"]
ANSWERS = "answers"
"""What a test may be asked to store beside its result: each answer."""


@dataclass(frozen=True)
class Assignment:
    """One thing to do: a part of a group.

    Attributes:
        phase: ``train`` or ``audit`` a training, ``test`` or ``time`` a cell.
        training: the training; a cell's own.
        cell: the cell; None when it is about a training.
        results: the results folder.
        folders: where data lies.
        device: the place to do it, by name: one of the training's kind, for a timing any.
        threads: CPU threads of a training that begins with it; None: those of the device.
        source: hash of the learner's code when the run was planned; None: any will do.
        store: of a test, what is stored beside its result: `ANSWERS`, or nothing.
        tracker: of a training, who is told how it goes, by the name of an entry point; or nobody.
    """

    phase: Phase
    training: Training
    cell: Cell | None
    results: Path
    folders: DataFolders
    device: str
    threads: int | None = None
    source: str | None = None
    store: tuple[str, ...] = ()
    tracker: str = ""

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return self._job.folder(self.results)

    @property
    def output(self) -> Path:
        """The file that is written last; `done` says whether it is whole."""
        if self.phase == "time":
            return layout.timing_file(self.folder, Device.parse(self.device).name)
        if self.phase == "audit":
            return self.folder / layout.AUDITS
        return self.folder / layout.RESULT

    @property
    def log(self) -> Path:
        """The file for what its process prints."""
        return self.folder / layout.LOG

    @property
    def failure(self) -> Path:
        """The file that says why it failed."""
        return layout.failure_file(self.output)

    @property
    def done(self) -> bool:
        """Whether its result is there, whole and its own."""
        if self.phase in {"train", "test"}:
            lacks = ANSWERS in self.store and missing(self.folder / layout.ANSWERS)
            return self._job.status(self.results) == "done" and not lacks
        return self._part().damage() is None

    @property
    def failed(self) -> bool:
        """Whether it is said why there is none."""
        return record_part(self.failure, Failure).damage() is None

    def reason(self) -> str:
        """Why there is none."""
        try:
            return str(read_json(self.failure, Failure)["reason"])
        except (UnreadableError, KeyError):  # removed since
            return "unknown"

    def damaged(self) -> list[Problem]:
        """What was made of it and is of no use."""
        if self.phase in {"train", "test"}:
            return self._job.damaged(self.results)
        why = None if missing(self.output) else self._part().damage()
        return [] if why is None else [Problem(str(self.output), why)]

    def set_damaged_aside(self) -> None:
        """Makes room for another result: one that stands on damaged files is none."""
        damaged = {Path(problem.path) for problem in self.damaged()}
        for path in {*damaged, self.output} if damaged else ():
            if not missing(path):
                with writing(path):
                    set_aside(path)

    def _part(self) -> Part:
        if self.phase == "audit":
            return record_part(self.output, AuditResult, training=self.training.id)
        return record_part(self.output, TimingResult, device=Device.parse(self.device).name)

    @property
    def _job(self) -> Training | Cell:
        return self.cell or self.training

    def perform(self, progress: Progress) -> None:
        """Does it, in this process; see `bench.worker.perform.perform`."""
        from bench.worker.perform import perform

        perform(self, progress)

    def to_json(self) -> str:
        """All of it. Infinities and NaN in a learner's options are written as Python does it, and
        not as null, which JSON has for them."""
        return json.dumps(_adapter().dump_python(self), default=plain)

    @classmethod
    def from_json(cls, text: str) -> Assignment:
        """The inverse of `to_json`.

        Raises:
            pydantic.ValidationError: it is no assignment.
        """
        return _adapter().validate_python(json.loads(text))


def plain(value: Any) -> Any:
    """What JSON has for a path, a set, or an option that is one of an enumeration.

    Raises:
        TypeError: anything else: its text would be read back as something else.
    """
    match value:
        case Path():
            return str(value)
        case Enum():
            return value.value
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"an assignment cannot hold a {type(value).__name__}")


@cache
def _adapter() -> TypeAdapter[Assignment]:
    return TypeAdapter(Assignment)
