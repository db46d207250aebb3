"""The most memory that something takes on a device, and nothing of what came before it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from bench.worker.devices import Device

PROCESS = Path("/proc/self")
SLACK = 16 * 2**20
"""Bytes by which the peak of a process may exceed what it has resident right after a reset: the
kernel counts pages in batches for each core."""


class Peak:
    """The highest memory over all stretches of work that were watched.

    A peak of a whole process, or of torch's allocator since it began, would depend on what was done
    in it before: it is set back at the beginning of each stretch. On a CPU, what the process keeps
    of freed memory (`bench.worker.devices.keep_memory`) is given back first, for the same reason.

    Args:
        device: where the work is done.
        process: folder of this process in ``/proc``.
    """

    def __init__(self, device: Device, process: Path = PROCESS) -> None:
        self._device, self._process = device, process
        self._known, self._highest = True, 0

    @property
    def bytes(self) -> int | None:
        """Allocated by torch on CUDA; on a CPU what the process had resident, PyTorch and the pages
        of data that it read included. None before any stretch, and where a peak cannot be set back:
        on other devices and systems than Linux, and where it does not let a process do so."""
        return self._highest if self._known and self._highest else None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """A stretch of work."""
        read = self._reset()
        yield
        if read is None:
            self._known = False
        else:
            self._highest = max(self._highest, read())

    def _reset(self) -> Callable[[], int] | None:
        """Sets the peak back and says how it is read; None where it cannot be set back."""
        if self._device.kind == "cuda":
            gc.collect()
            torch.cuda.reset_peak_memory_stats(self._device.torch)
            return lambda: int(torch.cuda.max_memory_allocated(self._device.torch))
        return self._highest_resident if self._device.kind == "cpu" and self._cleared() else None

    def _cleared(self) -> bool:
        """Whether Linux has set back what the process had resident at most; see proc(5)."""
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        try:
            (self._process / "clear_refs").write_text("5")
            # Some sandboxes take the word and do nothing.
            return self._status("VmHWM") <= self._status("VmRSS") + SLACK
        except (OSError, LookupError):
            return False

    def _highest_resident(self) -> int:
        return self._status("VmHWM")

    def _status(self, key: str) -> int:
        """Bytes.

        Raises:
            LookupError: the system does not say.
        """
        found = re.search(rf"^{key}:\s+(\d+) kB$", (self._process / "status").read_text(), re.M)
        if found is None:
            raise LookupError(key)
        return 1024 * int(found[1])
