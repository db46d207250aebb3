"""The one resizing method: area averaging, exact in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 2**23
"""Pixels of the source resized at once: bounds the working memory (float32: 32 MiB)."""


def area_average(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Averages each target pixel over the part of the source that it covers.

    With source side ``s`` and target side ``t``, a target pixel covers ``s/t`` by ``s/t`` source
    pixels, the ones at its border in part; height and width have a side ``s`` of their own. All
    coordinates are multiplied by ``t``, which makes every weight an integer. The sums are at most
    ``255 h w``: up to 256x256 pixels below 2**24, where float32 is exact, and beyond that float64
    is. So the result is the same on every machine: the mean, rounded half up.

    Args:
        images: (M, h, w).
        size: the target side t, 1 or more.

    Returns:
        (M, t, t) uint8.
    """
    count, height, width = images.shape
    if size == height == width:
        return images
    area = height * width
    exact: type[Any] = np.float32 if area <= 2**16 else np.float64
    rows, columns = (_weights(side, size).astype(exact) for side in (height, width))
    result = np.empty((count, size, size), dtype=np.uint8)
    step = max(1, CHUNK // area)
    for start in range(0, count, step):
        part = images[start : start + step]
        narrow = np.empty((len(part), height, size), dtype=exact)
        band = max(1, CHUNK // (width * len(part)))
        for top in range(0, height, band):  # one, but for images that are larger than a chunk
            narrow[:, top : top + band] = part[:, top : top + band].astype(exact) @ columns.T
        sums = (rows @ narrow).astype(np.int64)  # (m, t, t)
        result[start : start + step] = (2 * sums + area) // (2 * area)
    return result


def _weights(side: int, size: int) -> NDArray[np.int64]:
    """(t, s): overlap of [i s, i s + s) with [j t, j t + t); each row sums to s."""
    low, edge = np.arange(size) * side, np.arange(side) * size
    overlap = np.minimum(low[:, None] + side, edge + size) - np.maximum(low[:, None], edge)
    return overlap.clip(min=0)
