"""Slurm's own commands, and what they say: sbatch, squeue, scancel.

A controller that is away for a while (restarted, busy) ends nothing: it is asked again.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from bench.api import BenchError

AWAY = re.compile(
    r"unable to contact slurm controller|connection (refused|timed out|reset)|socket timed out|"
    r"slurmctld|communication|temporarily|zero bytes|transport|try again",
    re.IGNORECASE,
)
"""Words of a controller that does not answer."""

RETRY_SECONDS = 5.0
MOST_SECONDS = 120.0
"""A command that takes longer is asked again."""

QUEUED = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT",
          "RESV_DEL_HOLD", "STAGE_OUT"}  # fmt: skip
RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STOPPED", "RESIZING"}


class AwayError(BenchError):
    """The controller does not answer."""


class Task(NamedTuple):
    """A task of an array, as `squeue` tells it."""

    job: str
    """Number of the array."""
    task: int
    state: str
    """``PENDING``, ``RUNNING``, ``TIMEOUT``, ..."""
    reason: str
    """Why it waits."""
    name: str
    """Of the job."""


def call(*command: str, seconds: float = MOST_SECONDS) -> str:
    """What a command of Slurm's prints.

    Raises:
        AwayError: the controller does not answer.
        BenchError: the command is not here, or refuses.
    """
    # What describes the job that this may run in would describe the new one too.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SLURM_") or name == "SLURM_CONF"
    }
    environment["SLURM_BITSTR_LEN"] = "0"  # lists of tasks are not cut
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds,
            env=environment, stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C on a terminal is not for it
        )  # fmt: skip
    except FileNotFoundError as error:
        raise BenchError(
            f"there is no command {command[0]} on this machine; call bench where jobs are "
            "submitted to Slurm, on a login node"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise AwayError(f"{command[0]} did not come back in {seconds:g} s") from error
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip()[-1000:] or f"exit code {ran.returncode}"
        kind = AwayError if AWAY.search(said) else BenchError
        raise kind(f"{command[0]}: {said}")
    return ran.stdout


Said = TypeVar("Said")


def patiently(
    ask: Callable[[], Said],
    notify: Callable[[str], object],
    again: Callable[[], Said | None] = lambda: None,
) -> Said:
    """What a command says, once the controller answers.

    Args:
        ask: calls it.
        notify: told once that it does not answer.
        again: called before it is asked again: what it may have done already; None: nothing.
    """
    told = False
    while True:
        try:
            if told and (done := again()) is not None:
                return done
            return ask()
        except AwayError as error:
            if not told:
                notify(f"the controller of Slurm does not answer, and is waited for ({error})")
            told = True
            time.sleep(RETRY_SECONDS)


def queue(name: str | None = None) -> list[Task]:
    """All tasks of arrays of this user that Slurm still knows, in one call.

    Args:
        name: of a job; None: all.

    Raises:
        AwayError: the controller does not answer.
    """
    command = ["squeue", "--noheader", "--states=all", f"--user={getpass.getuser()}"]
    command += ["--format=%F|%K|%T|%r|%j", *([f"--name={name}"] if name else [])]
    return list(read_queue(call(*command)))


def read_queue(text: str) -> Iterator[Task]:
    """The tasks in what `squeue` prints; lines of other jobs, which are no arrays, are left out."""
    for line in text.splitlines():
        job, tasks, state, reason, name = [*line.split("|"), "", "", "", "", ""][:5]
        for task in task_numbers(tasks):
            yield Task(job, task, state, reason, name)


def task_numbers(text: str) -> Iterator[int]:
    """``4-6,9%64`` is 4, 5, 6 and 9."""
    if not re.fullmatch(r"\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?", text):
        return
    for part in text.partition("%")[0].split(","):
        first, _, rest = part.partition("-")
        last, _, step = (rest or first).partition(":")
        yield from range(int(first), int(last) + 1, int(step or 1))


def most_tasks() -> int:
    """The largest array that is allowed.

    Raises:
        AwayError: the controller does not answer.
    """
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"))
    return max(1, int(found[1])) if found else 1001


def cancel_tasks(tasks: Iterable[tuple[str, int]], *options: str) -> None:
    """Cancels tasks, by job and number.

    Raises:
        AwayError: the controller does not answer.
    """
    named = [f"{job}_{task}" for job, task in tasks]
    for first in range(0, len(named), 500):
        scancel(*options, *named[first : first + 500])


def scancel(*words: str) -> None:
    """Cancels jobs. What has ended in the meantime is refused, and is no matter: the queue says
    what is left.

    Raises:
        AwayError: the controller does not answer.
    """
    try:
        call("scancel", "--quiet", *words, seconds=5.0)
    except AwayError:
        raise
    except BenchError:
        pass
