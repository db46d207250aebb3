"""What a plugin's class states of itself is held to what its base annotates."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from bench.errors import BenchError


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(one, str) for one in value)


_KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text", lambda value: isinstance(value, str)),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: (
        "a whole number",
        lambda value: isinstance(value, int) and not isinstance(value, bool),
    ),
    tuple[str, ...]: ("a tuple of texts", _is_texts),
    tuple[str, ...] | None: (
        "a tuple of texts, or None",
        lambda value: value is None or _is_texts(value),
    ),
}
"""By annotation: what it is in words, and whether a value is one. Others are not looked at."""


def check_stated(thing: type, base: type) -> None:
    """Compares the class attributes that `base` annotates as `ClassVar`; what is computed (a
    property) is left alone.

    Raises:
        BenchError: where one is of another type, or is missing and has no default.
    """
    for name, hint in get_type_hints(base).items():
        [stated] = get_args(hint) if get_origin(hint) is ClassVar else [None]
        if stated not in _KINDS:
            continue
        words, fits = _KINDS[stated]
        missing = object()
        value = inspect.getattr_static(thing, name, missing)
        if value is missing:
            raise BenchError(f'{thing.__name__} does not state its {name}; add `{name} = "..."`')
        if not isinstance(value, property) and not fits(value):
            raise BenchError(f"its {name} is {reprlib.repr(value)}, and not {words}")
