"""In the process apart: calls the function, and writes what it answers into a file.

What it says meanwhile are lines of `bench.processes.messages`, where a progress is one of

================== ==============================================================================
touching, seconds  what of a plugin is touched now, and for how long it may be; null: nothing
call, text         the argument that is a function, and what it is called with
================== ==============================================================================
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.apart import blame
from bench.apart.wire import arguments_of, encode, named
from bench.errors import BenchError

MOST_TEXT = 1_000
"""Characters of a text: those that a message may have."""


def answer(text: str, tell: Callable[[dict[str, Any]], object]) -> None:
    """Answers a question of `bench.apart.call.apart`."""
    encode_json = json.JSONEncoder().encode  # before a plugin replaces what json offers
    question = json.loads(text)
    blame.begin(
        blame.Watch(
            lambda what, seconds: tell({"touching": what and what[:MOST_TEXT], "seconds": seconds}),
            question["given_up"],
        )
    )
    function = named(question["function"])
    callables = {
        name: partial(lambda name, text: tell({"call": name, "text": str(text)[:MOST_TEXT]}), name)
        for name in question["callables"]
    }
    try:
        result = function(**arguments_of(function, question["arguments"]), **callables)
        content = {"answer": encode(function, "return", result)}
    except BenchError as error:
        content = {"error": str(error)}
    except OSError as error:
        if error.filename is None:
            raise
        content = {"error": f"{error.strerror}: {reprlib.repr(error.filename)}"}
    written = Path(question["file"])
    part = written.with_suffix(".part")
    part.write_text(encode_json(content), encoding="utf-8")
    part.replace(written)
