"""What an import may not change: what torch and Python are for everybody."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """Something that holds for the whole process."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]


@contextmanager
def unchanged(*, torch: bool = True) -> Iterator[None]:
    """Puts back, at the end, whatever of it was changed: what one package sets when it is imported
    would otherwise decide what the learners of others compute.

    Args:
        torch: also what torch is for everybody, which imports it.
    """
    settings = [*of_python(), *(of_torch() if torch else ())]
    before = [(setting, setting.get()) for setting in settings]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for setting, value in before:
            if not _same(setting.get(), value):
                setting.put(value)


def of_python() -> list[Setting]:
    """Environment, folder, random numbers, limits, standard streams."""
    import numpy as np

    return [
        Setting("environment", lambda: dict(os.environ), _put_environment),
        Setting("folder", os.getcwd, os.chdir),
        Setting("random", random.getstate, random.setstate),
        Setting("numpy's random", np.random.get_state, np.random.set_state),
        Setting("numpy's errors", np.geterr, lambda value: np.seterr(**value)),
        Setting("recursion", sys.getrecursionlimit, sys.setrecursionlimit),
        Setting("output", lambda: (sys.stdout, sys.stderr), _put_streams),
    ]


def of_torch() -> list[Setting]:
    """What torch computes with where nothing is said."""
    import torch

    return [
        Setting("dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("gradients", torch.is_grad_enabled, torch.set_grad_enabled),
        Setting("device", torch.get_default_device, _put_device),
        Setting("threads", torch.get_num_threads, torch.set_num_threads),
        Setting("torch's random", torch.get_rng_state, torch.set_rng_state),
        Setting(
            "deterministic",
            lambda: (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        ),
        Setting(
            "precision of products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        Setting(
            "autocast",
            lambda: torch.is_autocast_enabled("cpu"),
            lambda value: torch.set_autocast_enabled("cpu", value),
        ),
        Setting("anomalies", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
        *(_of_cudnn(name) for name in ("enabled", "benchmark", "deterministic", "allow_tf32")),
    ]


def _of_cudnn(name: str) -> Setting:
    from torch.backends import cudnn

    return Setting(
        f"cudnn.{name}", lambda: getattr(cudnn, name), lambda value: setattr(cudnn, name, value)
    )


def _same(one: Any, other: Any) -> bool:
    """Whether nothing was changed; the states of generators hold arrays."""
    import numpy as np

    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(np.array_equal(one, other)) if hasattr(one, "shape") else bool(one == other)


def _put_environment(value: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(value)


def _put_device(value: Any) -> None:
    import torch

    # naming the CPU too would cost every call of torch a look at it
    torch.set_default_device(None if value == torch.device("cpu") else value)


def _put_streams(value: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = value
