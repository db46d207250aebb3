"""Which images form an episode: seeded index sampling from the classes of a dataset.

What is made of the images is a protocol's: `bench.protocols.kshot`, `bench.protocols.online`.

All randomness comes from the raw 64-bit words of the counter-based Philox generator (Salmon et al.
2011), keyed by (seed, purpose and batch number). Raw words are the same on every platform and in
every numpy version; a set of items is drawn by taking those with the smallest keys. Nothing else
of numpy or torch enters, so batch i is a pure function of (seed, i), and a bank drawn today is the
bank drawn in ten years.

Letters in shapes: ``B`` episodes, ``N`` ways, ``P`` classes in the pool, ``S`` support items,
``Q`` query items, ``T`` time steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.api import TaskSpec
from bench.api.dataset import ImageClasses, IntArray
from bench.episodes.pools import Drawn
from bench.episodes.words import LAST_KEY, Keys, Purpose, random_words, smallest
from bench.errors import BenchError


@dataclass(frozen=True)
class ClassPool(ABC):
    """The classes that one phase draws from. Protocols write what is abstract here.

    Attributes:
        images: (M, C, H, W) uint8, on the device where batches are built.
        starts: (P,) first image of each class in `images`.
        counts: (P,) images of each class.
    """

    images: Tensor
    starts: IntArray
    counts: IntArray

    def __len__(self) -> int:
        return len(self.starts)

    @abstractmethod
    def per_class(self, task: TaskSpec) -> tuple[int, int]:
        """Images of a class that an episode shows, and those that it asks for."""

    @abstractmethod
    def build(self, task: TaskSpec, draw: Draw, classes: bool = False) -> Any:
        """See `bench.episodes.pools.Pool.build`."""

    def to(self, device: torch.device | str) -> Self:
        """The same pool with its images on another device."""
        return replace(self, images=self.images.to(device))

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.images.device

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W)"""
        return tuple(self.images.shape[1:])

    def inputs(self, task: TaskSpec) -> int:
        """Images of one episode, at most."""
        return task.examples_per_episode

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Draw:
        """See `draw_episodes`."""
        return draw_episodes(self, task, episodes, seed, purpose, number)

    def gather(self, index: IntArray) -> Tensor:
        """Images (B, S, C, H, W) as float32 in [0, 1], by one gather on the pool's device."""
        flat = self.tensor(index.reshape(-1))
        images = self.images.flatten(1).index_select(0, flat)  # (BS, CHW) uint8
        return images.float().mul_(1 / 255).view(*index.shape, *self.images.shape[1:])

    def tensor(self, array: IntArray) -> Tensor:
        """The same numbers on the pool's device."""
        return torch.from_numpy(array).to(self.images.device)


PoolT = TypeVar("PoolT", bound=ClassPool)


def class_pool(data: ImageClasses, classes: IntArray, rotations: bool, kind: type[PoolT]) -> PoolT:
    """Copies the images of some classes out of a dataset.

    Args:
        data: the dataset.
        classes: class numbers; pool class p is ``classes[p]``.
        rotations: adds every class turned by 90, 180 and 270 degrees as classes of their own
            (Santoro et al. 2016, Section 4.1); pool class ``p + r * len(classes)`` is class p
            turned by r * 90 degrees counter-clockwise.
        kind: what a protocol makes of them.
    """
    counts = data.counts[classes]
    ends = np.cumsum(counts)
    starts = ends - counts
    # image numbers of all chosen classes, one after the other
    chosen = np.arange(ends[-1]) + np.repeat(data.starts[classes] - starts, counts)
    images = data.images[torch.from_numpy(chosen)]
    if rotations:
        images = torch.cat([torch.rot90(images, turns, dims=(2, 3)) for turns in range(4)])
        starts = np.concatenate([starts + turns * ends[-1] for turns in range(4)])
        counts = np.tile(counts, 4)
    return kind(images, starts, counts)


@dataclass(frozen=True)
class Draw(Drawn):
    """The indices of B episodes. Streams have no queries: Q = 0, T = S.

    Attributes:
        support: (B, S) image numbers in the pool.
        support_y: (B, S) labels in [0, ways).
        query: (B, Q).
        query_y: (B, Q).
        classes: (B, N) pool class behind each label.
    """

    support: IntArray
    support_y: IntArray
    query: IntArray
    query_y: IntArray
    classes: IntArray


def draw_episodes(
    pool: ClassPool, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
) -> Draw:
    """Draws the indices of some episodes.

    Classes are drawn without replacement per episode, images without replacement per class, so
    support and query are disjoint. The classes come in random order, which makes the labels
    random; the items of an episode come in random order, so that position tells nothing. Episode b
    depends on nothing but (seed, purpose, number, b): more episodes extend fewer.

    Args:
        pool: the classes to draw from.
        task: ways, shots (a number, not a range), queries or length.
        episodes: B.
        seed: the training's or the suite's seed.
        purpose: keeps the batches of the phases apart.
        number: the batch number.

    Raises:
        BenchError: where the pool has too few classes, or a class too few images.
    """
    shots, queries = pool.per_class(task)
    check_pool(pool, task.ways, shots + queries)
    classes_in_pool, most = len(pool), int(pool.counts.max())
    widths = [classes_in_pool, task.ways * most, task.ways * shots, task.ways * queries]
    words = random_words(seed, purpose, number, episodes * sum(widths)).reshape(episodes, -1)
    class_keys, image_keys, support_keys, query_keys = np.split(words, np.cumsum(widths)[:-1], 1)

    classes = smallest(class_keys, task.ways)  # (B, N)
    image_keys = image_keys.reshape(episodes, task.ways, most)
    absent = np.arange(most) >= pool.counts[classes][..., None]  # (B, N, most)
    images = smallest(np.where(absent, LAST_KEY, image_keys), shots + queries)  # (B, N, images)
    images = images + pool.starts[classes][..., None]

    def shuffled(chosen: IntArray, keys: Keys) -> tuple[IntArray, IntArray]:
        labels = np.repeat(np.arange(task.ways), chosen.shape[-1])  # (S,)
        order = np.argsort(keys, axis=-1, kind="stable")  # (B, S)
        flat = chosen.reshape(episodes, -1)
        return np.take_along_axis(flat, order, -1), labels[order]

    support, support_y = shuffled(images[..., :shots], support_keys)
    query, query_y = shuffled(images[..., shots:], query_keys)
    return Draw(support, support_y, query, query_y, classes)


def check_pool(pool: ClassPool, ways: int, images: int) -> None:
    """Raises a `BenchError` unless the pool has that many classes, and each that many images."""
    if len(pool) < ways:
        raise BenchError(
            f"an episode needs {ways} classes, and only {len(pool)} are there; "
            "use fewer ways, or a split with more classes"
        )
    if pool.counts.min() < images:
        raise BenchError(
            f"an episode needs {images} images of each class (support and query), and a class has "
            f"only {pool.counts.min()}; use fewer shots or queries"
        )
