"""Whether a file of a training or a cell is whole, told by its name and without torch."""

from __future__ import annotations

import zipfile
from pathlib import Path

from bench.api.files import is_file
from bench.store import layout
from bench.store.checked import Json, UnreadableError, missing, read_json, read_record
from bench.store.files import check_scores
from bench.store.records import (
    AuditResult,
    CellResult,
    Failure,
    Record,
    TimedOn,
    TimingResult,
    TrainingResult,
    TrainingStart,
)

RECORDS: dict[str, type[Record]] = {
    layout.STARTED: TrainingStart,
    layout.AUDITS: AuditResult,
    layout.FAILURE: Failure,
    layout.failure_file(Path(layout.AUDITS)).name: Failure,
}
"""What is in a file, by its name."""

ARCHIVES = {".pt", ".npz"}
"""Files that are zip archives, with a checksum for each of their members."""


def read_result(folder: Path) -> Json | None:
    """The result of a training or cell; None where there is none.

    Args:
        folder: of the training, or of the cell, in a results folder.

    Raises:
        UnreadableError: it is damaged, or of another training or cell.
    """
    path = folder / layout.RESULT
    if missing(path):
        return None
    training = folder.parent.name == layout.TRAININGS
    model = TrainingResult if training else CellResult
    return read_record(path, model, ("id", folder.name.rpartition("-")[2]))


def damage(path: Path, result: Json | None) -> str | None:
    """Why a file is of no use; None where it is whole, or a text of which nobody can say.

    Args:
        path: a file of a training or cell other than its result, of its timings, or of the GPU
            models.
        result: the result beside it, which says whose scores they are; None: there is none.
    """
    try:
        _read(path, result)
    except UnreadableError as error:
        return str(error)
    return None


def _read(path: Path, result: Json | None) -> None:
    if missing(path):
        raise UnreadableError("is missing")
    if not is_file(path):
        raise UnreadableError("is no file")
    if path.suffix in ARCHIVES:
        _read_archive(path)
    elif path.name == layout.EPISODES and result is not None:
        measure = result.get("measure") or {}
        check_scores(path, result["bank"], result["episodes"], measure.get("metric"))
    elif path.suffix == ".json":
        model = RECORDS.get(path.name)
        if path.parent.name == layout.TIMINGS:
            model = Failure if path.name.endswith(f".{layout.FAILURE}") else TimingResult
        elif path.parent.name == layout.DEVICES:
            model = TimedOn
        if model is None:
            read_json(path)
        else:
            read_record(path, model)


def _read_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except Exception as error:  # zipfile and zlib raise many kinds
        raise UnreadableError(f"is damaged ({error})") from error
    if wrong is not None:
        raise UnreadableError(f"is damaged: {wrong} in it is not what was written")
