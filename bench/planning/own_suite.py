"""A suite that is written in Python, on data that somebody has in Python."""

from __future__ import annotations

import hashlib
import io
import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.folders import data_folders
from bench.data.objects import Arrays, arrays_of
from bench.errors import BenchError
from bench.registry.discovery import names_of
from bench.registry.installed import datasets
from bench.registry.names import check_name
from bench.store.atomic import write_atomically
from bench.suites.paths import ARRAYS, FOLDER, OWN, from_folder
from bench.suites.schema import read_suite

SETTINGS: dict[str, dict[str, int]] = {
    "5way1shot": {"ways": 5, "shots": 1, "queries": 15},
    "5way5shot": {"ways": 5, "shots": 5, "queries": 15},
}
BUDGETS: dict[str, dict[str, int]] = {
    "smoke": {
        "examples": 20_000, "validations": 2, "validation_images": 4_000, "test_episodes": 200,
    },
    "standard": {"examples": 1_000_000},
}  # fmt: skip
SPLIT: dict[str, float] = {"train": 0.6, "val": 0.2, "test": 0.2}


class Suite(os.PathLike[str]):
    """A suite for `bench.run`; the keywords are the keys of a suite file (docs/write-a-suite.md).

    The data is written into the cache folder as arrays, and the suite beside it as a file, which
    `bench run --suite` takes as well: workers are other processes, and read both.

    Args:
        name: of the suite.
        dataset: a torch ``Dataset`` of (image, label), a dataset of Hugging Face, a mapping with
            ``images`` (or ``features``) and ``labels``, a pair of them; or what a suite file names:
            an installed dataset, ``folder:PATH``, ``arrays:PATH``; or the `pathlib.Path` of a
            folder or an ``.npz`` file. Relative paths begin at the current folder, those in `keys`
            too. uint8 are images, scaled to ``image_size``; floats are taken as they are.
        keys: of a suite file. Left out: `protocol` is ``kshot``, `settings` are 5-way 1-shot and
            5-shot with 15 queries of a class, `split` has 60, 20 and 20 % of the classes,
            `image_size` is 28, `budgets` are those of ``glyphs-5way`` with a million images.

    Attributes:
        path: the file.

    Raises:
        BenchError: data that cannot be used, keys that are wrong, a cache that cannot be written.
    """

    def __init__(self, name: str | None = None, dataset: Any = None, **keys: Any) -> None:
        if not isinstance(name, str) or dataset is None:
            raise BenchError(
                f"bench.Suite: a name and a dataset are wanted, got {reprlib.repr(name)} and "
                f"{type(dataset).__name__}"
            )
        check_name(name)
        if isinstance(dataset, Path):
            packed_arrays = dataset.suffix.lower() in {".npz", ".npy"}
            dataset = f"{ARRAYS if packed_arrays else FOLDER}{dataset}"
        if isinstance(dataset, str) and not dataset.startswith(OWN):
            _check_installed(dataset)
        arrays = None if isinstance(dataset, str) else arrays_of(dataset)
        content: dict[str, Any] = {
            "version": 1, "title": name, "description": "Written in Python.",
            "protocol": "kshot", "image_size": 28, "settings": SETTINGS, "budgets": BUDGETS,
        }  # fmt: skip
        if arrays is not None or dataset.startswith(OWN):
            content["split"] = SPLIT
        content |= keys
        if isinstance(dataset, str):
            content["dataset"] = dataset
        content = from_folder(Path.cwd(), content)
        packed = b"" if arrays is None else _packed(arrays)
        stamp = hashlib.sha256(packed + json.dumps(content, sort_keys=True, default=str).encode())
        folder = data_folders().cache / "own" / f"{name}-{stamp.hexdigest()[:12]}"
        content = {"name": name} | ({"dataset": f"{ARRAYS}{name}.npz"} if packed else {}) | content
        text = _utf8(as_toml(content))
        self.path = folder / f"{name}.toml"
        if packed and not (folder / f"{name}.npz").exists():
            write_atomically(folder / f"{name}.npz", lambda file: file.write(packed))
        write_atomically(self.path, lambda file: file.write(text))
        read_suite(self.path)  # explains what is wrong

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Suite({str(self.path)!r})"


def _check_installed(dataset: str) -> None:
    """Raises BenchError, with the nearest names, for a dataset that is not installed."""
    if dataset not in names_of("dataset"):
        datasets().get(dataset)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BenchError(f"{error.object[error.start :][:20]!r} is no text in UTF-8") from error


def _packed(arrays: Arrays) -> bytes:
    """An ``.npz`` file, the same for the same arrays."""
    stream = io.BytesIO()
    kind = "images" if arrays.items.dtype == np.uint8 else "features"
    named: dict[str, Any] = {kind: arrays.items, "labels": arrays.labels}
    np.savez(stream, **named)
    return stream.getvalue()


def as_toml(content: Mapping[str, Any]) -> str:
    """A suite's content as TOML. What JSON writes of texts, numbers and flags, TOML reads.

    Raises:
        BenchError: a value that a suite file cannot have.
    """
    try:
        return "".join(f"{key} = {_value(value)}\n" for key, value in content.items())
    except (TypeError, ValueError) as error:
        raise BenchError(f"a suite has texts, numbers, flags, lists and tables: {error}") from error


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{json.dumps(str(k))} = {_value(v)}" for k, v in value.items()) + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if value is None:
        raise TypeError("None is no value; leave the key out")
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, np.generic):
        value = value.item()
    # Of control characters JSON leaves one as it is, which TOML does not take.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
