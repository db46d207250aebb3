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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.api import TaskSpec
from bench.api.dataset import ImageClasses, IntArray
from bench.episodes.pools import Drawn
from bench.episodes.words import LAST_KEY, Keys, Purpose, random_words, smallest, taken
from bench.errors import BenchError


@dataclass(frozen=True)
class ClassPool(ABC):
    """The classes that one phase draws from. Protocols write what is abstract here.

    Image numbers count the images of the pool, class by class. On a CPU a pool has no images of its
    own: they stay where the dataset has them, mapped into memory and shared by all processes.

    Attributes:
        images: (M, *input_shape): uint8 images, or float32 features; on the device where batches
            are built.
        starts: (P,) first image of each class.
        counts: (P,) images of each class.
        rows: (m,) where in `images` the images of the pool are; None: in their order.
        turned: image ``i`` is image ``i % m`` turned by ``i // m`` times 90 degrees.
        names: of the classes, for messages; those that are turned have none of their own.
    """

    images: Tensor
    starts: IntArray
    counts: IntArray
    rows: IntArray | None = None
    turned: bool = False
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.starts)

    @abstractmethod
    def per_class(self, task: TaskSpec) -> tuple[int, int]:
        """Images of a class that an episode shows, and those that it asks for."""

    @abstractmethod
    def build(self, task: TaskSpec, draw: Draw, classes: bool = False) -> Any:
        """See `bench.episodes.pools.Pool.build`."""

    def to(self, device: torch.device | str) -> Self:
        """The same pool with its images, and no others, on another device."""
        if torch.device(device) == self.device:
            return self
        own = self.images if self.rows is None else self.images[torch.from_numpy(self.rows)]
        return replace(self, images=own.to(device), rows=None)

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.images.device

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W); of features (D,)"""
        return tuple(self.images.shape[1:])

    def inputs(self, task: TaskSpec) -> int:
        """Images of one episode, at most."""
        return task.examples_per_episode

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Draw:
        """See `draw_episodes`."""
        return draw_episodes(self, task, episodes, seed, purpose, number)

    def gather(self, *indices: IntArray) -> list[Tensor]:
        """The inputs (B, S, *input_shape) of each index as float32, by one gather on the pool's
        device: pixels in [0, 1], features as they are."""
        flat = np.concatenate([index.reshape(-1) for index in indices])
        own = len(self.images) if self.rows is None else len(self.rows)
        turns, flat = np.divmod(flat, own) if self.turned else (None, flat)
        rows = flat if self.rows is None else self.rows[flat]
        if turns is None:
            inputs = self._upright(self.tensor(rows))
        elif self.device.type == "cpu":
            inputs = self._turned_in_place(rows, turns)
        else:
            inputs = self._turned_at_once(rows, turns)
        if inputs.dtype == torch.uint8:
            inputs = scaled(inputs)
        each = inputs.split([index.size for index in indices])
        return [
            some.view(*index.shape, *self.input_shape)
            for some, index in zip(each, indices, strict=True)
        ]

    def _upright(self, rows: Tensor) -> Tensor:
        """The images in some rows."""
        return self.images.flatten(1).index_select(0, rows).view(-1, *self.input_shape)

    def _turned_in_place(self, rows: IntArray, turns: IntArray) -> Tensor:
        """The same, each turned by so many quarters: the quickest on a CPU."""
        inputs = self._upright(self.tensor(rows))
        for quarter in (1, 2, 3):
            which = self.tensor(np.flatnonzero(turns == quarter))
            some = torch.rot90(inputs.index_select(0, which), quarter, dims=(2, 3))
            inputs.index_copy_(0, which, some)  # whole rows: indexing would go value by value
        return inputs

    def _turned_at_once(self, rows: IntArray, turns: IntArray) -> Tensor:
        """The same with one copy to the device and a handful of kernels, which is what a GPU waits
        for: each pixel is fetched from where it was."""
        numbers = self.tensor(np.stack([rows, turns]))  # (2, K)
        inputs = self._upright(numbers[0]).flatten(2)  # (K, C, H W)
        origins = self._origins[numbers[1]][:, None].expand_as(inputs)  # (K, C, H W)
        return inputs.gather(2, origins).view(-1, *self.input_shape)

    @cached_property
    def _origins(self) -> Tensor:
        """(4, H W) Which pixel of an image comes to each place when it is turned."""
        side = self.input_shape[-1]
        pixels = torch.arange(side * side).view(side, side)
        turned = [torch.rot90(pixels, quarter).flatten() for quarter in range(4)]
        return torch.stack(turned).to(self.device)

    def tensor(self, array: IntArray) -> Tensor:
        """The same numbers on the pool's device; nothing waits until they are there."""
        numbers = torch.from_numpy(array)
        if self.device.type == "cuda":
            return numbers.pin_memory().to(self.device, non_blocking=True)
        return numbers.to(self.device)


def scaled(images: Tensor) -> Tensor:
    """Pixels in [0, 1] of images of 8 bits: times 1/255, as float32.

    On a CPU by numpy, which converts and multiplies piece by piece, in the cache; torch would write
    all of it twice.
    """
    if images.device.type != "cpu":
        return images.float().mul_(1 / 255)
    pixels = torch.empty(images.shape, dtype=torch.float32)
    np.multiply(images.numpy(), np.float32(1 / 255), out=pixels.numpy(), dtype=np.float32)
    return pixels


PoolT = TypeVar("PoolT", bound=ClassPool)


def class_pool(data: ImageClasses, classes: IntArray, rotations: bool, kind: type[PoolT]) -> PoolT:
    """The images of some classes of a dataset; none is copied.

    Args:
        data: the dataset.
        classes: class numbers; pool class p is ``classes[p]``.
        rotations: adds every class turned by 90, 180 and 270 degrees as classes of their own
            (Santoro et al. 2016, Section 4.1); pool class ``p + r * len(classes)`` is class p
            turned by r * 90 degrees counter-clockwise.
        kind: what a protocol makes of them.

    Raises:
        BenchError: what is no square image is to be turned.
    """
    square = data.images.ndim == 4 and data.images.shape[2] == data.images.shape[3]
    if rotations and not (square and data.images.dtype == torch.uint8):
        raise BenchError(f"inputs of shape {tuple(data.images.shape[1:])} cannot be turned")
    counts = data.counts[classes]
    ends = np.cumsum(counts)
    starts = ends - counts
    # where the images of all chosen classes are, one after the other
    rows = np.arange(ends[-1]) + np.repeat(data.starts[classes] - starts, counts)
    if rotations:
        starts = np.concatenate([starts + turns * ends[-1] for turns in range(4)])
        counts = np.tile(counts, 4)
    names = tuple(data.class_names[number] for number in classes.tolist())
    return kind(data.images, starts, counts, rows, rotations, names)


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
    ends = list(accumulate(widths))
    class_keys, image_keys, support_keys, query_keys = (
        words[:, end - width : end] for width, end in zip(widths, ends, strict=True)
    )

    classes = smallest(class_keys, task.ways)  # (B, N)
    image_keys = image_keys.reshape(episodes, task.ways, most)
    if pool.counts.min() < most:
        absent = np.arange(most) >= pool.counts[classes][..., None]  # (B, N, most)
        image_keys = np.where(absent, LAST_KEY, image_keys)
    images = smallest(image_keys, shots + queries)  # (B, N, images)
    images = images + pool.starts[classes][..., None]

    def shuffled(chosen: IntArray, keys: Keys) -> tuple[IntArray, IntArray]:
        labels = np.repeat(np.arange(task.ways), chosen.shape[-1])  # (S,)
        order = np.argsort(keys, axis=-1, kind="stable")  # (B, S)
        flat = chosen.reshape(episodes, -1)
        return taken(flat, order), labels[order]

    support, support_y = shuffled(images[..., :shots], support_keys)
    query, query_y = shuffled(images[..., shots:], query_keys)
    return Draw(support, support_y, query, query_y, classes)


MOST_NAMED = 5
"""Classes that a message about too small ones names."""


def check_pool(pool: ClassPool, ways: int, images: int) -> None:
    """Raises a `BenchError` unless the pool has that many classes, and each that many images."""
    if len(pool) < ways:
        raise BenchError(
            f"an episode needs {ways} classes, and only {len(pool)} are there; "
            "use fewer ways, or a split with more classes"
        )
    if pool.counts.min() < images:
        raise BenchError(
            f"an episode needs {images} images of each class (support and query), and "
            f"{_too_small(pool, images)}; use fewer shots or queries"
        )


def _too_small(pool: ClassPool, images: int) -> str:
    """Which classes have fewer images."""
    fewest = f"a class has only {pool.counts.min()}"
    if not pool.names:
        return fewest
    counts = pool.counts[: len(pool.names)]  # without those that are turned
    small = np.flatnonzero(counts < images)
    named = ", ".join(f"{pool.names[number]} ({counts[number]})" for number in small[:MOST_NAMED])
    more = ", ..." if len(small) > MOST_NAMED else ""
    return f"{fewest}: {len(small)} of {len(counts)} have fewer, {named}{more}"


def names_of_all(names: Sequence[str], classes: int) -> list[str]:
    """Names of all classes of a pool, of which those that are turned have none of their own."""
    if not names or classes <= len(names):
        return list(names)
    return [
        f"{name} turned by {90 * quarter}°" if quarter else name
        for quarter in range(classes // len(names))
        for name in names
    ]
