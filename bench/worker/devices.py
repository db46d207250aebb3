"""Devices by name, and how a process is prepared for one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.planning.jobs import DeviceKind

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """A place to compute: ``cpu``, ``cpu/1`` (one thread), ``cuda:1``, ``mps``.

    Its kind is a part of what a training is; its name says where on a machine that is done, and
    what a timing is of.
    """

    name: str
    kind: DeviceKind
    threads: int | None
    """CPU threads that its name states; None: it states none."""

    @classmethod
    def parse(cls, name: str) -> Device:
        """Reads a device name; ``cuda`` is ``cuda:0``, so that one device has one name.

        Raises:
            BenchError: for a name that means nothing. Whether the device exists is not asked.
        """
        match = re.fullmatch(r"cpu(?:/([1-9][0-9]{0,3}))?|(cuda)(?::([0-9]{1,3}))?|(mps)", name)
        if match is None:
            raise BenchError(
                f"no device is called {reprlib.repr(name)}; use cpu, cpu/1 (one thread), cuda, "
                "cuda:1 or mps"
            )
        if match[2]:
            return cls(f"cuda:{int(match[3] or 0)}", "cuda", None)
        if match[4]:
            return cls(name, "mps", None)
        return cls(name, "cpu", int(match[1]) if match[1] else None)

    def check(self) -> None:
        """Raises a `BenchError` where this machine has no such device."""
        if self.kind == "cpu":
            return
        import torch

        if self.kind == "cuda":
            count = torch.cuda.device_count()
            if (self.number or 0) >= count:
                found = f"{count} CUDA devices are" if count else "no CUDA device is"
                raise BenchError(
                    f"{self.name} is not here: {found} visible to torch; `bench doctor` lists the "
                    "devices, cpu is always one"
                )
        if self.kind == "mps" and not torch.backends.mps.is_available():
            raise BenchError("mps is not here: torch finds no Apple GPU; use cpu")

    @property
    def torch(self) -> torch.device:
        """The device as torch knows it. A process that sees one GPU has that one, whatever its
        number is where it was named: executors let each process see one."""
        import torch

        if self.kind == "cuda" and torch.cuda.device_count() == 1:
            return torch.device("cuda:0")
        return torch.device(self.name.partition("/")[0])

    @property
    def number(self) -> int | None:
        """Of a GPU; None of what is no GPU."""
        return int(self.name.partition(":")[2]) if self.kind == "cuda" else None

    def use(self, threads: int | None = None) -> None:
        """Prepares this process: threads, memory, and deterministic algorithms where they are free.

        Args:
            threads: CPU threads; None: those that its name states, else all cores.
        """
        import torch

        torch.set_num_threads(threads or self.threads or cores())
        if self.kind == "cpu":
            keep_memory()
            settle_maths()
        if self.kind == "cuda":
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            allow_tf32(False)  # fp32 is what it is on a CPU

    def synchronise(self) -> None:
        """Waits until the device has done everything it was asked for."""
        import torch

        if self.kind == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.kind == "mps":
            torch.mps.synchronize()


def seed_generators(seed: int) -> None:
    """`torch.manual_seed`, for the devices that are in use.

    torch keeps the seed also for a GPU that may still be asked for, with the traceback of the call:
    longer than an episode takes to draw.

    Args:
        seed: of 63 bits.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def allow_tf32(allowed: bool) -> None:
    """Says whether CUDA may round the factors of products and convolutions in fp32 to 10 bits
    (TF32). torch allows it in convolutions by default, where it moves the gradient of Conv4 by some
    percent from what a CPU computes.

    torch 2.9 has a second set of switches, and complains where the two disagree: both are set.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed
    switches: list[Any] = [torch.backends.cuda.matmul]
    switches += [getattr(torch.backends.cudnn, name, None) for name in ("conv", "rnn")]
    for switch in switches:
        if hasattr(switch, "fp32_precision"):
            switch.fp32_precision = "tf32" if allowed else "ieee"


def keep_memory() -> None:
    """Tells glibc to keep freed memory instead of giving it back to the system.

    By default every tensor of a megabyte is mapped, zeroed page by page and unmapped again; without
    that, meta-training Conv4 takes 28 % less time on a CPU and answering 40 % less (measured with
    360 images of 28x28 in fp32). Elsewhere than with glibc this does nothing.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(m_mmap_threshold, 2**30)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def settle_maths() -> None:
    """Calls every function of MKL's vector maths once, from one thread.

    The first call of one in a process chooses its accuracy, without a lock: where two threads make
    it together, one of them may compute that call with 11 bits of mantissa. In Adam's first update
    half of a weight matrix then differs by 1e-4 of the step, in 1 of 60 trainings of a tiny learner
    on a busy machine (torch 2.13 with MKL 2024.2), and the same cell twice is not the same.
    """
    import torch

    ones = torch.ones(4)  # too few for a second thread
    for name in (
        "acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "erfinv", "exp", "expm1", "log",
        "log10", "log1p", "log2", "rsqrt", "sin", "sinh", "sqrt", "tan", "tanh",
    ):  # fmt: skip
        for numbers in (ones, ones.double()):
            getattr(torch, name)(numbers)


def cores() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
