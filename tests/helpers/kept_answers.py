"""Answers beside synthetic cells, as `bench run --store answers` keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.store.answers import keep_answers


def write_answers(cell: Path, right: float = 0.7, episodes: int = 20, seed: int = 0) -> None:
    """Answers of a 5-way cell with two queries a class and eight classes, about so many right."""
    rng = np.random.default_rng(seed)
    label = np.tile(np.repeat(np.arange(5), 2), (episodes, 1)).astype(np.uint16)
    other = (label + rng.integers(1, 5, label.shape)) % 5
    choice = np.where(rng.random(label.shape) < right, label, other).astype(np.uint16)
    classes = np.stack([rng.permutation(8)[:5] for _ in range(episodes)]).astype(np.int32)
    images = rng.integers(0, 255, (2, 15, 1, 8, 8), dtype=np.uint8)
    arrays = {
        "label": label, "choice": choice, "classes": classes,
        "confidence": rng.uniform(0.2, 1, label.shape).astype(np.float16),
        "support_x": images[:, :5], "support_y": np.tile(np.arange(5, dtype=np.uint16), (2, 1)),
        "query_x": images[:, 5:],
    }  # fmt: skip
    keep_answers(cell, arrays, [f"letter {k}" for k in range(8)])
