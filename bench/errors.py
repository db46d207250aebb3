"""Errors that a person can act on, for the harness; defined in the contract, where authors of
plugins find them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from bench.api.errors import BenchError, unknown_name

__all__ = ["BenchError", "WrongCallError", "told_if_wrong", "unknown_name"]

P = ParamSpec("P")
R = TypeVar("R")


class WrongCallError(BenchError, TypeError):
    """A function was called with an argument that it has not, or without one that it needs."""


def told_if_wrong(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, which raises a `WrongCallError` where Python would raise a `TypeError`: a
    misspelled argument comes with the nearest that there is."""
    name = f"bench.{function.__name__}"
    taken = signature(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            taken.bind(*args, **kwargs)
        except TypeError as error:
            for given in kwargs:
                if given not in taken.parameters:
                    told = unknown_name(f"argument of {name}", given, taken.parameters)
                    raise WrongCallError(str(told)) from None
            raise WrongCallError(f"{name}: {error}; `help({name})` tells its arguments") from None
        return function(*args, **kwargs)

    return call
