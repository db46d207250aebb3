"""The command line as a person gives it, in this process: importing torch anew takes seconds."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch

import pytest

from bench.cli import main
from bench.cli.stopping import SIGNALS


@dataclass(frozen=True)
class Ran:
    """What a command has said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def bench(*arguments: str) -> Ran:
    """Runs a command, with all that its entry point does."""
    with handlers_kept(), patch.object(sys, "argv", ["bench", *arguments]):
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    assert isinstance(ended.value.code, int), ended.value.code
    return Ran(ended.value.code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """The command heeds signals for the rest of its process: the tests' are put back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
