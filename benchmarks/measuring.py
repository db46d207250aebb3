"""Medians of interleaved calls, what the machine can do, and what a call has to multiply."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from bench.worker.devices import allow_tf32

CPU = torch.device("cpu")

WARM_UPS = {"cpu": 2, "cuda": 4}
"""Calls that do not count: the first ones ask the system for memory, half a million pages of it in
a large batch, and on a GPU they choose kernels."""
REPEAT_SECONDS, MOST_REPEATS = 0.1, 100
"""A call that is over in some milliseconds is repeated more often than asked: for so long for each
repeat, and so often at most."""


def interleaved(
    calls: Mapping[str, Callable[[], Any]], repeats: int, device: torch.device = CPU
) -> dict[str, float]:
    """Median seconds of each call, all of them in turn, after some of each that do not count.

    On a CPU the processor time of this process, which has one thread, not the time on the wall:
    another process on the machine takes the wall's. What it does to caches it does to all of them
    alike. On a GPU the time on the wall, the device synchronised around each call.
    """
    cuda = device.type == "cuda"
    now = time.perf_counter if cuda else time.process_time
    times: dict[str, list[float]] = {name: [] for name in calls}

    def one_of_each(wanted: Mapping[str, int] | None) -> None:
        for name, call in calls.items():
            if wanted is not None and len(times[name]) >= wanted[name]:
                continue
            synchronise(device)
            started = now()
            call()
            synchronise(device)
            times[name].append(now() - started)

    for _ in range(WARM_UPS[device.type]):
        one_of_each(None)
    wanted = {
        name: max(repeats, min(MOST_REPEATS, int(repeats * REPEAT_SECONDS / max(found[-1], 1e-6))))
        for name, found in times.items()
    }
    times = {name: [] for name in calls}
    while any(len(found) < wanted[name] for name, found in times.items()):
        one_of_each(wanted)
    return {name: statistics.median(found) for name, found in times.items()}


def synchronise(device: torch.device) -> None:
    """Waits until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def on_the_wall(call: Callable[[], Any], repeats: int) -> float:
    """Median seconds on the wall, of what other processes do."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


# -- precisions -----------------------------------------------------------------------------------


def precisions(device: torch.device) -> tuple[str, ...]:
    """``fp32``: nothing is rounded; ``tf32``: inputs of products and convolutions to 10 bits of
    mantissa, on a GPU that has it; ``bf16``: autocast."""
    return ("fp32", "tf32", "bf16") if device.type == "cuda" else ("fp32", "bf16")


@contextmanager
def tensor_cores(precision: str) -> Iterator[None]:
    """Whether products and convolutions in float32 may be rounded to TF32; afterwards they may not,
    as in bench's own trainings."""
    allow_tf32(precision == "tf32")
    try:
        yield
    finally:
        allow_tf32(False)


def under(precision: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """The same call with TF32 where that is the precision, and without where it is not. Autocast is
    the call's own: an update is not all under it."""

    def within() -> Any:
        with tensor_cores(precision):
            return call()

    return within


# -- what is to be multiplied ---------------------------------------------------------------------


def product_peak(
    repeats: int, size: int = 1024, device: torch.device = CPU, precision: str = "fp32"
) -> float:
    """Floating-point operations per second of a large product of matrices."""
    one, other = torch.rand(2, size, size, device=device)

    def product() -> Tensor:
        with tensor_cores(precision):
            return one @ other

    if precision == "bf16":  # autocast would round them anew each time
        one, other = one.bfloat16(), other.bfloat16()
    return 2 * size**3 / interleaved({"product": product}, repeats, device)["product"]


def _recurrent(times: int) -> Callable[..., int]:
    """Operations of one of torch's recurrent layers, of which torch's own counter knows nothing:
    each weight is used once for each step of each sequence.

    Args:
        times: 1 forward, 2 backward.
    """

    def count(x: Any, weight: Any, *others: Any, **_: Any) -> int:
        weights = [weight, others[0]] if isinstance(weight, torch.Size) else weight
        used = sum(rows * columns for rows, columns in (one for one in weights if len(one) == 2))
        return times * 2 * x[0] * x[1] * used

    return count


def operations(call: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products, convolutions and recurrent layers of a
    call."""
    from torch.utils.flop_counter import FlopCounterMode

    aten = torch.ops.aten
    layers = {
        aten.mkldnn_rnn_layer: _recurrent(1),
        aten.mkldnn_rnn_layer_backward: _recurrent(2),
        aten._cudnn_rnn: _recurrent(1),
        aten._cudnn_rnn_backward: _recurrent(2),
    }
    with FlopCounterMode(display=False, custom_mapping=layers) as counter:
        call()
    return int(counter.get_total_flops())


def share_of_peak(count: int, seconds: float, peak: float | None) -> float | None:
    """Which part of what the machine can multiply is reached."""
    return None if peak is None else count / seconds / peak


def peak_memory(call: Callable[[], Any], device: torch.device) -> int | None:
    """Bytes that torch has allocated at most during a call; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return int(torch.cuda.max_memory_allocated(device))
