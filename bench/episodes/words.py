"""All that is random: the words of a counter-based generator, and what is made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


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
