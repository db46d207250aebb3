"""Checks of datasets and memory probes, for the tests of their packages and for `bench check`.

for result in bench.testing.check_dataset(MyDataset()):
    print(result)
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Source, Split
from bench.data.probes import Probe
from bench.errors import BenchError
from bench.testing.check import Check, CheckResult, FailedError, NotApplicableError, check


@dataclass
class ExaminedDataset:
    """A dataset under examination, and what it loaded."""

    source: Source
    image_size: int
    folders: DataFolders
    notify: Notify
    loaded: ImageClasses | None = field(default=None, init=False)

    @property
    def dataset(self) -> DatasetSource:
        """It, where it is one of images."""
        if not isinstance(self.source, DatasetSource):
            raise NotApplicableError("it has no images")
        return self.source

    @property
    def data(self) -> ImageClasses:
        """What it loaded."""
        _ = self.dataset  # raises for a probe
        if self.loaded is None:
            raise NotApplicableError("it does not load")
        return self.loaded

    def load(self) -> ImageClasses:
        """Loads it, again."""
        return self.dataset.load(self.image_size, self.folders, self.notify)

    def splits(self) -> dict[str, Split]:
        """The splits of the data by name."""
        data = self.data
        if not self.source.splits:
            raise NotApplicableError("it has no splits of its own; suites split its classes")
        return {name: self.dataset.split(name, data) for name in self.source.splits}


@check("Set `name`, `description` and, of a dataset of images, `splits` on the class.")
def declaration(examined: ExaminedDataset) -> None:
    """It says its name, what it is and what its splits are called: `bench show` prints that, suites
    name them."""
    source = examined.source
    for attribute in ("name", "description"):
        if not str(getattr(source, attribute, "")).strip():
            raise FailedError(f"it has no {attribute}")
    names: object = source.splits
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise FailedError(f"splits is a tuple of names, and not {names!r}")


@check(
    "Return what `bench.api.dataset.ImageClasses` describes; for missing data say how to get it."
)
def load(examined: ExaminedDataset) -> str:
    """It loads: images are a uint8 tensor (M, C, H, W) of the size that was asked for, or features
    are one of float32 (M, ...)."""
    try:
        data = examined.load()
    except BenchError as error:
        raise FailedError(str(error)) from error
    images, size = data.images, examined.image_size
    if not isinstance(images, torch.Tensor):
        raise FailedError(f"images are a {type(images).__name__}, and not a torch tensor")
    shape, features = tuple(images.shape), images.dtype == torch.float32
    if not features and images.dtype != torch.uint8:
        raise FailedError(
            f"images are {images.dtype}, and not torch.uint8 (torch.float32 for features)"
        )
    if features and (images.ndim < 2 or 0 in shape):
        raise FailedError(f"features have the shape {shape}, and not (M, ...)")
    if not features and (images.ndim != 4 or shape[2:] != (size, size) or 0 in shape):
        raise FailedError(f"images have the shape {shape}, and not (M, C, {size}, {size})")
    if not data.content or not isinstance(data.content, str):
        raise FailedError("it has no content hash, so that results cannot say what they are about")
    examined.loaded = data
    if features:
        return f"{shape[0]:,} features of {'x'.join(map(str, shape[1:]))}, taken as they are"
    return f"{shape[0]:,} images of {shape[1]}x{size}x{size}"


@check("Scale the pixels to 0..255 before they become uint8.")
def pixels(examined: ExaminedDataset) -> str:
    """Pixels use the range of uint8: learners get them divided by 255. Features are finite."""
    images = examined.data.images
    if images.is_floating_point():
        if not images.isfinite().all():
            raise FailedError("features are not finite")
        return f"features from {images.min():.3g} to {images.max():.3g}, taken as they are"
    low, high = int(images.min()), int(images.max())
    if low == high:
        raise FailedError(f"all pixels of all images are {low}")
    if high <= 1:
        raise FailedError(f"the brightest pixel is {high} of 255, as of images in 0..1")
    flat = int((images.flatten(1).amin(1) == images.flatten(1).amax(1)).sum())
    return f"{low} to {high}" + (f"; {flat:,} images are of one value" if flat else "")


@check("Class c is images[starts[c] : starts[c] + counts[c]], called class_names[c].")
def classes(examined: ExaminedDataset) -> str:
    """Every class has images, no two share one, all have names of their own."""
    data = examined.data
    number = len(data.class_names)
    for told, values in (
        ("starts", data.starts), ("counts", data.counts), ("groups", data.groups)
    ):  # fmt: skip
        if len(values) != number:
            raise FailedError(f"{number} class names, and {len(values)} {told}")
    if len(set(data.class_names)) < number:
        twice = next(name for name in data.class_names if data.class_names.count(name) > 1)
        raise FailedError(f"two classes are called {twice!r}")
    starts, counts = np.asarray(data.starts), np.asarray(data.counts)
    if empty := np.flatnonzero(counts < 1).tolist():
        raise FailedError(f"{len(empty)} classes have no images; class {empty[0]} is one")
    order = np.argsort(starts, kind="stable")
    if starts.min() < 0 or (starts + counts).max() > len(data.images):
        raise FailedError(f"classes reach beyond the {len(data.images)} images")
    if ((starts + counts)[order][:-1] > starts[order][1:]).any():
        raise FailedError("classes share images")
    unused = len(data.images) - int(counts.sum())
    few, many = int(counts.min()), int(counts.max())
    each = f"{few}" if few == many else f"{few} to {many}"
    return f"{number:,} classes, {each} images of each" + (f"; {unused} unused" if unused else "")


@check("Give each class to one phase: meta-test has to be on classes that were never seen.")
def splits(examined: ExaminedDataset) -> str:
    """In every split each phase has classes that exist, and no two phases share one."""
    data, told = examined.data, []
    for name, split in examined.splits().items():
        for phase, numbers in split._asdict().items():
            if len(numbers) == 0:
                raise FailedError(f"{name!r} has no classes for {phase}")
            if min(numbers) < 0 or max(numbers) >= len(data.counts):
                raise FailedError(f"{name!r} has classes for {phase} that are not in the data")
        every = np.concatenate(split)
        if len(np.unique(every)) < len(every):
            values, times = np.unique(every, return_counts=True)
            shared = values[times > 1]
            raise FailedError(
                f"{name!r} has {len(shared)} classes in two phases, or twice in one; class "
                f"{shared[0]} ({data.class_names[shared[0]]}) is one"
            )
        left = len(data.counts) - len(every)
        sizes = "/".join(str(len(part)) for part in split)
        told.append(f"{name} {sizes}" + (f", {left} in none" if left else ""))
    return "; ".join(told)


@check("An episode needs two classes, and of each an image to learn from and one to ask for.")
def episodes(examined: ExaminedDataset) -> str:
    """Episodes can be drawn in every phase of every split."""
    data, told = examined.data, []
    for name, split in examined.splits().items():
        for phase, numbers in split._asdict().items():
            if len(numbers) < 2:
                raise FailedError(f"{name!r} has {len(numbers)} class for {phase}")
            fewest = int(data.counts[numbers].min())
            if fewest < 2:
                raise FailedError(f"in {phase} of {name!r} a class has only {fewest} image")
        told.append(f"{name}: up to {len(split.test)}-way, {int(data.counts.min())} images a class")
    return "; ".join(told)


@check("Build all tensors of float32; targets and mask hold nothing but 0 and 1.")
def sequences(examined: ExaminedDataset) -> str:
    """A memory probe makes sequences of the shapes that it states, with something to answer."""
    source = examined.source
    if not isinstance(source, Probe):
        raise NotApplicableError("it generates no sequences")
    for items in (source.fewest, source.fewest + 3):
        made = source.sequences(items, words_of_a_probe(3, source.words(items)))
        steps = source.steps(items)
        wanted = {
            "x": (3, steps, *source.input_shape),
            "target": (3, steps, source.outputs),
            "mask": (3, steps),
        }
        for name, shape in wanted.items():
            tensor = getattr(made, name)
            if tensor.dtype != torch.float32 or tuple(tensor.shape) != shape:
                raise FailedError(
                    f"of {items} items {name} is {tensor.dtype} {tuple(tensor.shape)}, and not "
                    f"float32 {shape}"
                )
            if not tensor.isfinite().all():
                raise FailedError(f"of {items} items {name} is not finite")
            if name != "x" and not ((tensor == 0) | (tensor == 1)).all():
                raise FailedError(f"of {items} items {name} holds more than 0 and 1")
        if (made.mask.sum(1) == 0).any():
            raise FailedError(f"of {items} items a sequence has nothing to answer")
    return f"{source.fewest} items or more, {source.outputs} bits a step"


@check("Seed all that is random, and sort what a folder lists: the same data every time.")
def repeatable(examined: ExaminedDataset) -> None:
    """Loaded (from its cache, where it keeps one) and split again, it is the same: pixels, classes,
    content hash, splits."""
    source = examined.source
    if isinstance(source, Probe):
        words = words_of_a_probe(4, source.words(source.fewest))
        one, two = (source.sequences(source.fewest, words) for _ in range(2))
        contents = {source.content for _ in range(2)}
        if len(contents) > 1 or not torch.equal(one.x, two.x):
            raise FailedError("the same random words give other sequences")
        return
    data = examined.data
    torch.manual_seed(torch.initial_seed() + 1)  # what is drawn from torch's own state shows
    again = examined.load()
    if data.content != again.content:
        raise FailedError("the content hash is another one")
    if not torch.equal(data.images, again.images):
        raise FailedError("pixels are other ones, under the same content hash")
    for name in ("starts", "counts", "class_names"):
        if not np.array_equal(getattr(data, name), getattr(again, name)):
            raise FailedError(f"{name} are other ones")
    for name in source.splits:
        for one, two in zip(*(examined.dataset.split(name, data) for _ in range(2)), strict=True):
            if not np.array_equal(one, two):
                raise FailedError(f"the split {name!r} is another one")


@check("The message tells what differs; remove what is damaged, or get it again.")
def verify(examined: ExaminedDataset) -> str:
    """Its source, read again, is what it should be."""
    try:
        return examined.source.verify(examined.folders, examined.notify).partition("\n")[0]
    except BenchError as error:
        raise FailedError(str(error)) from error


CHECKS: dict[str, Check[ExaminedDataset]] = {
    one.name: one
    for one in (
        declaration, load, pixels, classes, splits, episodes, sequences, repeatable, verify
    )
}  # fmt: skip
"""All checks by name."""


def check_dataset(
    source: Source,
    image_size: int = 28,
    folders: DataFolders | None = None,
    notify: Notify = lambda told: None,
) -> list[CheckResult]:
    """Runs all checks on a dataset or memory probe. What it raises is a failure of that check.

    Args:
        source: an instance of the class.
        image_size: height and width that images are loaded at.
        folders: where data is and where it is cached; default: no data folder, and an empty cache
            that is removed afterwards.
        notify: told what takes long.
    """
    with tempfile.TemporaryDirectory() as scratch:
        examined = ExaminedDataset(
            source, image_size, folders or DataFolders(None, Path(scratch)), notify
        )
        return [one(examined) for one in CHECKS.values()]


def words_of_a_probe(episodes: int, words: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """(episodes, words): 64 bits each, the same every time."""
    return np.random.default_rng(0).integers(0, 2**64, (episodes, words), dtype=np.uint64)
