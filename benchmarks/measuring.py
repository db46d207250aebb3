"""Medians of interleaved calls, and what the processor can do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def interleaved(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each call, all of them in turn, after one of each.

    The CPU time of this one thread, not the time on the wall: another process on the machine takes
    the wall's. What it does to caches it does to all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            started = time.process_time()
            call()
            if repeat:  # the first of each warms up
                times[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def product_peak(repeats: int, size: int = 1024) -> float:
    """Floating-point operations per second of a large product of matrices in float32."""
    one, other = torch.rand(size, size), torch.rand(size, size)
    return 2 * size**3 / interleaved({"product": lambda: one @ other}, repeats)["product"]


def operations(call: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products and convolutions of a call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())
