"""Which images form an episode: seeded index sampling, and frozen banks of episodes.

What a phase draws from is a `Pool`: the classes of a dataset (`ClassPool`), or a task that
generates its sequences (`bench.data.probes.Probe`).

All randomness comes from the raw 64-bit words of the counter-based Philox generator (Salmon et al.
2011), keyed by (seed, purpose and batch number). Raw words are the same on every platform and in
every numpy version; a set of items is drawn by taking those with the smallest keys. Nothing else
of numpy or torch enters, so batch i is a pure function of (seed, i), and a bank drawn today is the
bank drawn in ten years.

Letters in shapes: ``B`` episodes, ``N`` ways, ``P`` classes in the pool, ``S`` support items,
``Q`` query items, ``T`` time steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import Episodes, Sequences, Stream, TaskSpec
from bench.api.dataset import ImageClasses, IntArray
from bench.errors import BenchError

Keys = NDArray[np.uint64]


Batch = Episodes | Stream | Sequences


LAST_KEY = np.iinfo(np.uint64).max


class Purpose(IntEnum):
    """What a batch is for; batches of different purposes share no random word."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    SHOTS = 3
    """And the items of a memory probe."""
    TORCH = 4


class Pool(Protocol):
    """What one phase (meta-training, -validation, -test) draws its episodes from."""

    @property
    def device(self) -> torch.device:
        """Where batches are built."""

    def to(self, device: torch.device | str) -> Self:
        """The same pool, building batches on another device."""

    def inputs(self, task: TaskSpec) -> int:
        """Inputs of one episode, at most: images, or time steps of a memory probe."""

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Drawn:
        """The random choices of some episodes. Episode b depends on nothing but (seed, purpose,
        number, b): more episodes extend fewer.

        Args:
            task: without ranges, see `draw_sizes`.
            episodes: B.
            seed: the training's or the suite's seed.
            purpose: keeps the batches of the phases apart.
            number: the batch number.
        """

    def build(self, task: TaskSpec, draw: Any, classes: bool = False) -> Batch:
        """Turns what `draw` returned into a batch on the device.

        Args:
            task: what it was drawn for.
            draw: the random choices.
            classes: gives the batch its class numbers (meta-training only).
        """


@dataclass(frozen=True)
class ClassPool:
    """The classes that one phase draws from.

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

    def to(self, device: torch.device | str) -> ClassPool:
        """The same pool with its images on another device."""
        return ClassPool(self.images.to(device), self.starts, self.counts)

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.images.device

    def inputs(self, task: TaskSpec) -> int:
        """Images of one episode."""
        return task.examples_per_episode

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Draw:
        """See `draw_episodes`."""
        return draw_episodes(self, task, episodes, seed, purpose, number)

    def build(self, task: TaskSpec, draw: Draw, classes: bool = False) -> Episodes | Stream:
        """See `build`."""
        return build(self, task, draw, classes)


def class_pool(data: ImageClasses, classes: IntArray, rotations: bool) -> ClassPool:
    """Copies the images of some classes out of a dataset.

    Args:
        data: the dataset.
        classes: class numbers; pool class p is ``classes[p]``.
        rotations: adds every class turned by 90, 180 and 270 degrees as classes of their own
            (Santoro et al. 2016, Section 4.1); pool class ``p + r * len(classes)`` is class p
            turned by r * 90 degrees counter-clockwise.
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
    return ClassPool(images, starts, counts)


@dataclass(frozen=True)
class Drawn:
    """Base of the random choices behind B episodes: arrays, one row per episode."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def part(self, start: int, stop: int) -> Self:
        """Episodes start to stop."""
        return type(self)(*(getattr(self, field.name)[start:stop] for field in fields(self)))

    def digest(self) -> str:
        """sha256 over all arrays: which episodes these are."""
        digest = hashlib.sha256()
        for field in fields(self):
            array = getattr(self, field.name)
            digest.update(f"{field.name}{array.shape}".encode())
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Draw(Drawn):
    """The indices of B episodes. Online episodes have no queries: Q = 0, T = S.

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


def random_words(seed: int, purpose: Purpose, number: int, count: int) -> Keys:
    """The first `count` 64-bit words of the stream (seed, purpose, number)."""
    key = np.array([seed, (int(purpose) << 56) | number], dtype=np.uint64)
    return np.random.Philox(key=key).random_raw(count)


def smallest(keys: Keys, count: int) -> IntArray:
    """Positions of the `count` smallest keys of each row, smallest first: (..., count)."""
    if count < keys.shape[-1]:
        chosen = np.argpartition(keys, count, axis=-1)[..., :count]
        order = np.argsort(np.take_along_axis(keys, chosen, -1), axis=-1, kind="stable")
        return np.take_along_axis(chosen, order, -1)
    return np.argsort(keys, axis=-1, kind="stable")


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
    shots = task.presentations if task.protocol == "online" else task.shot_range[0]
    queries = 0 if task.protocol == "online" else task.queries
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


def draw_sizes(task: TaskSpec, seed: int, update: int) -> TaskSpec:
    """The task of one update: a range of shots or items becomes one number of it, drawn
    uniformly."""
    word = int(random_words(seed, Purpose.SHOTS, update, 1)[0])

    def one(low: int, high: int) -> int:
        return low + word % (high - low + 1)

    if task.protocol == "sequence":
        return task.but(items=one(*task.item_range))
    return task.but(shots=one(*task.shot_range))


def typical(task: TaskSpec) -> TaskSpec:
    """The task of a typical update, the one to time: of a range of items the middle. What a probe
    costs grows with its items; that of images, as with shots, is timed as drawn."""
    return task.but(items=sum(task.item_range) // 2)


def torch_seed(seed: int, update: int) -> int:
    """The seed that torch gets before an update, so that resuming needs no generator state."""
    return int(random_words(seed, Purpose.TORCH, update, 1)[0] >> np.uint64(1))


def gather(pool: ClassPool, index: IntArray) -> Tensor:
    """Images (B, S, C, H, W) as float32 in [0, 1], by one gather on the pool's device."""
    flat = torch.from_numpy(index.reshape(-1)).to(pool.images.device)
    images = pool.images.flatten(1).index_select(0, flat)  # (BS, CHW) uint8
    return images.float().mul_(1 / 255).view(*index.shape, *pool.images.shape[1:])


def build(pool: ClassPool, task: TaskSpec, draw: Draw, classes: bool = False) -> Episodes | Stream:
    """Turns indices into a batch on the pool's device.

    Args:
        pool: the pool that `draw` was drawn from.
        task: says which protocol.
        draw: the indices.
        classes: gives the batch its class numbers (meta-training only).
    """

    def tensor(array: IntArray) -> Tensor:
        return torch.from_numpy(array).to(pool.images.device)

    known = tensor(draw.classes) if classes else None
    if task.protocol == "online":
        return Stream(task.ways, gather(pool, draw.support), tensor(draw.support_y), known)
    return Episodes(
        task.ways,
        gather(pool, draw.support),
        tensor(draw.support_y),
        gather(pool, draw.query),
        tensor(draw.query_y),
        known,
    )


def training_batch(pool: Pool, task: TaskSpec, seed: int, update: int) -> Batch:
    """The batch of one meta-training update: a pure function of (seed, update)."""
    task = draw_sizes(task, seed, update)
    draw = pool.draw(task, task.episodes_per_update, seed, Purpose.TRAIN, update)
    return pool.build(task, draw, classes=True)


@dataclass(frozen=True)
class Bank:
    """A frozen list of episodes that all learners answer.

    Banks are nested: the first n episodes of a bank are the bank of n episodes.

    Attributes:
        pool: what the episodes are drawn from.
        task: what they look like.
        draw: the random choices behind them.
    """

    pool: Pool
    task: TaskSpec
    draw: Drawn

    @classmethod
    def drawn(cls, pool: Pool, task: TaskSpec, episodes: int, seed: int, purpose: Purpose) -> Bank:
        """Draws a bank of that many episodes."""
        return cls(pool, task, pool.draw(task, episodes, seed, purpose))

    def __len__(self) -> int:
        return len(self.draw)

    def first(self, episodes: int) -> Bank:
        """The first part of the bank."""
        return Bank(self.pool, self.task, self.draw.part(0, episodes))

    def to(self, device: torch.device | str) -> Bank:
        """The same bank, building its episodes on another device."""
        return Bank(self.pool.to(device), self.task, self.draw)

    def batches(self, size: int) -> Iterator[Batch]:
        """All episodes in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.pool.build(self.task, self.draw.part(start, start + size))


def presentation(y: Tensor, ways: int) -> Tensor:
    """How often the class of each step was presented before that step.

    Args:
        y: (B, T) labels in [0, ways).
        ways: classes.

    Returns:
        (B, T) int64: 0 at the first presentation of a class, 1 at the second, ...
    """
    member = torch.nn.functional.one_hot(y, ways)  # (B, T, N)
    return (member.cumsum(1) - 1).gather(2, y[..., None])[..., 0]
