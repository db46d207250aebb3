"""Peak memory is that of the work, not of what the process did before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.worker.devices import Device
from bench.worker.memory import PROCESS, Peak

CPU = Device.parse("cpu/1")
MIB = 2**20
linux = pytest.mark.skipif(
    not (PROCESS / "clear_refs").exists(), reason="a peak can be set back on Linux only"
)


def status(folder: Path, high: int, now: int) -> Path:
    """A folder as of a process in ``/proc``, in KiB."""
    folder.mkdir(exist_ok=True)
    (folder / "status").write_text(f"Name:\tpython\nVmHWM:\t{high:8} kB\nVmRSS:\t{now:8} kB\n")
    return folder


def test_nothing_watched_is_nothing_known() -> None:
    assert Peak(CPU).bytes is None


@linux
def test_what_is_allocated_while_it_is_watched_counts() -> None:
    def watched(mebibytes: int) -> int:
        peak = Peak(CPU)
        with peak.watched():
            torch.ones(mebibytes * MIB // 4)
        assert peak.bytes is not None
        return peak.bytes

    assert 250 * MIB < watched(300) - watched(1) < 350 * MIB


ORDER = """
import torch
from bench.worker.devices import Device
from bench.worker.memory import Peak

device = Device.parse("cpu/1")
device.use()  # glibc keeps what is freed, as in a worker
found = []
for before in (0, 400, 0):
    kept = [torch.ones(2**18) for _ in range(before)]
    del kept
    peak = Peak(device)
    for _ in range(2):
        with peak.watched():
            torch.ones(20 * 2**18)
    found.append(peak.bytes)
print(*found)
"""


@linux
def test_what_was_timed_before_does_not_count() -> None:
    """400 MiB come and go before the second of three pieces of the same work."""
    ran = subprocess.run([sys.executable, "-c", ORDER], capture_output=True, text=True, check=True)
    found = [int(word) for word in ran.stdout.split()]
    assert len(found) == 3
    assert max(found) - min(found) < 50 * MIB


def test_the_highest_of_several_stretches_is_told(tmp_path: Path) -> None:
    peak = Peak(CPU, status(tmp_path, 1000, 1000))
    for high in (5000, 3000):
        status(tmp_path, 1000, 1000)
        with peak.watched():
            status(tmp_path, high, 1000)
    assert peak.bytes == 5000 * 1024


def test_a_peak_that_is_not_set_back_is_not_told(tmp_path: Path) -> None:
    """A system that takes the word and does nothing, one that refuses it, and one without."""
    silent = Peak(CPU, status(tmp_path / "silent", 90_000, 50_000))
    refusing = status(tmp_path / "refusing", 50_000, 50_000)
    (refusing / "clear_refs").mkdir()
    (tmp_path / "other").mkdir()
    for peak in (silent, Peak(CPU, refusing), Peak(CPU, tmp_path / "other")):
        with peak.watched():
            pass
        assert peak.bytes is None
    mps = Peak(Device.parse("mps"))
    with mps.watched():
        pass
    assert mps.bytes is None


def test_one_stretch_that_is_not_known_makes_all_unknown(tmp_path: Path) -> None:
    peak = Peak(CPU, status(tmp_path, 1000, 1000))
    for high in (1000, 90_000):
        status(tmp_path, high, 1000)
        with peak.watched():
            pass
    assert peak.bytes is None


def test_cuda_s_statistics_are_set_back_first(monkeypatch: pytest.MonkeyPatch) -> None:
    highest = {"bytes": 900}
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: highest.update(bytes=100)
    )
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: highest["bytes"])
    peak = Peak(Device.parse("cuda:0"))
    with peak.watched():
        highest["bytes"] += 50
    assert peak.bytes == 150
