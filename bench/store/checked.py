"""The one door to stored records: a file is whole and what it ought to be, or missing, or damaged.

"It exists" is never taken for "it is valid". Who reads asks here, and is given a record, None, or
an `UnreadableError` that says in words what is wrong: empty, cut off, no JSON, another kind of
record, of another cell, or from a newer version. The read side leaves damaged files out and names
them; `bench run` computes again what they held, and keeps them beside it (`set_aside`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from bench.api.files import read_regular
from bench.errors import BenchError
from bench.store.records import SCHEMA, Record

Json = dict[str, Any]

DAMAGED = ".damaged"
"""Suffix of what was found damaged and is kept beside what is computed anew."""


class Problem(NamedTuple):
    """A file or folder that was left out."""

    path: str
    reason: str


class UnreadableError(Exception):
    """Why a file cannot be used."""


class NewerError(UnreadableError):
    """It was written by a newer version of bench, and is not to be overwritten by this one."""


def read_json(path: str | Path, model: type[Record] | None = None) -> Json:
    """The JSON object in a file, of the types that `model` states.

    Absent or null fields pass: an older version did not have them, and NaN is stored as null.

    Raises:
        UnreadableError: it cannot be read, is no object, or a field is of another type.
    """
    content = b"?"
    try:
        content = read_regular(path)
        record = from_json(content, allow_inf_nan=False)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None
    except ValueError as error:  # of a name that no file can have too
        why = f"is damaged or truncated: {error}" if content else "is empty"
        raise UnreadableError(why) from None
    if not isinstance(record, dict):
        raise UnreadableError(f"holds a {type(record).__name__} where an object belongs")
    schema = record.get("schema_version")
    if isinstance(schema, int) and schema > SCHEMA:
        raise NewerError(f"was written by a newer version of bench (schema {schema}): update bench")
    if model is not None:
        for where, why, given in _wrong(record, model):
            if given is not None:
                raise UnreadableError(f"{where}: {why}")
    return record


def _wrong(record: Json, model: type[Record]) -> Iterable[tuple[str, str, Any]]:
    """The fields that are not as the model states: where, why, and what is there instead; None for
    what is absent or null."""
    try:
        model.model_validate(record, strict=True)
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            given = None if wrong["type"] == "missing" else wrong["input"]
            yield ".".join(map(str, wrong["loc"])), wrong["msg"], given


def read_record(path: Path, model: type[Record], *same: tuple[str, Any]) -> Json:
    """A record that this version relies on: nothing that the model requires is absent.

    Args:
        path: its file.
        model: what it is.
        same: fields that must have these values: whose it is.

    Raises:
        UnreadableError: the file is missing or damaged, or holds another record.
    """
    record = read_json(path)
    for where, why, given in _wrong(record, model):
        if given is not None or "." not in where:  # a null further down is a NaN
            raise UnreadableError(f"{where}: {why}")
    for key, value in same:
        if record.get(key) not in (value, None):  # None: of an older version, which did not say
            raise UnreadableError(f"belongs elsewhere: its {key} is {record.get(key)!r:.60}")
    return record


class Part(NamedTuple):
    """A file that something must have to count as done."""

    path: Path
    read: Callable[..., object]
    """Given the path and `arguments`; raises `UnreadableError`."""
    arguments: tuple[Any, ...] = ()

    def damage(self) -> str | None:
        """Why it is of no use; None where it is whole.

        Raises:
            BenchError: it is from a newer version.
        """
        try:
            about = os.stat(self.path)  # noqa: PTH116
            version = about.st_mtime_ns, about.st_size, about.st_ino
            if _whole.get(self) != version:
                self.read(self.path, *self.arguments)
                _whole[self] = version
        except OSError as error:
            return "is missing" if missing(self.path) else error.strerror or str(error)
        except NewerError as error:
            raise BenchError(
                f"{self.path} {error}; or name another folder with --results"
            ) from error
        except UnreadableError as error:
            return str(error)
        return None


_whole: dict[Part, tuple[int, int, int]] = {}
"""What was found whole, and has not been written since: asked for many times, read once."""


def record_part(path: Path, model: type[Record], **same: Any) -> Part:
    """The part that is a record; see `read_record`."""
    return Part(path, read_record, (model, *same.items()))


def missing(path: str | Path) -> bool:
    """Whether nothing of that name is there, a link that leads nowhere included in what is."""
    return not os.path.lexists(path)


def set_aside(path: Path) -> None:
    """Moves what is damaged out of the way, to the same name with `DAMAGED` after it."""
    aside = path.with_name(path.name + DAMAGED)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    else:
        aside.unlink(missing_ok=True)
    path.replace(aside)
