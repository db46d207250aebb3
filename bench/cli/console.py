"""What a terminal or a pipe can show, whatever its encoding: nothing is ever lost for a letter."""

from __future__ import annotations

import codecs
import io
import sys


def use_any_console() -> None:
    """Lets standard output and error take every text; what their encoding lacks, and bytes of file
    names that are no UTF-8, are written as ``\\u2192``, which JSON reads again."""
    codecs.register_error("spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """The error handler of `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (lacking[i : i + 2].hex() for i in range(0, len(lacking), 2))
    return "".join(f"\\u{unit}" for unit in units), error.end
