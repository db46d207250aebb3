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
from bench.worker.devices import Device

Phase = Literal["train", "audit", "test", "time"]


@dataclass(frozen=True)
class Assignment:
    """One thing to do: the `bench.api.Job` of an executor.

    Attributes:
        phase: ``train`` or ``audit`` a training, ``test`` or ``time`` a cell.
        training: the training; a cell's own.
        cell: the cell; None when it is about a training.
        results: the results folder.
        folders: where data lies.
        device: the place to do it, by name: one of the training's kind, for a timing any.
        threads: CPU threads of a training that begins with it; None: those of the device.
    """

    phase: Phase
    training: Training
    cell: Cell | None
    results: Path
    folders: DataFolders
    device: str
    threads: int | None = None

    @property
    def folder(self) -> Path:
        """The job's folder."""
        job = self.cell or self.training
        return job.folder(self.results)

    @property
    def output(self) -> Path:
        """The file whose presence means that it is done."""
        if self.phase == "time":
            return layout.timing_file(self.folder, Device.parse(self.device).name)
        if self.phase == "audit":
            return self.folder / layout.AUDITS
        return self.folder / layout.RESULT

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return self.output.exists()

    @property
    def log(self) -> Path:
        """The file for what its process prints."""
        return self.folder / layout.LOG

    @property
    def failure(self) -> Path:
        """The file that says why it failed."""
        return layout.failure_file(self.output)

    def perform(self, progress: Progress) -> None:
        """Does it, in this process; see `bench.worker.perform.perform`."""
        from bench.worker.perform import perform

        perform(self, progress)

    def to_json(self) -> str:
        """All of it. Infinities and NaN in a learner's options are written as Python does it, and
        not as null, which JSON has for them."""
        return json.dumps(_adapter().dump_python(self), default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Assignment:
        """The inverse of `to_json`.

        Raises:
            pydantic.ValidationError: it is no assignment.
        """
        return _adapter().validate_python(json.loads(text))


def _plain(value: Any) -> Any:
    """What JSON has for a path, or for an option that is one of an enumeration."""
    return value.value if isinstance(value, Enum) else str(value)


@cache
def _adapter() -> TypeAdapter[Assignment]:
    return TypeAdapter(Assignment)
