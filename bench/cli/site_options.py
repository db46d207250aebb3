"""Options of an executor: single ones, and a file of them that a site keeps."""

from __future__ import annotations

import re
import reprlib
import tomllib
from pathlib import Path
from typing import Any

import click

from bench.api.files import read_regular
from bench.errors import BenchError


class Setting(click.ParamType[tuple[str, str]]):
    """``partition=gpu``; a name alone is an option without a value."""

    name = "setting"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value[0], value[1]
        key, _, text = value.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", key):
            self.fail(f"{reprlib.repr(value)} is no option; write KEY=VALUE", param, ctx)
        return key, text


def read_options(path: Path) -> dict[str, str]:
    """The options in a TOML file: texts, numbers, true and false; lists of lines; those of a table
    with its name before them, as ``timings.partition``.

    Raises:
        BenchError: the file cannot be read, or has anything else.
    """
    try:
        content = tomllib.loads(read_regular(path).decode())
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"{path} is no TOML: {error}") from error
    options: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            options |= {f"{key}.{name}": _text(path, name, one) for name, one in value.items()}
        else:
            options[key] = _text(path, key, value)
    return options


def _text(path: Path, key: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(line, str) for line in value):
            return "\n".join(value)
    raise BenchError(f"{path}: {key}: expected a text, a number, true, false or a list of lines")
