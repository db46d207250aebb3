"""Arrays become what decoded files would have been."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from bench.trained.images import as_inputs


def colours(side: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, side, side + 4, 3), np.uint8)


def test_grey_is_pillows_grey_to_the_bit():
    """A colour image as an array, and the same by Pillow's ``convert("L")``."""
    pictures = [Image.fromarray(image) for image in colours()]
    by_array = as_inputs(colours(), (1, 28, 28))
    assert torch.equal(by_array, as_inputs(pictures, (1, 28, 28)))
    assert torch.equal(by_array, as_inputs([p.convert("L") for p in pictures], (1, 28, 28)))


def test_colour_stays_and_grey_becomes_three_channels():
    square = colours(28)[:, :, :28]
    found = as_inputs(square, (3, 28, 28))
    assert torch.equal((found * 255).round().byte(), torch.from_numpy(square).permute(0, 3, 1, 2))
    grey = as_inputs(np.full((1, 28, 28), 51, np.uint8), (3, 28, 28))
    assert grey.shape == (1, 3, 28, 28)
    assert torch.allclose(grey, torch.tensor(0.2))


def test_bool_is_black_and_white_and_inverted_white_and_black():
    white = np.ones((1, 8, 8), bool)
    assert as_inputs(white, (1, 8, 8)).unique().tolist() == [1.0]
    assert as_inputs(white, (1, 8, 8), invert=True).unique().tolist() == [0.0]
