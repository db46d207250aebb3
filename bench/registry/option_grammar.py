r"""How options are typed, as in ``'maml[widths=(64,64),encoder=conv4]'``.

Items stand between commas. Each is ``option=value``, a further value of the option before it, or
the name of a preset. A value is

* a word: ``5``, ``1e-3``, ``true``, ``none``, ``conv4``; of an enum the value or the name;
* a list in ``( )`` or ``[ ]``, which may hold lists: ``(64,64)``, ``((1,2),(3,4))``, ``()``;
* text in quotes, needed where it is empty, has one of ``, = ( ) [ ] " '`` or spaces around it, or
  would be read as something else that the option takes too. In ``"`` the escapes of JSON hold
  (``"a\"b"``), in ``'`` there are none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bench.errors import BenchError

DEEPEST = 20
"""Lists within lists."""

ENDS = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class Word:
    """A value as text."""

    text: str
    quoted: bool = False

    def __str__(self) -> str:
        return quoted(self.text) if self.quoted else self.text


@dataclass(frozen=True)
class Group:
    """A list as text."""

    items: tuple[Word | Group, ...]
    bracket: str
    """``(`` or ``[``."""

    def __str__(self) -> str:
        return f"{self.bracket}{','.join(map(str, self.items))}{ENDS[self.bracket]}"


def read_items(text: str) -> Iterator[tuple[str, Word | Group]]:
    """Each item's option, "" where it names none, and its value.

    Raises:
        BenchError: quotes or brackets that do not end, or something after their end.
    """
    place = 0
    while place < len(text):
        named = re.compile(r"""\s*([^,=()\[\]"']*?)\s*=""").match(text, place)
        value, place = _read_value(text, named.end() if named else place, ",", 0)
        place += 1  # the comma
        if named or value != Word(""):
            yield (named[1] if named else ""), value


def _read_value(text: str, place: int, ends: str, depth: int) -> tuple[Word | Group, int]:
    """A value, and the place of what ended it: one of `ends`, or the end of the text."""
    place = _spaces(text, place)
    first = text[place : place + 1]
    value: Word | Group
    if first in ENDS:
        value, place = _read_group(text, place, depth + 1)
    elif first in {'"', "'"}:
        value, place = _read_quoted(text, place)
    else:
        stop = next((i for i in range(place, len(text)) if text[i] in ends), len(text))
        return Word(text[place:stop].strip()), stop
    place = _spaces(text, place)
    if place < len(text) and text[place] not in ends:
        raise BenchError(f"cannot read {text!r}: a comma is missing before {text[place:]!r}")
    return value, place


def _read_group(text: str, place: int, depth: int) -> tuple[Group, int]:
    bracket = text[place]
    end = ENDS[bracket]
    if depth > DEEPEST:
        raise BenchError(f"an option has lists within lists, more than {DEEPEST} deep")
    items: list[Word | Group] = []
    place += 1
    while place < len(text):
        value, place = _read_value(text, place, ",)]", depth)
        if value != Word(""):
            items.append(value)
        if text[place : place + 1] == end:
            return Group(tuple(items), bracket), place + 1
        if text[place : place + 1] != ",":
            break
        place += 1
    raise BenchError(f"cannot read {text!r}: a {bracket!r} has no {end!r}")


def _read_quoted(text: str, place: int) -> tuple[Word, int]:
    quote = text[place]
    try:
        if quote == "'":
            stop = text.index(quote, place + 1)
            return Word(text[place + 1 : stop], quoted=True), stop + 1
        content, end = json.JSONDecoder(strict=False).raw_decode(text, place)
        content.encode()  # half a surrogate pair is no text
    except ValueError as error:
        raise BenchError(
            f"cannot read {text[place:]!r}: in {quote} text ends with {quote}, and a {quote} or "
            "backslash in it is written as in JSON"
        ) from error
    return Word(content, quoted=True), end


def _spaces(text: str, place: int) -> int:
    while text[place : place + 1].isspace():
        place += 1
    return place


def quoted(text: str) -> str:
    """In quotes, with the escapes of JSON for what does not show."""
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1]
        for character in json.dumps(text, ensure_ascii=False)
    )
