"""What the protocols about classes of images have in common: where their episodes come from.

Letters in shapes: ``B`` episodes, ``S`` items, ``N`` ways, ``P`` patterns.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import TaskSpec
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.episodes.banks import Bank
from bench.episodes.classes import ClassPool, Draw, check_pool, class_pool, names_of_all
from bench.episodes.duplicates import examine_duplicates
from bench.errors import BenchError, unknown_name
from bench.protocols.base import BatchT, Phase, SettingT
from bench.protocols.classification import OfClasses

AUDIT_WAYS = 20
"""Classes that an audited task is cut down to."""

INPUT_SHAPE = (1, 20, 20)
PATTERNS = 16
FLIPPED = 0.1
"""Of the tiny tasks: images, classes that there are, share of pixels that differ in an image."""

MOST_QUERIES = 5
"""What a learner's training task is cut down to in a tiny task, so that a check takes seconds."""


class ImageProtocol(OfClasses[SettingT, BatchT]):
    """Base of k-shot and online: classes of images, new ones in each phase."""

    needs = ("image_size", "split")
    allows = ("rotations",)
    source = DatasetSource
    about = "images"
    folders = True
    transfers = True
    classes: ClassVar[type[ClassPool]]
    """The pool that builds the episodes."""

    def named_classes(self, bank: Bank) -> tuple[NDArray[np.int64], list[str]]:
        """See `Protocol.named_classes`."""
        draw, pool = cast("Draw", bank.draw), cast("ClassPool", bank.pool)
        return draw.classes, names_of_all(pool.names, len(pool))

    # -- the data ---------------------------------------------------------------------------------

    def load(
        self, source: DatasetSource, image_size: int, folders: DataFolders, notify: Notify
    ) -> ImageClasses:
        """See `DatasetSource.load`.

        Raises:
            BenchError: also for inputs that are neither uint8 nor float32.
        """
        data = source.load(image_size, folders, notify)
        if data.images.dtype not in (torch.uint8, torch.float32):
            raise BenchError(
                f"the images of {source.name} are {data.images.dtype}; a dataset has uint8 images, "
                "or float32 features, which are taken as they are"
            )
        return data

    def split(self, source: DatasetSource, name: str, data: ImageClasses) -> Split:
        """The classes of each phase.

        Raises:
            BenchError: there is no such split, a phase has no classes, or two phases share one.
        """
        if source.splits and name not in source.splits:
            raise unknown_name(f"split of {source.name}", name, source.splits)
        split = source.split(name, data)
        check_split(split, name)
        return split

    def examine(self, data: ImageClasses, split: Split) -> list[str]:
        """Images that two phases share; see `bench.episodes.duplicates.examine_duplicates`."""
        return examine_duplicates(data, split)

    def pool(self, data: ImageClasses, split: Split, phase: Phase, rotations: bool) -> ClassPool:
        """The classes of a phase, turned where the suite says so."""
        return class_pool(data, getattr(split, phase), rotations, self.classes)

    def count(self, pool: ClassPool) -> dict[str, int]:
        """Classes and images of a phase."""
        return {
            "classes": len(pool),
            "images": int(pool.counts.sum()),
            "fewest_per_class": int(pool.counts.min()),
        }

    @abstractmethod
    def images_per_class(self, setting: SettingT) -> int:
        """Images of a class that an episode of the setting needs."""

    @abstractmethod
    def ways(self, setting: SettingT) -> int:
        """Classes of an episode of the setting."""

    def check_setting(
        self, setting: SettingT, train: ClassPool, val: ClassPool, test: ClassPool
    ) -> None:
        """Raises a `BenchError` unless the setting's episodes can be drawn from the test classes,
        and training has as many images per class, of two classes or more."""
        for phase, pool, ways in (
            ("test", test, self.ways(setting)), ("train", train, 2), ("val", val, 2)
        ):  # fmt: skip
            try:
                check_pool(pool, ways, self.images_per_class(setting))
            except BenchError as error:
                raise BenchError(f"in {phase}, {error}") from error

    def requirements(self, setting: SettingT) -> dict[str, Any]:
        """Classes, and images of each."""
        return {"classes": self.ways(setting), "images_per_class": self.images_per_class(setting)}

    # -- tasks ------------------------------------------------------------------------------------

    def validation_task(self, task: TaskSpec, pool: ClassPool) -> TaskSpec:
        """As many ways as there are classes, the largest number of shots."""
        return task.but(ways=min(task.ways, len(pool)), shots=task.shot_range[1])

    # -- checks -----------------------------------------------------------------------------------

    def tiny_cut(self, asked: TaskSpec, task: TaskSpec) -> TaskSpec:
        """Cut down to the patterns that there are."""
        ways = min(asked.ways, task.classes)
        length = asked.length // asked.ways * ways
        queries = min(asked.queries, MOST_QUERIES)
        return asked.but(ways=ways, classes=task.classes, length=length, queries=queries)


def check_split(split: Split, name: str) -> None:
    """Raises a `BenchError` unless each phase has classes, and no two phases share one."""
    for phase, classes in split._asdict().items():
        if len(classes) == 0:
            raise BenchError(f"the split {name!r} has no classes for {phase}")
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = set(getattr(split, first).tolist()) & set(getattr(split, second).tolist())
        if shared:
            raise BenchError(
                f"the split {name!r} has {len(shared)} classes in both {first} and {second} "
                f"(class {min(shared)} is one): meta-test would not be on new classes"
            )


def random_images(task: TaskSpec, per_class: int) -> tuple[Tensor, Tensor]:
    """Images (B, S, *input_shape) of noise, and labels (B, S), B being the meta-batch."""
    labels = torch.arange(task.ways).repeat(task.episodes_per_update, per_class)
    return torch.rand(*labels.shape, *task.input_shape), labels


def random_classes(task: TaskSpec) -> Tensor:
    """(B, N) class numbers that meta-training knows."""
    return torch.arange(task.ways).repeat(task.episodes_per_update, 1) % max(task.classes, 1)


# -- tiny tasks: a class is a random pattern of 4x4 tiles, its images have some pixels flipped -----


def tiny_images(
    task: TaskSpec, per_class: int, episodes: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images (B, N, K, *input_shape) of random patterns, and which ones they show, (B, N)."""
    chosen = torch.rand(episodes, task.classes, generator=random).topk(task.ways).indices
    patterns = tiny_patterns(task.classes, task.input_shape)
    images = patterns[chosen][:, :, None].expand(-1, -1, per_class, *task.input_shape)
    flipped = torch.rand(images.shape, generator=random) < FLIPPED
    return (images ^ flipped).float(), chosen


def tiny_patterns(count: int, input_shape: tuple[int, ...]) -> Tensor:
    """(P, *input_shape), bool; the last tiles are cut where they do not fit."""
    channels, height, width = input_shape
    random = torch.Generator().manual_seed(0)
    tiles = torch.rand(count, channels, -(-height // 4), -(-width // 4), generator=random) < 0.5
    whole = tiles.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return whole[:, :, :height, :width]


def shuffled(images: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, N, K, ...) to x (B, N K, ...) in random order, and labels (B, N K)."""
    batch, ways, per_class = images.shape[:3]
    y = torch.arange(ways).repeat_interleave(per_class).expand(batch, -1)
    order = torch.rand(y.shape, generator=random).argsort(1)
    return images.flatten(1, 2)[torch.arange(batch)[:, None], order], y.gather(1, order)
