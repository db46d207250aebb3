"""The one resizing method: area averaging, exact in integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 2048
"""Images resized at once: bounds the working memory (105x105 float32: 90 MB)."""


def area_average(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Averages each target pixel over the part of the source that it covers.

    With source side ``s`` and target side ``t``, a target pixel covers ``s/t`` by ``s/t`` source
    pixels, the ones at its border in part. All coordinates are multiplied by ``t``, which makes
    every weight an integer; the sums stay below 2**24, where float32 is exact. So the result is the
    same on every machine: the mean, rounded half up.

    Args:
        images: (M, s, s), with s at most 256.
        size: the target side t, 1 or more.

    Returns:
        (M, t, t) uint8.
    """
    count, side, _ = images.shape
    if size == side:
        return images
    low, edge = np.arange(size) * side, np.arange(side) * size
    # weights[i, j]: overlap of [low_i, low_i + s) with [edge_j, edge_j + t); each row sums to s.
    overlap = np.minimum(low[:, None] + side, edge + size) - np.maximum(low[:, None], edge)
    weights = overlap.clip(min=0).astype(np.float32)  # (t, s)
    result = np.empty((count, size, size), dtype=np.uint8)
    for start in range(0, count, CHUNK):
        part = images[start : start + CHUNK].astype(np.float32)
        sums = (weights @ (part @ weights.T)).astype(np.int64)  # (m, t, t)
        result[start : start + CHUNK] = (2 * sums + side**2) // (2 * side**2)
    return result
