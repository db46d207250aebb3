"""Options as a learner's Config states them, and those as text and as JSON.

JSON, as stored with results, tells apart all that text does. What JSON has no word for is an
object: ``{"float": "inf"}``; and a file ``{"file": "weights.pt", "sha256": "..."}``, of which the
content is a part of a result's identity and the path is not.
"""

from __future__ import annotations

import contextlib
import math
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from bench.api.files import is_file
from bench.registry.option_files import File
from bench.registry.option_grammar import Group, Word, quoted, read_items

LISTS = (tuple, list, set, frozenset, Sequence, Collection, AbstractSet)


# -- to the type ----------------------------------------------------------------------------------


def fit(given: Any, type_: Any) -> Any:
    """A value of that type.

    Args:
        given: text (`Word`, `Group`, a string), what `as_json` made, or such a value.
        type_: as the Config states it.

    Raises:
        ValueError: the type has no such value (pydantic's ValidationError is one).
        PydanticUserError: the type cannot be read.
    """
    if isinstance(given, Word | Group):
        given = _typed(given, type_)
    return _reader(type_).validate_python(_from_json(given))


def _reader(type_: Any) -> TypeAdapter[Any]:
    try:
        # Unions that differ in their order alone are equal, and read text differently.
        return _kept_reader(type_, repr(type_))
    except TypeError:  # annotated with what cannot be hashed
        return TypeAdapter(type_)


@lru_cache(maxsize=1024)
def _kept_reader(type_: Any, _: str) -> TypeAdapter[Any]:
    return TypeAdapter(type_)


def _from_json(given: Any) -> Any:
    match given:
        case {"float": str(number), **rest} if not rest:
            return float(number)
        case {"file": str(path), "sha256": str(digest)}:
            return File(path, digest).unchanged()
        case dict():
            return {key: _from_json(value) for key, value in given.items()}
        case list():
            return [_from_json(value) for value in given]
    return given


def _typed(given: Word | Group, type_: Any) -> Any:
    """What text says, as far as the type decides how it is read."""
    type_ = _bare_type(type_)
    if get_origin(type_) in {Union, types.UnionType}:
        return _of_union(given, type_)
    if isinstance(given, Group):
        inside = _inside(type_, len(given.items))
        if inside is None:
            raise ValueError("a list is given where one value belongs; put text in quotes")
        return [_typed(item, own) for item, own in zip(given.items, inside, strict=True)]
    if _inside(type_, 0) is not None:
        raise ValueError(f"a list belongs here, in parentheses: ({given.text},...)")
    for choice in _choices(type_):
        if _means(given, choice):
            return choice
    if type_ is float and _is_beyond(given.text):
        raise ValueError("the number is too large")
    return given.text


def _of_union(given: Word | Group, whole: Any) -> Any:
    """What the first of a union's members makes of text: the more it says, the earlier."""
    members = get_args(whole)
    if isinstance(given, Group):
        likely: Any = tuple if given.bracket == "(" else list
        ordered = sorted(members, key=lambda member: get_origin(member) is not likely)
        return _first_that_fits([(given, member) for member in ordered])
    for member in members:
        for choice in _choices(_bare_type(member)):
            if _means(given, choice):
                return choice
    read = [] if given.quoted else [(plain(given.text), whole)]
    if float in members and _is_beyond(given.text):
        raise ValueError("the number is too large")
    return _first_that_fits([*read, (given.text, whole)])


def _first_that_fits(attempts: Sequence[tuple[Any, Any]]) -> Any:
    for given, type_ in attempts[:-1]:
        with contextlib.suppress(ValueError):
            return fit(given, type_)
    return fit(*attempts[-1])


def plain(text: str) -> Any:
    """None, a bool or a number where a word says one, else the word."""
    known = {"none": None, "true": True, "false": False}
    if text.lower() in known:
        return known[text.lower()]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def _is_beyond(text: str) -> bool:
    """Whether it is a number, in digits, that a float cannot hold."""
    number = plain(text)
    try:
        infinite = isinstance(number, int | float) and math.isinf(float(number))
    except OverflowError:
        return True
    return infinite and any(character.isdigit() for character in text)


def _bare_type(type_: Any) -> Any:
    """Without annotations and names that only stand for it."""
    while True:
        if get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
        elif hasattr(type_, "__supertype__"):  # a NewType
            type_ = type_.__supertype__
        elif hasattr(type_, "__value__"):  # `type Widths = ...` of Python 3.12
            type_ = type_.__value__
        else:
            return type_


def _inside(type_: Any, number: int) -> list[Any] | None:
    """The types of so many items of a list; None for a type that is no list."""
    if isinstance(type_, type) and issubclass(type_, tuple) and hasattr(type_, "_fields"):
        given = list(get_type_hints(type_).values())
    elif (get_origin(type_) or type_) not in LISTS:
        return None
    else:
        given = list(get_args(type_)) or [Any]
        if (get_origin(type_) or type_) is not tuple or given[1:] == [...] or given == [Any]:
            return given[:1] * number
    return (given + [Any] * number)[:number]


def _choices(type_: Any) -> list[Any]:
    """The values of a type that lists them, texts last: 1 without quotes is the number."""
    if isinstance(type_, type) and issubclass(type_, Enum):
        return sorted(type_, key=lambda member: isinstance(member.value, str))
    listed = get_args(type_) if get_origin(type_) is Literal else ()
    return sorted(listed, key=lambda choice: isinstance(choice, str))


def _means(given: Word, choice: Any) -> bool:
    if isinstance(choice, Enum):
        others = {str(member.value) for member in type(choice)}
        by_name = given.text == choice.name and choice.name not in others
        return by_name or _means(given, choice.value)
    if isinstance(choice, str):
        return given.text == choice
    said = plain(given.text)
    return not given.quoted and said == choice and type(said) is type(choice)


# -- to text --------------------------------------------------------------------------------------


def as_text(value: Any, type_: Any = Any) -> str:
    """The value as it can be typed: `read_items` and `fit` make it of this again."""
    if isinstance(value, tuple | list | set | frozenset):
        return _list_as_text(value, _bare_type(type_))
    spellings = list(_spellings(value))
    return next((text for text in spellings if _reads_as(text, value, type_)), spellings[-1])


def _list_as_text(value: Collection[Any], type_: Any) -> str:
    items = sorted(value, key=repr) if isinstance(value, AbstractSet) else list(value)
    left, right = "()" if isinstance(value, tuple) else "[]"
    members = get_args(type_) if get_origin(type_) in {Union, types.UnionType} else [type_]
    for member in members:
        inside = _inside(_bare_type(member), len(items))
        if inside is not None:
            text = ",".join(as_text(item, own) for item, own in zip(items, inside, strict=True))
            if len(members) == 1 or _reads_as(left + text + right, value, type_):
                return left + text + right
    return left + ",".join(as_text(item) for item in items) + right


def _spellings(value: Any) -> Iterator[str]:
    """From the shortest to the clearest."""
    if isinstance(value, Enum):
        yield from _spellings(value.value)
        yield value.name
        return
    text = str(value)
    word = text and text == text.strip() and text.isprintable()
    if word and not any(character in ",=()[]\"'" for character in text):
        yield text
    if value is not None and not isinstance(value, bool | int | float):
        yield quoted(text)


def _reads_as(text: str, value: Any, type_: Any) -> bool:
    try:
        [(_, item)] = read_items(f"option={text}")
        read = fit(item, type_)
    except Exception:  # a type may raise anything: then no text makes it
        return False
    return type(read) is type(value) and as_json(read) == as_json(value)


# -- to JSON --------------------------------------------------------------------------------------


def as_json(value: Any, file: bool | None = False) -> Any:
    """The value as it is stored, and as it enters an identity.

    Args:
        value: of an option.
        file: whether text and paths in it name files, told by their content. None: paths to files
            that exist do.

    Raises:
        BenchError: a file that is to be there and is not.
        PydanticSerializationError: JSON has nothing for the value.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, str | Path) and (
        file or (file is None and isinstance(value, Path) and is_file(value))
    ):
        return File.of(value).as_json()
    return _items_as_json(value, file)


def _items_as_json(value: Any, file: bool | None) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_json(getattr(value, one.name), file) for one in fields(value)}
    if isinstance(value, Mapping):
        keys = to_jsonable_python(dict.fromkeys(value))
        return {k: as_json(own, file) for k, own in zip(keys, value.values(), strict=True)}
    if isinstance(value, set | frozenset):
        return sorted((as_json(item, file) for item in value), key=repr)
    if isinstance(value, tuple | list):
        return [as_json(item, file) for item in value]
    return to_jsonable_python(value)
