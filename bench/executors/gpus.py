"""The GPUs of this machine: which there are, and which one a process is to see."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from bench.api import BenchError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that CUDA looks at: numbers or names, separated by commas."""


def visible_gpus() -> list[str]:
    """What `VISIBLE` says, or would say if it were set, one entry for each GPU."""
    import torch

    count = torch.cuda.device_count()
    stated = os.environ.get(VISIBLE)
    if stated is None:
        return [str(number) for number in range(count)]
    return [name.strip() for name in stated.split(",") if name.strip()][:count]


def choose_gpu(gpus: list[str], wanted: int | None, taken: Iterable[str]) -> str:
    """The GPU for a process: the one that is wanted, else one that the fewest have.

    Args:
        gpus: those that are visible.
        wanted: place of one among them; None: any.
        taken: the GPU of each process that works now.

    Raises:
        BenchError: there is none, or not that one.
    """
    if not gpus or (wanted or 0) >= len(gpus):
        raise BenchError(f"cuda:{wanted or 0} is not here: {len(gpus)} GPUs are visible")
    if wanted is not None:
        return gpus[wanted]
    users = Counter(taken)
    return min(gpus, key=lambda gpu: users[gpu])
