"""Splits as they are published: one file per phase, with the images or the classes of it.

``train.csv``, ``val.csv``, ``test.csv`` with the header ``filename,label`` (Ravi and Larochelle
2017, mini-ImageNet); ``train.json``, ``val.json``, ``test.json`` with ``class_names``. A suite
names the first of them, or the folder that they are in.
"""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from bench.api.dataset import Split
from bench.api.files import is_file, is_folder
from bench.errors import BenchError, unknown_name

PHASES = Split._fields
"""train, val, test."""
FORMS = (".csv", ".json")
"""Endings of lists that are made per phase."""
IMAGE_COLUMNS = ["filename", "label"]
"""The header of a list of images."""


def phase_files(path: Path) -> dict[str, Path]:
    """The file of each phase that has one, beside the one named or in the folder named; nothing
    where it is a list of another kind.

    Raises:
        BenchError: where a folder has none.
    """
    if is_folder(path):
        for form in FORMS:
            if found := _beside(path, form):
                return found
        raise BenchError(
            f"the folder {path} has no train.csv and no train.json; a split is such files, or one "
            "CSV file with the header class,split"
        )
    if path.suffix == ".json" or (path.suffix == ".csv" and _header(path) == IMAGE_COLUMNS):
        if path.stem not in PHASES:
            raise BenchError(
                f"{path.name} is the list of one phase; call the lists of the phases "
                f"{', '.join(f'{phase}{path.suffix}' for phase in PHASES)}, and name the first"
            )
        return _beside(path.parent, path.suffix) | {path.stem: path}
    return {}


def _beside(folder: Path, form: str) -> dict[str, Path]:
    return {p: folder / f"{p}{form}" for p in PHASES if is_file(folder / f"{p}{form}")}


def read_image_lists(paths: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    """The images of each class, as CSV files with the header ``filename,label`` say.

    Args:
        paths: the lists.
        root: holds the files, as ``filename`` or as ``label/filename``.

    Raises:
        BenchError: with the line that is wrong: the header, columns, a name that leads out of the
            folder or is of two files, a file of two classes; where images are missing.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    labels: dict[Path, str] = {}
    missing = []
    for path in paths:
        for line, (filename, label) in _rows(path):
            places = dict.fromkeys([root / filename, root / label / filename])
            existing = [place for place in places if is_file(place)]
            if not existing:
                missing.append(f"{path.name}, line {line}: {filename} of {label}")
                continue
            if len(existing) > 1:
                raise BenchError(
                    f"{path}, line {line}: {filename} of {label} may be {existing[0]} or "
                    f"{existing[1]}; move one of them out of {root}"
                )
            if labels.setdefault(existing[0], label) != label:
                raise BenchError(
                    f"{path}, line {line}: {filename} is in {label}, and was in "
                    f"{labels[existing[0]]} before; an image has one class"
                )
            found[label].append(existing[0])
    if missing:
        raise BenchError(
            f"{root} lacks {len(missing):,} images that are listed, the first is {missing[0]}; an "
            "image lies in that folder, or in one below it that is called as its label"
        )
    return {label: sorted(set(files)) for label, files in found.items()}


def listed_classes(files: dict[str, Path], known: Callable[[], Collection[str]]) -> dict[
    str, list[str]
]:  # fmt: skip
    """The classes of each phase that has a file.

    Args:
        files: see `phase_files`.
        known: the names of the folders of classes; asked where files list classes.

    Raises:
        BenchError: a file that cannot be read; a class without a folder, or in two phases.
    """
    parts = {
        phase: _classes_of(path, known) if path.suffix == ".json" else _labels_of(path)
        for phase, path in files.items()
    }
    for phase, names in parts.items():
        for other in list(parts)[: list(parts).index(phase)]:
            if shared := sorted(set(names) & set(parts[other])):
                raise BenchError(
                    f"{files[phase]} has {len(shared)} classes that are in {files[other].name} "
                    f"too, the first is {shared[0]}; meta-test has to be on new classes"
                )
    return parts


def _labels_of(path: Path) -> list[str]:
    return sorted({label for _, (_, label) in _rows(path)})


def _classes_of(path: Path, known: Callable[[], Collection[str]]) -> list[str]:
    """The classes of a JSON file: by their names, or by the last part of ``class_roots``."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not valid JSON: {error}") from error
    names = content.get("class_names") if isinstance(content, dict) else None
    if not _strings(names):
        raise BenchError(f'{path} has no "class_names", a list of the names of classes')
    roots = content.get("class_roots", names)
    if not _strings(roots) or len(roots) != len(names):
        raise BenchError(f'{path}: "class_roots" is to be a list of as many folders')
    folders, classes = composed(known()), set()
    for name, root in zip(names, roots, strict=True):
        last = PurePosixPath(root.replace("\\", "/")).name
        forms = [unicodedata.normalize("NFC", form) for form in (name, last)]
        found = next((folders[form] for form in forms if form in folders), None)
        if found is None:
            raise BenchError(f"{path}: {unknown_name('class', name, folders.values())}")
        classes.add(found)
    return sorted(classes)


def composed(names: Iterable[str]) -> dict[str, str]:
    """Names by their composed form: archives from some systems take accents apart (NFD)."""
    return {unicodedata.normalize("NFC", name): name for name in names}


def _strings(given: object) -> TypeGuard[list[str]]:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)


def _rows(path: Path) -> list[tuple[int, tuple[str, str]]]:
    """Number and content of each line but the header."""
    rows = []
    if _header(path) != IMAGE_COLUMNS:
        raise BenchError(
            f"{path}: the first line of a list of images is to be {','.join(IMAGE_COLUMNS)}, got "
            f"{','.join(_header(path))!r}"
        )
    for line, row in enumerate(csv_rows(path)[1:], start=2):
        if not row:
            continue
        if len(row) != 2 or not all(cell.strip() for cell in row):
            raise BenchError(f"{path}, line {line}: filename,label is wanted, got {','.join(row)}")
        filename, label = (cell.strip() for cell in row)
        for name in (filename, label):
            parts = PurePosixPath(name.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or "\0" in name:
                raise BenchError(f"{path}, line {line}: {name!r} leads out of the folder of images")
        rows.append((line, (filename, label)))
    return rows


def _header(path: Path) -> list[str]:
    return [cell.strip().lower() for cell in next(iter(csv_rows(path)), [])]


def csv_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file, its header too.

    Raises:
        BenchError: it cannot be read.
    """
    try:
        return list(csv.reader(_text(path).splitlines()))
    except csv.Error as error:
        raise BenchError(f"{path} is not a CSV file: {error}") from error


def _text(path: Path) -> str:
    """What a list says, whichever byte order mark it begins with."""
    if os.path.exists(path) and not is_file(path):  # noqa: PTH110
        raise BenchError(f"cannot read the list of classes {path}: it is no file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BenchError(f"cannot read the list of classes {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not a text in UTF-8: {error}") from error
