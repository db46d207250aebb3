"""Signals that end bench: Ctrl-C, and what a shell, a terminal or a cluster sends.

All of them do what Ctrl-C does: raise `KeyboardInterrupt` where bench is, so that a run stops its
workers and says how to go on. While it does so further ones change nothing, and after
`HARD_SECONDS` it is over, whatever hangs.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

HARD_SECONDS = 10

SIGNALLED = 128
"""Exit codes above it say which signal ended a program."""

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


_heard: list[int] = []
"""The signal that was heeded."""


class Stopped(KeyboardInterrupt):
    """Which signal it was."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(error: BaseException | None) -> int:
    """What a shell expects of a program that a signal has ended: 130 for Ctrl-C, 143 for SIGTERM.

    Args:
        error: a `KeyboardInterrupt`, or what was raised from one.
    """
    while error is not None and not isinstance(error, Stopped):
        error = error.__cause__
    if isinstance(error, Stopped):
        return SIGNALLED + error.number
    # Compiled code may have raised an interrupt of its own in the place of ours, as Ray's does.
    return SIGNALLED + next(iter(_heard), signal.SIGINT)


def heed_signals() -> None:
    """From now on these signals raise `Stopped`, once; those that were ignored (``nohup``) still
    are. For the main thread of a process that does nothing afterwards."""
    heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for other in heeded:
            signal.signal(other, lambda *_: None)
        _heard.append(number)
        if hasattr(signal, "alarm"):
            signal.signal(signal.SIGALRM, lambda *_: os._exit(SIGNALLED + number))
            signal.alarm(HARD_SECONDS)
        raise Stopped(number)

    for number in heeded:
        signal.signal(number, stop)


def leave(code: int) -> NoReturn:
    """Ends bench as the interpreter does, but at once: what was loaded is not taken apart, which
    takes seconds on a machine that works, and in which signals are not heard any more."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
