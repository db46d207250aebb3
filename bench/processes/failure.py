"""Words for how a process failed."""

from __future__ import annotations

import re
import signal
import traceback

from bench.api.executor import Ended, PlanMismatchError

NO_MEMORY = re.compile(
    r"out of memory|_ALLOC_FAILED|can't allocate memory|cannot allocate memory", re.I
)
"""How torch and CUDA's libraries say that a device or the machine has no memory left; some of them
as a plain `RuntimeError`."""


def failure_of(error: BaseException) -> Ended:
    """What a learner has raised. Its text may be anything: see `bench.api.executor.Ended`.

    What the place refuses (a full disk) is no failure of the learner's: the next run tries again.
    """
    if isinstance(error, PlanMismatchError) or getattr(error, "is_of_the_place", None) is True:
        return Ended("refused", str(error))
    name = type(error).__name__
    try:
        text = str(error).strip()
        trace = "".join(traceback.format_exception(error))
    except Exception:  # a `__str__` of its own
        text, trace = "(its text cannot be made)", "".join(traceback.format_tb(error.__traceback__))
    reason = f"{name}: {text}" if text else name
    short = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and NO_MEMORY.search(text)
    )
    return Ended("memory" if short else "error", reason, trace)


def how_it_ended(code: int | None, last_line: str | None) -> str:
    """Why a process ended without a result.

    Args:
        code: its exit code; the negative number of the signal that ended it; None: nobody saw it.
        last_line: the last line of its log.
    """
    if code is None:
        how = "is gone, and with it the one that guarded it"
    elif code >= 0:
        how = f"ended the interpreter with exit code {code}"
    else:
        how = f"was ended by {signal_name(-code)}"
        if -code == signal.SIGKILL:
            how += ", perhaps by the system for want of memory"
    if last_line:
        how += f"; last line of its log: {last_line[:200]}"
    return f"the process {how}"


def signal_name(number: int) -> str:
    """``SIGKILL``, ``SIGRTMIN+6``; a number that the system does not name is named by itself."""
    try:
        return signal.Signals(number).name
    except ValueError:
        lowest = getattr(signal, "SIGRTMIN", number + 1)
        return f"SIGRTMIN+{number - lowest}" if number > lowest else f"signal {number}"
