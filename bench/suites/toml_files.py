"""TOML files as people have them: with a byte order mark, in another encoding, or damaged."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from bench.errors import BenchError

LARGEST = 2**20
"""Bytes; a suite has some 2,000."""

OTHERS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def read_toml(path: Path) -> dict[str, Any]:
    """What a suite file says.

    Raises:
        BenchError: it cannot be read, or is no TOML in UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a null in its name
        why = getattr(error, "strerror", None) or error
        raise BenchError(f"cannot read the suite file {path}: {why}") from error
    if len(content) > LARGEST:
        raise BenchError(f"cannot read the suite file {path}: it has more than {LARGEST:,} bytes")
    for mark, encoding in OTHERS.items():
        if content.startswith(mark):
            raise BenchError(f"{path} is not valid TOML: it is in {encoding}; save it as UTF-8")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise BenchError(f"{path} is not valid TOML: it is nested too deep") from error
    except ValueError as error:  # TOML, UTF-8, and numbers of thousands of digits
        raise BenchError(f"{path} is not valid TOML: {error}") from error
