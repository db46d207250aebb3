"""Every signal ends bench the way Ctrl-C does: once, soon, with the code that a shell expects."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import click
import pytest

from bench.cli.stopping import Stopped, exit_code

WORKS = """
import signal, sys, time
from bench.cli import stopping
stopping.HARD_SECONDS = 3
for number in stopping.SIGNALS:  # where tests run behind a shell's "&" it is ignored
    signal.signal(number, signal.SIG_DFL)
if "ignored" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
stopping.heed_signals()
try:
    print("ready", flush=True)
    try:
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        if "replaced" in sys.argv:
            raise KeyboardInterrupt from None
        raise
except KeyboardInterrupt as stopped:
    print("stopping", flush=True)
    time.sleep(1000 if "hangs" in sys.argv else 0.3)
    stopping.leave(stopping.exit_code(stopped))
"""


def stopped(*signals: int, how: str = "", pause: float = 0.1) -> tuple[int, str]:
    command = [sys.executable, "-c", WORKS, how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in signals:
        process.send_signal(number)
        time.sleep(pause)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_of_them_ends_it(number):
    assert stopped(number) == (128 + number, "stopping\n")


def test_compiled_code_may_raise_an_interrupt_of_its_own():
    assert stopped(signal.SIGTERM, how="replaced") == (143, "stopping\n")


def test_a_second_one_does_not_disturb_the_end():
    assert stopped(signal.SIGINT, signal.SIGINT, signal.SIGTERM) == (130, "stopping\n")


def test_what_hangs_at_the_end_is_ended():
    assert stopped(signal.SIGTERM, signal.SIGINT, how="hangs") == (143, "stopping\n")


def test_what_was_ignored_still_is():
    assert stopped(signal.SIGHUP, signal.SIGTERM, how="ignored") == (143, "stopping\n")


def test_the_exit_code_is_known_from_what_was_raised_of_it():
    assert exit_code(KeyboardInterrupt()) == 130
    aborted = click.Abort()
    aborted.__cause__ = Stopped(signal.SIGTERM)
    assert exit_code(aborted) == 143
    assert exit_code(click.Abort()) == 130
