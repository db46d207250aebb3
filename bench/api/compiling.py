"""Whether what runs now is being written down for a compiler (`bench run --compile`).

Code that takes torch's own fast kernels one task after the other, or adds up in place, may say it
for a compiler in plain operations, which it joins into loops by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Tensor])

_COMPILED: ContextVar[bool] = ContextVar("compiled", default=False)


def being_compiled() -> bool:
    """Whether the operations of this moment are recorded, to be compiled."""
    return _COMPILED.get()


@contextmanager
def compiling() -> Iterator[None]:
    """Around what is recorded."""
    token = _COMPILED.set(True)
    try:
        yield
    finally:
        _COMPILED.reset(token)


def operator(schema: str) -> Callable[[Function], Function]:
    """Makes a function of tensors known to compilers as one operation, called through `opaque`.

    Its derivative is not known: call it in the forward of a `torch.autograd.Function`.

    Args:
        schema: its arguments and its result, as ``(Tensor x, int n) -> Tensor``.
    """

    def known(function: Function) -> Function:
        name = f"bench::{function.__module__}.{function.__qualname__}".replace(".", "_")
        if name not in _NAMES.values():  # a module may be imported again
            torch.library.define(name, schema)
            torch.library.impl(name, "CompositeExplicitAutograd")(_latest(name))
            torch.library.register_fake(name)(_latest(name))
        _FUNCTIONS[name] = function
        _NAMES[function] = name
        return function

    return known


def opaque(function: Function) -> Function:
    """A function known by `operator`: itself; or, where operations are recorded, the one operation
    that a compiler leaves as it is."""
    if not being_compiled():
        return function
    operation: Any = getattr(torch.ops.bench, _NAMES[function].removeprefix("bench::"))
    return operation


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {}
_NAMES: dict[Callable[..., Tensor], str] = {}


def _latest(name: str) -> Callable[..., Tensor]:
    """Calls what was last known by that name."""

    def call(*arguments: Any) -> Tensor:
        return _FUNCTIONS[name](*arguments)

    return call
