"""What a console can take: any character, and no instruction from a plugin."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

ESCAPED = "bench-escaped"
"""Name of the handler of characters that a console has not."""


def literal(text: str, most: int | None = None) -> str:
    r"""One line in which control characters and such are escapes (``\x1b``), and line breaks are
    spaces: names and reasons come from plugins, and a terminal obeys what it is sent.

    Args:
        text: of any origin.
        most: characters; the end is cut off.
    """
    if most is not None and len(text) > most:
        text = text[:most] + " ..."
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in "\r\n\t":
        return " "
    category = unicodedata.category(character)
    if category.startswith("C") or category in {"Zl", "Zp"}:  # of text direction too
        return character.encode("unicode-escape").decode()
    return character


def write_anything() -> None:
    r"""From now on all that is printed can be: a character that a console has not (one that is not
    UTF-8) is written as ``\u00b1``, which is JSON too."""
    codecs.register_error(ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[k : k + 2].hex()}" for k in range(0, len(units), 2)), error.end
