"""Paths in suites: those of data of the user's own, and of splits, made absolute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import BenchError

FOLDER = "folder:"
"""Before the path of a folder of images, in a suite's `dataset`."""
ARRAYS = "arrays:"
"""Before the path of an ``.npz`` file."""
OWN = (FOLDER, ARRAYS)
FOLDERS = "folders"
"""The `split` of a folder whose classes are below ``train/``, ``val/`` and ``test/``."""


def own_path(dataset: str) -> tuple[str, Path] | None:
    """The prefix and the path in the name of data of the user's own; None: it is installed."""
    prefix = next((one for one in OWN if dataset.startswith(one)), None)
    return None if prefix is None else (prefix, Path(dataset.removeprefix(prefix)))


def from_folder(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a suite file says, with the paths in it, relative to a folder, made absolute.

    Raises:
        BenchError: the key of what cannot be a path, and why.
    """
    made = _dataset_from(folder, content)
    named, split = made.get("dataset"), made.get("split")
    own = not isinstance(named, str) or own_path(named) is not None
    if own and isinstance(split, str | Path) and str(split) != FOLDERS:
        with _key("split"):
            made["split"] = str(_below(folder, Path(split)))
    if isinstance(test := made.get("test"), Mapping):
        made["test"] = _dataset_from(folder, test, "test.")
    if isinstance(settings := made.get("settings"), Mapping):
        made["settings"] = {
            name: _dataset_from(folder, table, f"settings.{name}.")
            if isinstance(table, Mapping)
            else table
            for name, table in settings.items()
        }
    return made


def _dataset_from(folder: Path, table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The same table; the path in its dataset made absolute."""
    made = dict(table)
    if isinstance(named := made.get("dataset"), str) and (own := own_path(named)) is not None:
        with _key(f"{before}dataset"):
            made["dataset"] = f"{own[0]}{_below(folder, own[1])}"
    return made


@contextmanager
def _key(key: str) -> Iterator[None]:
    """Gives a `BenchError` that is raised inside the key."""
    try:
        yield
    except BenchError as error:
        raise BenchError(f"{key}: {error}") from error


def _below(folder: Path, path: Path) -> Path:
    """A path that is relative to a folder, made absolute."""
    try:
        return (folder / path.expanduser()).resolve()
    except (ValueError, RuntimeError, OSError) as error:  # a null, a ~ of nobody, a name too long
        raise BenchError(f"{str(path)!r} cannot be a path: {error}") from error
