"""Killed at random moments, on a disk that fills up at a random byte: a run that is given again
ends like one that nothing has disturbed."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.damage import results_of
from tests.helpers.killed import finished_files, start

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def undisturbed(suites: list[Path], results: Path, **asked: object) -> float:
    """Runs to the end; gives the seconds that took."""
    began = time.monotonic()
    run = start(suites, results, **asked)
    output, _ = run.communicate()
    assert run.returncode == 0, output
    return time.monotonic() - began


def kill_often(
    suites: list[Path], results: Path, kills: int, whole: float, anew: bool, **asked: object
) -> None:
    """Kills a run after a random time, so often; what was finished is never computed again.

    Args:
        suites: what is run.
        results: where.
        kills: how often.
        whole: seconds of an undisturbed run.
        anew: whether a run that ended is begun from nothing, so that there is something to kill.
        asked: of `start`.
    """
    moments, finished, killed = random.Random(7), {}, 0
    while killed < kills:
        process = start(suites, results, **asked)
        # The first quarter is imports: a kill there would prove little.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=moments.uniform(0.25, 0.9) * whole)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        output, _ = process.communicate()
        now = finished_files(results)
        assert finished.items() <= now.items(), "something finished was computed again"
        finished = now
        if process.returncode >= 0:
            assert process.returncode == 0, output
            if not anew:
                break
            for file in finished:
                file.unlink()
            finished = {}
    assert killed, "no run was killed"


def test_killed_at_random_moments_it_ends_like_an_undisturbed_run(tiny_suite, tmp_path):
    asked = {"learners": ("nearest-code", "untrained")}
    whole = undisturbed([tiny_suite], tmp_path / "whole", **asked)
    kill_often([tiny_suite], tmp_path / "killed", 2, whole, anew=False, **asked)
    undisturbed([tiny_suite], tmp_path / "killed", **asked)
    assert results_of(tmp_path / "killed") == results_of(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_hundred_kills(jobs, tiny_suite, tiny_online, tmp_path):
    suites, asked = [tiny_suite, tiny_online], {"jobs": jobs}
    whole = undisturbed(suites, tmp_path / "whole", **asked)
    kill_often(suites, tmp_path / "killed", 50, whole, anew=True, **asked)
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
