"""More episodes from the images of an update: other classes, labels, order and shots.

What a budget counts is images, and an episode of embedded images costs less than embedding it. The
classes of all episodes of an update are put together; any N of them, any K of a class's images as
its support set, in any order and under any labels, are an episode of the same task. No further
image is seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import Episodes

Embedded = tuple[Tensor, Tensor, Tensor, Tensor]
"""Support features (B, S, D) and labels (B, S), query features (B, Q, D) and labels (B, Q)."""


def by_class(z: Tensor, y: Tensor, ways: int) -> Tensor:
    """The items of each class side by side, as many of every class.

    Args:
        z: features (B, I, D).
        y: labels (B, I) in [0, N).
        ways: N.

    Returns:
        (B N, I / N, D).
    """
    order = y.argsort(dim=1)[..., None].expand_as(z)
    return z.gather(1, order).reshape(len(z) * ways, -1, z.shape[-1])


def mixed_episodes(
    batch: Episodes, support: Tensor, query: Tensor, count: int, shots: int
) -> Embedded:
    """Draws episodes from the embedded images of others, by torch's generator.

    A class that two episodes of the batch have in common is taken from the first of them, so that
    no episode has it under two labels.

    Args:
        batch: whose labels and, in meta-training, class numbers are read.
        support: its embedded support items (B, N K, D).
        query: its embedded queries (B, Q, D), as many of each class.
        count: episodes to draw.
        shots: support examples per class of them, at least 1; all other images of a chosen class
            are queries.
    """
    ways = batch.ways
    items = torch.cat(
        [by_class(support, batch.support_y, ways), by_class(query, batch.query_y, ways)], dim=1
    )  # (B N, I, D)
    classes, images = items.shape[:2]
    keys = torch.rand(count, classes, device=items.device)
    if batch.classes is not None:
        numbers = batch.classes.flatten()
        again = (numbers[:, None] == numbers).tril(-1).any(1)
        keys = keys.masked_fill(again, 2)
    chosen = keys.argsort(-1)[:, :ways, None]  # (count, N, 1)
    places = torch.rand(count, ways, images, device=items.device).argsort(-1)
    z = items[chosen, places]  # (count, N, I, D)
    y = torch.arange(ways, device=items.device)[:, None].expand(count, ways, images)
    order = torch.rand(count, ways * shots, device=items.device).argsort(-1)
    support_z, support_y = z[:, :, :shots].flatten(1, 2), y[:, :, :shots].flatten(1)
    return (
        support_z.gather(1, order[..., None].expand_as(support_z)),
        support_y.gather(1, order),
        z[:, :, shots:].flatten(1, 2),
        y[:, :, shots:].flatten(1),
    )
