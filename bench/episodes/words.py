"""All that is random: the words of a counter-based generator, and what is made of them."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.api.dataset import IntArray

Keys = NDArray[np.uint64]
Number = TypeVar("Number", bound=np.generic)

LAST_KEY = np.iinfo(np.uint64).max


class Purpose(IntEnum):
    """What a batch is for; batches of different purposes share no random word."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    SHOTS = 3
    """And the items of a memory probe."""
    TORCH = 4


def random_words(seed: int, purpose: Purpose, number: int, count: int) -> Keys:
    """The first `count` 64-bit words of the stream (seed, purpose, number)."""
    generator = _generators.philox
    key = np.array([seed, (int(purpose) << 56) | number], dtype=np.uint64)
    generator.state = _at_start(key)
    return generator.random_raw(count)


_ZEROS = np.zeros(4, dtype=np.uint64)


def _at_start(key: Keys) -> Any:
    """The state of a new generator."""
    return {
        "bit_generator": "Philox", "state": {"counter": _ZEROS, "key": key},
        "buffer": _ZEROS, "buffer_pos": 4, "has_uint32": 0, "uinteger": 0,
    }  # fmt: skip


class _Generators(threading.local):
    """One generator for each thread, to be put into the state of a new one: a new one would first
    ask the system for entropy that a key makes useless."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)


_generators = _Generators()


def smallest(keys: Keys, count: int) -> IntArray:
    """Positions of the `count` smallest keys of each row, smallest first: (..., count)."""
    if count < keys.shape[-1]:
        chosen = np.argpartition(keys, count, axis=-1)[..., :count]
        order = np.argsort(taken(keys, chosen), axis=-1, kind="stable")
        return taken(chosen, order)
    return np.argsort(keys, axis=-1, kind="stable")


def taken(values: NDArray[Number], positions: IntArray) -> NDArray[Number]:
    """What stands at some positions (..., K) of each row of values (..., W), along the last axis:
    (..., K). `numpy.take_along_axis`, in half the time for arrays as small as episodes are."""
    rows = math.prod(positions.shape[:-1])
    columns = positions.reshape(rows, positions.shape[-1])  # a width of 0 has no -1
    found = values.reshape(rows, values.shape[-1])[np.arange(rows)[:, None], columns]
    return found.reshape(positions.shape)


def torch_seed(seed: int, update: int) -> int:
    """The seed that torch gets before an update, so that resuming needs no generator state."""
    return int(random_words(seed, Purpose.TORCH, update, 1)[0] >> np.uint64(1))


def seeded_order(seed: str, names: Iterable[str]) -> list[str]:
    """The names in a random order: sorted by the sha256 of seed and name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def uniform(key: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers in [0, 1): the upper 53 bits of Philox 4x64's raw output.

    A bit generator's raw stream is part of numpy's promise of compatibility; what its
    distributions make of it is not.
    """
    raw = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return (raw >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53
