"""Deforms letters as a hand would: affine, elastic, stroke width; the same on every machine.

A pixel ``(y, x)`` of the result is looked up in the letter at ``W C W^T [y, x]``, once with the
coefficients ``C`` for rows and once with those for columns. The columns of ``W`` are one, the
position, and six cubic B-splines: the first two make the affine map, the splines bend it (elastic
deformation on a coarse grid: Simard, Steinkraus, Platt 2003, Section 2, with splines in place of
the Gaussian filter). All numbers are integers below 2**24, where float32 products are exact in any
order of summation, so that no library changes a pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.episodes.words import uniform

SIDE = 105
"""Height and width of the result, as in Omniglot."""
SOURCE = 192
"""Side of the square that holds the letter."""
LONGEST = 144
"""A letter higher or wider than that is made smaller, pixels of the source."""
STEP = 1.5
"""Pixels of the source per pixel of the result, before deformation."""
AFFINE = 0.13
"""Largest change of each entry of the 2x2 matrix, relative to `STEP`."""
SHIFT = 6
"""Largest shift in each direction, pixels of the source."""
BEND = 17
"""Largest displacement of a spline's control point, pixels of the source."""
STROKES = (-1, 0, 1, 2)
"""By how many pixels of the source the stroke's edges move outwards."""
SPLINES = 6
UNIT = 128
"""Integers per one, in W."""
SCALE = 2**16
"""Integers per pixel of the source, in W C W^T."""


def hand_drawn(masks: tuple[NDArray[np.bool_], ...], seed: int, drawings: int) -> NDArray[np.bool_]:
    """Deformed copies of a letter, its faces taken in turn from a random order.

    Args:
        masks: the letter in several faces, each (height, width).
        seed: decides all drawings of this letter.
        drawings: how many.

    Returns:
        (drawings, 105, 105), True where there is ink.
    """
    numbers = uniform(seed, (drawings, 2 * SPLINES**2 + 8))
    bend, affine, shift, stroke, face = np.split(
        numbers, np.cumsum([2 * SPLINES**2, 4, 2, 1]), axis=1
    )
    order = np.argsort(face[: len(masks), 0], kind="stable")  # a random order of the faces
    chosen = [masks[order[i % len(order)]] for i in range(drawings)]
    widths = (stroke[:, 0] * len(STROKES)).astype(int)
    source = np.stack(
        [_thicken(_centred(m), STROKES[w]) for m, w in zip(chosen, widths, strict=True)]
    )
    where = _lookup(_coefficients(bend, affine, shift))  # (drawings, 2, 105, 105)
    index = where[:, 0] * SOURCE + where[:, 1]
    return np.take_along_axis(source.reshape(drawings, -1), index.reshape(drawings, -1), 1).reshape(
        drawings, SIDE, SIDE
    )


def _coefficients(
    bend: NDArray[np.float64], affine: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float32]:
    """C (drawings, 2, 8, 8), from numbers in [0, 1)."""
    per_pixel, per_step = SCALE / UNIT**2, SCALE / UNIT
    c = np.zeros((len(bend), 2, 2 + SPLINES, 2 + SPLINES))
    c[:, :, 2:, 2:] = (2 * bend - 1).reshape(-1, 2, SPLINES, SPLINES) * BEND * per_pixel
    matrix = np.eye(2) + (2 * affine - 1).reshape(-1, 2, 2) * AFFINE
    c[:, :, 1, 0] = matrix[:, :, 0] * STEP * per_step  # times the row
    c[:, :, 0, 1] = matrix[:, :, 1] * STEP * per_step  # times the column
    c[:, :, 0, 0] = (SOURCE / 2 + (2 * shift - 1) * SHIFT) * per_pixel
    return np.floor(c).astype(np.float32)


def _basis() -> NDArray[np.float32]:
    """W (105, 8): one, position from the middle, cubic B-splines; integers."""
    position = np.arange(SIDE) - SIDE // 2
    t = np.arange(SIDE)[:, None] * (SPLINES - 3) / SIDE - np.arange(SPLINES) + 1  # from its centre
    near, far = np.abs(t).clip(max=1), np.abs(t).clip(1, 2)
    spline = np.where(np.abs(t) < 1, 4 - 6 * near**2 + 3 * near**3, (2 - far) ** 3) / 6
    columns = [np.full(SIDE, UNIT), position, *np.rint(UNIT * spline).T]
    return np.stack(columns, axis=1).astype(np.float32)


W = _basis()


def _lookup(coefficients: NDArray[np.float32]) -> NDArray[np.int32]:
    """W C W^T in whole pixels of the source, inside it: (..., 8, 8) to (..., 105, 105)."""
    exact = W @ (coefficients @ W.T)
    return (exact * np.float32(1 / SCALE)).clip(0, SOURCE - 1).astype(np.int32)


def _centred(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The letter in the middle of the source square, made smaller where it would not fit."""
    longest = max(mask.shape)
    if longest > LONGEST:
        height, width = (np.arange(n * LONGEST // longest) * longest // LONGEST for n in mask.shape)
        mask = mask[height[:, None], width]
    square = np.zeros((SOURCE, SOURCE), dtype=np.bool_)
    top, left = ((SOURCE - n) // 2 for n in mask.shape)
    square[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return square


def _thicken(ink: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Moves the edges outwards by some pixels; inwards where negative."""
    paper = by < 0
    ink = ink ^ paper
    for _ in range(abs(by)):
        for axis in (0, 1):
            ink = ink | np.roll(ink, 1, axis) | np.roll(ink, -1, axis)
    return ink ^ paper
