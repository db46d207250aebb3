"""Arguments and answers as JSON, by the types that a function states. Nothing is unpickled."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_origin, get_type_hints

from pydantic import TypeAdapter


@cache
def adapters(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """What reads and writes each argument, and ``return``; functions have none."""
    hints = get_type_hints(function)
    return {
        name: TypeAdapter(hint) for name, hint in hints.items() if get_origin(hint) is not Callable
    }


def encode(function: Callable[..., Any], name: str, value: Any) -> Any:
    """An argument, or the ``return``, as what JSON has."""
    return adapters(function)[name].dump_python(value, mode="json")


def decode(function: Callable[..., Any], name: str, content: Any) -> Any:
    """The inverse.

    Raises:
        pydantic.ValidationError: it is not of the type that the function states.
    """
    return adapters(function)[name].validate_python(content)


def arguments_of(function: Callable[..., Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a question."""
    return {name: decode(function, name, value) for name, value in content.items()}


def place_of(function: Callable[..., Any]) -> str:
    """``module:name`` of a function of the harness."""
    return f"{function.__module__}:{function.__name__}"


def named(place: str) -> Callable[..., Any]:
    """The inverse."""
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
