"""Joins results folders: what is in one of them is copied, what is in several is compared.

What was computed on two machines is equal apart from times and environments, where processors,
versions and threads are the same; where it is not, that is said, and the first one is kept.
Nothing is changed in the folders that are read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.api.files import is_file, is_folder
from bench.errors import BenchError
from bench.store import layout
from bench.store.atomic import locked, write_atomically, writing
from bench.store.checked import Json, UnreadableError, missing, read_json

NOT_COMPARED = {"environment", "finished", "overhead", "seconds", "test_seconds",
                "training_seconds", "validation_seconds"}  # fmt: skip
"""When, where and how fast."""

COMPARED = (layout.RESULT, layout.EPISODES, layout.AUDITS)


@dataclass
class Merged:
    """What a merge has done."""

    copied: dict[str, int] = field(default_factory=dict)
    """Trainings and cells taken, by the folder that they are from."""
    equal: int = 0
    """Of those in several folders, how many are the same."""
    different: list[str] = field(default_factory=list)
    """A line for each that is not."""
    left_out: list[str] = field(default_factory=list)
    """A line for each that cannot be read."""


def merge(sources: list[Path], to: Path) -> Merged:
    """Joins results folders.

    Args:
        sources: what is joined; of what is in several of them and done in each, the first is kept.
        to: another folder, which may have results already: they count first.

    Raises:
        BenchError: a source is no results folder, is named twice, or is the one that is written to.
        CannotWriteError: the disk is full, or may not be written to.
    """
    for source in sources:
        if not any(is_folder(source / name) for name in (layout.TRAININGS, layout.CELLS)):
            raise BenchError(f"{source} is no results folder: it has no trainings and no cells")
        if to.exists() and source.samefile(to):
            raise BenchError(f"{source} is both joined and joined in: another -o is meant")
    for number, source in enumerate(sources):
        if any(source.samefile(other) for other in sources[:number]):
            raise BenchError(f"{source} is named twice, or under two names; name each folder once")
    merged = Merged()
    for source in sources:
        merged.copied[str(source)] = 0
        for folder in job_folders(source):
            _take(source, folder, to, merged)
        _take_models(source, to)
    return merged


def job_folders(results: Path) -> Iterator[Path]:
    """The folders of trainings and cells, relative to the results folder."""
    for pattern in (f"{layout.TRAININGS}/*", f"{layout.CELLS}/*/*/*"):
        for folder in sorted(results.glob(pattern)):
            names = folder.relative_to(results).parts
            if folder.is_dir() and not folder.is_symlink() and all(map(layout.is_name, names)):
                yield folder.relative_to(results)


def _take(source: Path, folder: Path, to: Path, merged: Merged) -> None:
    """One training or cell of a source."""
    its, ours = source / folder, to / folder
    theirs, done = _result(its), _result(ours)
    if isinstance(theirs, str):
        merged.left_out.append(f"{its / layout.RESULT} {theirs}")
        return
    if theirs is not None and isinstance(done, dict):
        why = difference(ours, its)
        if why is None:
            merged.equal += 1
        else:
            merged.different.append(f"{folder}: {why}; that of {source} is left out")
            return
    elif theirs is not None or missing(ours):
        with locked(ours):
            _copy_files(its, ours, result_last=True)
        merged.copied[str(source)] += 1
    _copy_timings(its, ours, merged)


def _result(folder: Path) -> Json | str | None:
    """The result in a folder; None where there is none, or why it cannot be read."""
    path = folder / layout.RESULT
    if missing(path):
        return None
    try:
        return read_json(path)
    except UnreadableError as error:
        return str(error)


def _files(folder: Path) -> list[Path]:
    """What belongs to a job: regular files that are not hidden."""
    return [
        path
        for path in sorted(folder.glob("*"))
        if layout.is_name(path.name) and is_file(path) and not path.is_symlink()
    ]


def _copy_files(its: Path, ours: Path, *, result_last: bool) -> None:
    files = sorted(_files(its), key=lambda path: path.name == layout.RESULT)
    names = {path.name for path in files}
    if result_last and layout.RESULT in names:  # a failure of before is none any more
        for stale in (layout.FAILURE, layout.CHECKPOINT):
            if stale not in names and not missing(ours / stale):
                with writing(ours / stale):
                    (ours / stale).unlink()
    for path in files:
        _copy(path, ours / path.name)


def _copy(path: Path, to: Path) -> None:
    with path.open("rb") as content:
        write_atomically(to, lambda file: shutil.copyfileobj(content, file))


def _copy_timings(its: Path, ours: Path, merged: Merged) -> None:
    """Timings of devices that are not there; of one that is, the first is kept."""
    for path in _files(its / layout.TIMINGS) if is_folder(its / layout.TIMINGS) else []:
        to = ours / layout.TIMINGS / path.name
        if missing(to):
            _copy(path, to)
            continue
        names = [_model(path), _model(to)]
        if names[0] != names[1]:
            merged.different.append(f"{to}: timed on {names[1]}; that on {names[0]} is left out")


def _model(timing: Path) -> str | None:
    try:
        return str((read_json(timing).get("environment") or {}).get("device_name"))
    except UnreadableError:
        return None


def _take_models(source: Path, to: Path) -> None:
    """Which GPU model a column of timings is of."""
    for path in _files(source / layout.DEVICES) if is_folder(source / layout.DEVICES) else []:
        if missing(to / layout.DEVICES / path.name):
            _copy(path, to / layout.DEVICES / path.name)


def difference(one: Path, other: Path) -> str | None:
    """What is not the same in two folders of a training or cell; None where all is."""
    for name in COMPARED:
        if missing(one / name) or missing(other / name):
            continue
        try:
            found = _first_difference(read_json(one / name), read_json(other / name))
        except UnreadableError as error:
            return f"{name} {error}"
        if found is not None:
            return f"{name}: {found}"
    return None


def _first_difference(one: Any, other: Any, where: str = "") -> str | None:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other} - NOT_COMPARED):
            found = _first_difference(one.get(key), other.get(key), f"{where}.{key}")
            if found is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            found = _first_difference(*pair, f"{where}[{place}]")
            if found is not None:
                return found
        return None
    if one == other:
        return None
    return f"{where.removeprefix('.')} is {one!r:.60} and {other!r:.60}"
