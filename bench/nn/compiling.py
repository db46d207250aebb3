"""Whether what runs now is being written down for a compiler (`bench run --compile`).

Code that takes torch's own fast kernels one task after the other, or adds up in place, may say it
for a compiler in plain operations, which it joins into loops by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
