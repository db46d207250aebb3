"""What a dataset is: images or features grouped by class, and named splits of its classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


IntArray = NDArray[np.int64]


Notify = Callable[[str], None]
"""Called with a sentence when something takes long ("decoding 32,460 images ...")."""


@dataclass(frozen=True)
class DataFolders:
    """Where data is looked for, and where decoded data is kept.

    Attributes:
        data: the folder the user named (``--data-dir``, or ``$BENCH_DATA_DIR``), or None.
        cache: decoded tensors and downloads (``$BENCH_CACHE_DIR``, or ``~/.cache/bench``).
        checked: what of it was compared with its checksum when the run was planned; see
            `bench.api.cache.checked_files`.
    """

    data: Path | None
    cache: Path
    checked: frozenset[str] = frozenset()


class Split(NamedTuple):
    """Class numbers for meta-training, meta-validation and meta-test; sorted, disjoint."""

    train: IntArray
    val: IntArray
    test: IntArray


@dataclass(frozen=True)
class ImageClasses:
    """A dataset in memory. Class c holds ``images[starts[c] : starts[c] + counts[c]]``.

    Attributes:
        name: the dataset's name.
        images: (M, C, H, W) uint8; for characters ink is 255 and paper 0. Learners get them divided
            by 255. Or features (M, ...) float32, which learners get as they are. May be
            memory-mapped.
        starts: (classes,) first image of each class.
        counts: (classes,) images of each class.
        class_names: one readable name per class.
        groups: the alphabet (or other group) of each class.
        content: sha256 over the source pixels in a fixed order: the identity of the data.
    """

    name: str
    images: Tensor
    starts: IntArray
    counts: IntArray
    class_names: tuple[str, ...]
    groups: tuple[str, ...]
    content: str


class Source(ABC):
    """What suites can name as their dataset: images (`DatasetSource`) or generated sequences
    (`bench.data.probes.Probe`). Registered in the entry-point group ``bench.datasets``. It may
    state the ``contract`` that it was written for, as learners do."""

    name: ClassVar[str]
    description: ClassVar[str]
    """One or two sentences: what it is, how many classes, how images are resized, licence."""
    splits: ClassVar[tuple[str, ...]] = ()
    """Names of its splits."""

    def fetch(self, folders: DataFolders, notify: Notify) -> None:  # noqa: B027
        """Downloads what is missing into the cache. Default: nothing to download."""

    def missing(self, folders: DataFolders) -> str | None:
        """Why its data is not here, for one that is never downloaded without being asked for.
        Default: None, `load` finds it, or says what is wrong."""
        return None

    @abstractmethod
    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Re-reads the source and compares its content hash; returns a sentence.

        Raises:
            bench.errors.BenchError: where it differs, naming what does.
        """


class DatasetSource(Source):
    """A dataset of images grouped by class."""

    @abstractmethod
    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Decodes, or maps the cache.

        Args:
            image_size: height and width of the images wanted.
            folders: where to look and where to cache.
            notify: told what takes long.

        Raises:
            bench.errors.BenchError: data missing, damaged, or no room for the cache.
        """

    @abstractmethod
    def split(self, name: str, data: ImageClasses) -> Split:
        """The split of that name.

        Raises:
            bench.errors.BenchError: for an unknown name.
        """
