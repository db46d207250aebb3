"""What was submitted to a queue, as it is remembered: written before it is submitted, so that
nothing is submitted twice, whenever the one that submits is killed."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from bench.store.atomic import write_atomically, write_json
from bench.store.checked import UnreadableError, read_json
from bench.store.records import Record

ARRAYS = "arrays"


class Array(Record):
    """An array of jobs. Its files lie in ``arrays/`` of the folder of a run."""

    name: str
    """Of the job; no other has it."""
    job: str | None
    """Its number; None: it was about to be submitted."""
    groups: tuple[str, ...]
    """Name of the group of each task, from task 0 on."""
    indexes: tuple[int, ...]
    """Its place in the plan."""

    def submitted(self, job: str) -> Array:
        """The same, with its number."""
        return self.model_copy(update={"job": job})

    def script(self, run: Path) -> Path:
        """The script of its jobs."""
        return run / ARRAYS / f"{self.name}.sh"

    def indexes_file(self, run: Path) -> Path:
        """A place in the plan for each line."""
        return run / ARRAYS / f"{self.name}.txt"


def write_array(run: Path, array: Array, script: str) -> None:
    """Remembers an array, with the files that its jobs read."""
    numbers = "".join(f"{index}\n" for index in array.indexes)
    write_atomically(array.indexes_file(run), lambda file: file.write(numbers.encode()))
    write_atomically(array.script(run), lambda file: file.write(os.fsencode(script)))
    write_json(run / ARRAYS / f"{array.name}.json", array)


def read_arrays(run: Path) -> list[Array]:
    """All that were remembered, the oldest first."""
    found = []
    files = sorted((run / ARRAYS).glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    for file in files:
        try:
            found.append(Array.model_validate(read_json(file)))
        except (UnreadableError, ValidationError):  # half of it is of no use
            continue
    return found
