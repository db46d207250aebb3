"""Whose fault it is where a process ends or hangs: what it touched last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.errors import BenchError

SECONDS = 90.0
"""So long may an import take, or whatever a plugin is asked for while a run is planned."""


class GivenUpError(BenchError):
    """Not touched again: it has ended or hung a process that did so."""


@dataclass
class Watch:
    """Somebody who watches this process, and what it is not to touch."""

    announce: Callable[[str | None, float | None], object]
    """Told what is touched now, and for how many seconds it may be; None: nothing, no limit."""
    given_up: Mapping[str, str]
    """What was given up, and why."""
    now: tuple[str | None, float | None] = field(default=(None, None))


_watch: Watch | None = None


def watched() -> bool:
    """Whether this process was started to be watched."""
    return _watch is not None


def begin(watch: Watch) -> None:
    """From now on this process is watched."""
    global _watch  # noqa: PLW0603 - a process is watched as a whole
    _watch = watch


@contextmanager
def touching(what: str, seconds: float | None = SECONDS) -> Iterator[None]:
    """Around code of a plugin: ``with touching("importing maml"): ...``.

    Args:
        what: what is done, as the beginning of a sentence that goes on with how it ended.
        seconds: how long it may take; None: as long as it likes.

    Raises:
        GivenUpError: at once, where it has ended a process before.
    """
    if _watch is None:
        yield
        return
    if what in _watch.given_up:
        raise GivenUpError(f"{what} {_watch.given_up[what]}")
    before, _watch.now = _watch.now, (what, seconds)
    _watch.announce(*_watch.now)
    try:
        yield
    finally:
        _watch.now = before
        _watch.announce(*before)
