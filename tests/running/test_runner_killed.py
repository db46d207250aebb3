"""Killed at random moments, on a disk that fills up at a random byte: a run that is given again
ends like one that nothing has disturbed."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.helpers.damage import results_of
from tests.helpers.killed import finished_files, start

pytestmark = pytest.mark.usefixtures("tiny_plugins")


LEARNERS = ("nearest-code", "untrained")
"""One that is trained and one that is not: the shorter a run, the more of it can be killed."""


def undisturbed(suites: list[Path], results: Path, **asked: object) -> None:
    """Runs to the end."""
    run = start(suites, results, **asked)
    output, _ = run.communicate()
    assert run.returncode == 0, output


def kill_often(suites: list[Path], results: Path, kills: int, anew: bool, **asked: object) -> None:
    """Kills a run at a random moment, so often; what was finished is never computed again.

    A moment is a number of things that the run has told, and a part of a second: on a busy machine
    as on an idle one it lies in the work and not in the imports before it.

    Args:
        suites: what is run.
        results: where.
        kills: how often.
        anew: whether a run that ended is begun from nothing, so that there is something to kill.
        asked: of `start`.
    """
    moments, finished, killed = random.Random(7), {}, 0
    while killed < kills:
        process = start(suites, results, **asked)
        told, delay = moments.randint(0, 4), moments.expovariate(8)
        assert process.stdout is not None
        # The first line tells what there is to do, each other one what was begun, done or kept.
        output = [*islice(process.stdout, 1 + told)]
        time.sleep(delay)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        output.append(process.communicate()[0])
        killed += process.returncode == -signal.SIGKILL
        now = finished_files(results)
        assert finished.items() <= now.items(), "something finished was computed again"
        finished = now
        if process.returncode >= 0:
            assert process.returncode == 0, "".join(output)
            if not anew:
                break
            for file in finished:
                file.unlink()
            finished = {}
    assert killed, "no run was killed"


def test_killed_at_random_moments_it_ends_like_an_undisturbed_run(tiny_suite, tmp_path):
    asked = {"learners": LEARNERS}
    undisturbed([tiny_suite], tmp_path / "whole", **asked)
    kill_often([tiny_suite], tmp_path / "killed", 2, anew=False, **asked)
    undisturbed([tiny_suite], tmp_path / "killed", **asked)
    assert results_of(tmp_path / "killed") == results_of(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_hundred_kills(jobs, tiny_suite, tiny_online, tmp_path):
    """Fifty with one job and fifty with two."""
    suites, asked = [tiny_suite, tiny_online], {"jobs": jobs, "learners": LEARNERS}
    undisturbed(suites, tmp_path / "whole", **asked)
    kill_often(suites, tmp_path / "killed", 50, anew=True, **asked)
    undisturbed(suites, tmp_path / "killed", **asked)
    assert results_of(tmp_path / "killed") == results_of(tmp_path / "whole")


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_disk_that_fills_up_costs_nothing_that_was_finished(tiny_suite, tmp_path):
    asked = {"learners": ("nearest-code",), "jobs": 1}
    undisturbed([tiny_suite], tmp_path / "whole", **asked)
    whole, used = results_of(tmp_path / "whole"), 2**19
    moments = random.Random(3)
    for _ in range(20):
        with small_disk(tmp_path / "disk", 2**21) as disk:
            room = moments.randrange(0, used)
            fill = disk / "fill"
            fill.write_bytes(bytes(max(0, 2**21 - 2**14 - room)))
            run = start([tiny_suite], disk / "r", **asked)
            output, _ = run.communicate()
            assert run.returncode in (0, 1, 2), output
            assert "Traceback (most recent" not in output, output
            fill.unlink()
            again = start([tiny_suite], disk / "r", "--retry-failed", **asked)
            output, _ = again.communicate()
            assert again.returncode == 0, output
            assert results_of(disk / "r") == whole
