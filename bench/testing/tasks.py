"""Tiny tasks. A class is a fixed random pattern of 4x4 tiles; an example of it has some pixels
flipped. Patterns are few, so that whoever meta-trains on them can know them.

Letters in shapes: see `bench.api`; P patterns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.api import Episodes, Protocol, Sequences, Stream, TaskSpec

INPUT_SHAPE = (1, 20, 20)
PATTERNS = 16
FLIPPED = 0.1
BITS = 6
"""Of a vector to copy, in the memory probe."""

Batch = Episodes | Stream | Sequences


def tiny_task(protocol: Protocol, ways: int = 5) -> TaskSpec:
    """A test task: 1-shot with two queries per class; online, with two presentations of a class; a
    memory probe, with three vectors to copy."""
    if protocol == "sequence":
        return TaskSpec(
            (BITS + 1,), 1, protocol=protocol, items=3, outputs=BITS, episodes_per_update=8
        )
    return TaskSpec(
        INPUT_SHAPE,
        ways,
        queries=2,
        protocol=protocol,
        length=2 * ways if protocol == "online" else 0,
        episodes_per_update=8,
        classes=PATTERNS,
    )


def draw(task: TaskSpec, episodes: int, seed: int, training: bool = False) -> Batch:
    """Episodes of a task, with the fewest shots or items that it allows.

    Args:
        task: `TaskSpec.classes` says among how many patterns to choose.
        episodes: B.
        seed: the same episodes for the same seed.
        training: says which patterns they show, as in meta-training.
    """
    random = torch.Generator().manual_seed(seed)
    if task.protocol == "sequence":
        return _copy(task, episodes, random)
    per_class = task.presentations or task.shot_range[0] + task.queries
    chosen = torch.rand(episodes, task.classes, generator=random).topk(task.ways).indices  # (B, N)
    patterns = _patterns(task.classes, task.input_shape)
    images = patterns[chosen][:, :, None].expand(-1, -1, per_class, *task.input_shape)
    flipped = torch.rand(images.shape, generator=random) < FLIPPED
    images = (images ^ flipped).float()  # (B, N, K, *input_shape)
    classes = chosen if training else None
    if task.protocol == "online":
        return Stream(task.ways, *_shuffled(images, random), classes)
    shots = task.shot_range[0]
    support = _shuffled(images[:, :, :shots], random)
    return Episodes(task.ways, *support, *_shuffled(images[:, :, shots:], random), classes)


def training_batch(task: TaskSpec, number: int) -> Batch:
    """The batch of meta-training update `number`; ranges of shots and items are gone through."""
    (fewest, most), (short, long) = task.shot_range, task.item_range
    task = task.but(
        shots=fewest + number % (most - fewest + 1), items=short + number % (long - short + 1)
    )
    return draw(task, task.episodes_per_update, seed=1000 + number, training=True)


def _patterns(count: int, input_shape: tuple[int, ...]) -> Tensor:
    """(P, *input_shape), bool."""
    channels, height, width = input_shape
    random = torch.Generator().manual_seed(0)
    tiles = torch.rand(count, channels, height // 4, width // 4, generator=random) < 0.5
    return tiles.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


def _shuffled(images: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, N, K, ...) to x (B, N K, ...) in random order, and labels (B, N K)."""
    batch, ways, per_class = images.shape[:3]
    y = torch.arange(ways).repeat_interleave(per_class).expand(batch, -1)
    order = torch.rand(y.shape, generator=random).argsort(1)
    return images.flatten(1, 2)[torch.arange(batch)[:, None], order], y.gather(1, order)


def _copy(task: TaskSpec, episodes: int, random: torch.Generator) -> Sequences:
    """Vectors, a mark, and as many steps at which to say them again."""
    items = task.item_range[0]
    vectors = torch.rand(episodes, items, BITS, generator=random).round()
    x = torch.zeros(episodes, 2 * items + 1, BITS + 1)
    x[:, :items, :BITS] = vectors
    x[:, items, BITS] = 1
    target, mask = torch.zeros(*x.shape[:2], BITS), torch.zeros(x.shape[:2])
    target[:, items + 1 :] = vectors
    mask[:, items + 1 :] = 1
    return Sequences(x, target, mask)
