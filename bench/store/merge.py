"""Joins results folders: what is in one of them is copied, what is in several is compared.

What was computed on two machines is equal apart from times and environments, where processors,
versions and threads are the same; where it is not, that is said, and the first one is kept. Of what
is equal, a file that the first one lacks or has damaged is taken from another that has it whole: a
copy may be partial, and come without weights or answers. Nothing is changed in the folders that are
read.
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
from bench.store.checked import (
    DAMAGED,
    Json,
    UnreadableError,
    missing,
    read_json,
    set_aside,
)
from bench.store.whole import damage, read_result

NOT_COMPARED = {"compile_seconds", "environment", "finished", "overhead", "seconds", "suite_file",
                "test_seconds", "training_seconds", "validation_seconds"}  # fmt: skip
"""When, where and how fast, and from where it was asked for."""

COMPARED = (layout.RESULT, layout.EPISODES, layout.AUDITS)


@dataclass
class Merged:
    """What a merge has done."""

    copied: dict[str, int] = field(default_factory=dict)
    """Trainings and cells taken, by the folder that they are from."""
    equal: int = 0
    """Of those in several folders, how many are the same."""
    completed: int = 0
    """Of how many something was taken that an earlier folder lacked or had damaged."""
    different: list[str] = field(default_factory=list)
    """A line for each that is not."""
    left_out: list[str] = field(default_factory=list)
    """A line for each, and for each file, that cannot be read."""


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
        _take_models(source, to, merged)
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
        why = _first_difference(done, theirs)
        if why is None:
            merged.completed += _complete(its, ours, done, merged)
            why = difference(ours, its)
        else:
            why = f"{layout.RESULT}: {why}"
        if why is None:
            merged.equal += 1
        else:
            merged.different.append(f"{folder}: {why}; that of {source} is left out")
    elif theirs is not None or missing(ours) or (done is None and _begun(its, ours)):
        new = theirs is not None or missing(ours)
        with locked(ours):
            # Whoever held the lock until now may have finished it.
            same = _result(ours) == done
            if same and new:
                _replace(its, ours, theirs, merged)
            elif same:
                merged.completed += _go_on(its, ours, merged)
        if not same:
            _take(source, folder, to, merged)
            return
        merged.copied[str(source)] += new
    _copy_timings(its, ours, merged)


def _result(folder: Path) -> Json | str | None:
    """The result in a folder; None where there is none, or why it cannot be read."""
    try:
        return read_result(folder)
    except UnreadableError as error:
        return str(error)


def _files(folder: Path) -> list[Path]:
    """What belongs to a job, the result last: regular files that are not hidden, and were not set
    aside as damaged."""
    found = [
        path
        for path in sorted(folder.glob("*"))
        if layout.is_name(path.name)
        and path.suffix != DAMAGED
        and is_file(path)
        and not path.is_symlink()
    ]
    return sorted(found, key=lambda path: path.name == layout.RESULT)


def _replace(its: Path, ours: Path, result: Json | None, merged: Merged) -> None:
    """All that is whole of theirs takes the place of ours, which is not there or not finished."""
    files = _files(its)
    names = {path.name for path in files}
    if result is not None and missing(ours / layout.RESULT):
        # A failure of before is none any more, and what a training had made half is not the
        # result's: weights that it comes without are not those of an unfinished one.
        for stale in _files(ours):
            if stale.name != layout.LOG or layout.LOG in names:
                with writing(stale):
                    stale.unlink()
    for path in files:
        if path.name == layout.RESULT:  # read already
            _copy(path, ours / path.name)
        elif path.name == layout.WEIGHTS and (why := damage(path, result)) is not None:
            # A run that finds damaged weights trains again; without any it could only fail.
            merged.left_out.append(f"{path} {why}; it is copied as it is")
            _copy(path, ours / path.name)
        else:
            _copy_whole(path, ours / path.name, result, merged)


def _complete(its: Path, ours: Path, result: Json, merged: Merged) -> bool:
    """Takes what ours lacks, or has damaged, of what has the same result; says whether something
    was."""
    skipped = {layout.RESULT, layout.FAILURE, layout.CHECKPOINT, layout.LOG}
    wanted = []
    for path in _files(its):
        to = ours / path.name
        if path.name in skipped or (_is_failure(path) and not missing(_output(to))):
            continue
        if damage(to, result) is not None:
            wanted.append(path)
        elif path.name in COMPARED and (why := damage(path, result)) is not None:
            merged.left_out.append(f"{path} {why}")
    if not wanted:
        return False
    with locked(ours):
        return _take_wanted(wanted, ours, result, merged)


def _begun(its: Path, ours: Path) -> bool:
    """Whether theirs, which is as unfinished as ours, may have something that ours lacks."""
    names = (layout.TRAINING, layout.CELL, layout.FAILURE, layout.LOG, layout.CHECKPOINT)
    there = {path.name for path in _files(its)}
    return any(name in there and damage(ours / name, None) is not None for name in names)


def _go_on(its: Path, ours: Path, merged: Merged) -> bool:
    """Of what is unfinished in both: the failure that ours lacks, and the checkpoint, with the
    weights and the number of threads that belong to it; says whether something was taken."""
    wanted = [
        its / name
        for name in (layout.TRAINING, layout.CELL, layout.FAILURE, layout.LOG)
        if damage(ours / name, None) is not None
    ]
    if damage(ours / layout.CHECKPOINT, None) is not None:
        weights = its / layout.WEIGHTS
        usable = missing(weights) or damage(weights, None) is None  # else it would end with none
        if usable and damage(its / layout.CHECKPOINT, None) is None:
            wanted += [its / name for name in (layout.STARTED, layout.WEIGHTS, layout.CHECKPOINT)]
        else:
            merged.left_out += [
                f"{path} {why}"
                for path in (its / layout.CHECKPOINT, weights)
                if not missing(path) and (why := damage(path, None)) is not None
            ]
    there = set(_files(its))
    return _take_wanted([path for path in wanted if path in there], ours, None, merged)


def _take_wanted(wanted: list[Path], ours: Path, result: Json | None, merged: Merged) -> bool:
    taken = [_copy_whole(path, ours / path.name, result, merged) for path in wanted]
    return any(taken)


def _copy_whole(path: Path, to: Path, result: Json | None, merged: Merged) -> bool:
    """Copies a file, unless it is damaged: then that is said. Damaged ones of ours are kept beside
    it."""
    why = damage(path, result)
    if why is not None:
        merged.left_out.append(f"{path} {why}")
        return False
    if not missing(to) and damage(to, result) is not None:
        with writing(to):
            set_aside(to)
    _copy(path, to)
    failure = layout.failure_file(to)
    if to.suffix == ".json" and not _is_failure(to) and not missing(failure):
        with writing(failure):
            failure.unlink()
    return True


def _is_failure(path: Path) -> bool:
    return path.name == layout.FAILURE or path.name.endswith(f".{layout.FAILURE}")


def _output(failure: Path) -> Path:
    """What could not be made, by the name of what says so; the inverse of `layout.failure_file`."""
    if failure.name == layout.FAILURE:
        return failure.with_name(layout.RESULT)
    return failure.with_name(failure.name.removesuffix(layout.FAILURE) + "json")


def _copy(path: Path, to: Path) -> None:
    with path.open("rb") as content:
        write_atomically(to, lambda file: shutil.copyfileobj(content, file))


def _copy_timings(its: Path, ours: Path, merged: Merged) -> None:
    """Timings of devices that are not there, or damaged; of one that is, the first is kept. None of
    other code than the result that is kept: nothing beside it would say so."""
    code = _source(ours / layout.RESULT)
    for path in _files(its / layout.TIMINGS) if is_folder(its / layout.TIMINGS) else []:
        to = ours / layout.TIMINGS / path.name
        if _is_failure(path) and not missing(_output(to)):
            continue
        if code is not None and (_source(path) or code) != code:
            merged.different.append(f"{to}: {path} is of other code of the learner, and left out")
        elif damage(to, None) is not None:
            _copy_whole(path, to, None, merged)
        elif (why := damage(path, None)) is not None:
            merged.left_out.append(f"{path} {why}")
        elif not _is_failure(path) and (other := _model(path)) != (model := _model(to)):
            merged.different.append(f"{to}: timed on {model}; that on {other} is left out")


def _source(path: Path) -> str | None:
    """The hash of the learner's code in a file; None where it has none, or cannot be read."""
    try:
        return read_json(path).get("source")
    except UnreadableError:
        return None


def _model(timing: Path) -> str:
    return str(read_json(timing)["environment"]["device_name"])


def _take_models(source: Path, to: Path, merged: Merged) -> None:
    """Which GPU model a column of timings is of."""
    for path in _files(source / layout.DEVICES) if is_folder(source / layout.DEVICES) else []:
        ours = to / layout.DEVICES / path.name
        if damage(ours, None) is not None:
            _copy_whole(path, ours, None, merged)


def difference(one: Path, other: Path) -> str | None:
    """What is not the same in two folders of a training or cell, of what both of them have whole;
    None where all is."""
    for name in COMPARED:
        try:
            found = _first_difference(read_json(one / name), read_json(other / name))
        except UnreadableError:  # missing or damaged in one of them: there is nothing to compare
            continue
        if found is not None:
            return f"{name}: {found}"
    return None


def _first_difference(one: Any, other: Any, where: str = "") -> str | None:
    pairs: list[tuple[str, Any, Any]] = []
    match one, other:
        case {"file": str(), "sha256": str(content)}, {"file": str(), "sha256": str(same)}:
            # An option that names a file counts by what is in it, wherever that lies.
            pairs = [(f"{where}.sha256", content, same)]
        case dict(), dict():
            keys = sorted({*one, *other} - NOT_COMPARED)
            pairs = [(f"{where}.{key}", one.get(key), other.get(key)) for key in keys]
        case list(), list() if len(one) == len(other):
            zipped = zip(one, other, strict=True)
            pairs = [(f"{where}[{place}]", *pair) for place, pair in enumerate(zipped)]
        case _ if one != other:
            return f"{where.removeprefix('.')} is {one!r:.60} and {other!r:.60}"
    for name, ours, theirs in pairs:
        found = _first_difference(ours, theirs, name)
        if found is not None:
            return found
    return None
