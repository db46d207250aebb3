"""The classes of each phase of data of the user's own, in every form that a split may have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.class_folder import ClassFolder, list_folder
from bench.data.class_splits import split_by_fraction, split_by_list
from bench.data.own_data import own_source
from bench.data.split_files import PHASES, listed_classes, phase_files, read_image_lists
from bench.episodes.words import seeded_order
from bench.errors import BenchError
from bench.suites.paths import ARRAYS, FOLDER, FOLDERS
from bench.suites.schema import Fractions, Suite

Parts = Mapping[str, list[str]]


@dataclass(frozen=True)
class OwnClasses:
    """Data of the user's own, split.

    Attributes:
        classes: how it is loaded.
        split: the name of the split; a list's content is in it.
        notes: what the user should know.
    """

    classes: ClassFolder
    split: str
    notes: tuple[str, ...] = ()


def own_classes(suite: Suite) -> OwnClasses:
    """The classes of each phase of a suite's own data; decodes nothing.

    Raises:
        BenchError: data that cannot be used; a split that does not fit it.
    """
    assert suite.own is not None, "of an installed dataset the splits have names"
    prefix, path = suite.own
    whole = ClassFolder(path=str(path), arrays=prefix == ARRAYS)
    lists: dict[str, Path] = {}
    if isinstance(suite.split, str) and suite.split != FOLDERS:
        with suite.at("split"):
            lists = phase_files(Path(suite.split))
    if prefix == FOLDER and any(file.suffix == ".csv" for file in lists.values()):
        return _by_image_lists(suite, whole, lists)
    with suite.at("dataset"):
        names = list(own_source(whole).class_counts())
        listing = list_folder(path) if prefix == FOLDER else None
        phases, notes = (listing.phases, listing.notes) if listing else (None, ())
    with suite.at("split"):
        if phases is not None and not lists and not _names_a_file(suite):
            if isinstance(suite.split, Fractions):
                notes += (
                    f"{path.name} has the folders train, val and test, which are the split; the "
                    f'fractions are not used (split = "{FOLDERS}" says so)',
                )
            return _split(whole, phases, FOLDERS, notes)
        if isinstance(suite.split, Fractions):
            asked = suite.split
            by_fraction = split_by_fraction(names, asked.train, asked.val, asked.seed)
            return OwnClasses(whole.model_copy(update=_tuples(by_fraction)), str(asked), notes)
        if suite.split == FOLDERS:
            raise BenchError(f"{path} has no folders train, val and test, and no others")
        if lists:
            parts, more = _completed(lists, listed_classes(lists, lambda: names), names)
            return _split(whole, parts, _called(lists), notes + more)
        parts = split_by_list(names, Path(suite.split))
        return _split(whole, parts, Path(suite.split).name, notes)


def _names_a_file(suite: Suite) -> bool:
    return isinstance(suite.split, str) and suite.split != FOLDERS


def _by_image_lists(suite: Suite, whole: ClassFolder, lists: dict[str, Path]) -> OwnClasses:
    """Lists of images say which image is of which class, whatever the folders are called."""
    with suite.at("split"):
        parts: Parts = listed_classes(lists, dict)
        notes: tuple[str, ...] = ()
        if len(lists) < len(PHASES):
            names = list(list_folder(Path(whole.path)).files)
            parts, notes = _completed(lists, parts, names)
        read_image_lists(list(lists.values()), Path(whole.path))  # told here where one is missing
    files = {"lists": tuple(str(file) for file in lists.values())}
    return _split(whole.model_copy(update=files), parts, _called(lists), notes)


def _completed(
    lists: Mapping[str, Path], parts: Parts, names: list[str]
) -> tuple[Parts, tuple[str, ...]]:
    """Phases without a list share the classes that no list names, in a seeded order."""
    missing = [phase for phase in PHASES if phase not in lists]
    if not missing:
        return parts, ()
    listed = set().union(*parts.values())
    others = seeded_order("0", [name for name in names if name not in listed])
    some = next(iter(lists.values()))
    files = " and ".join(f"{phase}{some.suffix}" for phase in missing)
    if len(others) < len(missing):
        raise BenchError(f"{some.parent} has no {files}, and {some.name} leaves no classes")
    dealt = {phase: others[n :: len(missing)] for n, phase in enumerate(missing)}
    shares = " and ".join(f"{len(dealt[phase])} for {phase}" for phase in missing)
    note = (
        f"no {files} beside {some.name}: of the {len(others)} classes that no list names, "
        f"{shares}, by a seeded order"
    )
    return {**parts, **dealt}, (note,)


def _called(lists: Mapping[str, Path]) -> str:
    return ", ".join(file.name for file in lists.values())


def _split(whole: ClassFolder, parts: Parts, called: str, notes: tuple[str, ...]) -> OwnClasses:
    ordered = {phase: parts[phase] for phase in PHASES}
    digest = hashlib.sha256(json.dumps(ordered, sort_keys=True).encode()).hexdigest()[:8]
    return OwnClasses(whole.model_copy(update=_tuples(parts)), f"{called} ({digest})", notes)


def _tuples(parts: Parts) -> dict[str, Any]:
    return {phase: tuple(parts[phase]) for phase in PHASES}
