"""Images that stand there more than once: told, and refused where half of a class does.

Images are compared as learners get them, decoded and resized. No loop goes over images: each gets a
64-bit hash, the sum of its words times fixed odd numbers (Carter and Wegman 1979), and only what
shares one is compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api.dataset import ImageClasses, IntArray, Split
from bench.episodes.words import Purpose, random_words
from bench.errors import BenchError

CHUNK = 2**26
"""Bytes of images hashed at once."""
PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))


@dataclass(frozen=True)
class Seen:
    """What of other data meta-training or meta-validation knows."""

    classes: dict[int, str]
    """For the number of each class that is known, which class it is."""
    images: int
    """How many images of the other classes are known."""


def examine_duplicates(data: ImageClasses, split: Split) -> list[str]:
    """Looks for images that two phases share, and for those that one phase has twice.

    Args:
        data: the dataset.
        split: classes of each phase, no class in two of them.

    Returns:
        What the user should know: nothing, or a sentence for two phases, or for one.

    Raises:
        BenchError: where half of a class's images are in another class: one that has two names.
            Meta-test would not be on new classes, or ask which of the two names is meant.
    """
    classes = np.repeat(np.arange(len(data.counts)), data.counts)  # (M',)
    rows = np.arange(len(classes)) + np.repeat(
        data.starts - (np.cumsum(data.counts) - data.counts), data.counts
    )
    phases = np.full(len(data.counts), -1)
    for number, part in enumerate(split):
        phases[part] = number
    used = phases[classes] >= 0
    classes, rows = classes[used], rows[used]
    same = _groups(data.images, rows)  # (M',) equal for equal images
    notes = []
    for first, second in PAIRS:
        one, two = (phases[classes] == Split._fields.index(phase) for phase in (first, second))
        shared = np.intersect1d(same[one], same[two])
        if not len(shared):
            continue
        here, there = (np.flatnonzero(where & np.isin(same, shared)) for where in (one, two))
        _refuse_same_classes(data, classes, same, (here, first), (there, second))
        left, right = here[0], there[same[there] == same[here[0]]][0]
        notes.append(
            f"{told_images(len(shared))} in {first} and in {second} too, the first in the classes "
            f"{data.class_names[classes[left]]!r} and {data.class_names[classes[right]]!r}"
        )
    for phase in Split._fields:
        inside = np.flatnonzero(phases[classes] == Split._fields.index(phase))
        values, first_at, counts = np.unique(same[inside], return_index=True, return_counts=True)
        if not (counts > 1).any():
            continue
        again = inside[np.isin(same[inside], values[counts > 1])]
        _refuse_same_classes(data, classes, same, (again, phase), (again, phase))
        if phase == "train":
            continue  # there it costs nobody anything
        name = data.class_names[classes[inside[first_at[counts > 1].min()]]]
        several = told_images(int((counts > 1).sum()))
        notes.append(f"{several} more than once in {phase}, the first in the class {name!r}")
    return notes


def told_images(count: int) -> str:
    """So many images, and the verb that they take."""
    return "1 image is" if count == 1 else f"{count:,} images are"


def _refuse_same_classes(
    data: ImageClasses,
    classes: IntArray,
    same: IntArray,
    here: tuple[IntArray, str],
    there: tuple[IntArray, str],
) -> None:
    """Pairs of classes that share images: whether they are one class."""
    (left, first), (right, second) = here, there
    sets: dict[int, set[int]] = {}
    for number in np.unique(classes[np.concatenate([left, right])]).tolist():
        sets[number] = set(same[classes == number].tolist())
    for one in np.unique(classes[left]).tolist():
        for two in np.unique(classes[right]).tolist():
            if one == two or not _one_class(sets[one], sets[two]):
                continue
            count, shared = min(len(sets[one]), len(sets[two])), len(sets[one] & sets[two])
            which = "all" if shared == count else f"{shared}"
            told = (
                f"the class {data.class_names[one]!r} of {first} is the class "
                f"{data.class_names[two]!r} of {second} under another name: the smaller one has "
                f"{count} different images, and {which} of them are in both, so that"
            )
            if first == second:
                raise BenchError(f"{told} an episode may ask which is which; remove one of them")
            raise BenchError(
                f"{told} {second} would not be on new classes; remove one of them, or join them"
            )


def _one_class(mine: set[int], theirs: set[int]) -> bool:
    """Whether two sets of images are one class: half of the smaller one's or more are in the larger
    one, as where a class was sampled twice. A single image that stands in a class of several (a
    blank one) is no class."""
    smaller, larger = sorted((mine, theirs), key=len)
    shared = len(smaller & larger)
    return 2 * shared >= len(smaller) and (shared > 1 or len(larger) == 1)


def seen_classes(
    trained: ImageClasses, split: Split, other: ImageClasses, classes: IntArray
) -> Seen:
    """Which classes and images of other data meta-training or meta-validation knows, as learners
    get them.

    Args:
        trained: what meta-training and meta-validation draw from.
        split: its classes of each phase.
        other: the other data, its inputs of the same shape and kind.
        classes: those of it that are asked about.
    """
    phases = {number: phase for phase in ("train", "val") for number in getattr(split, phase)}
    known = np.array(sorted(phases), dtype=np.int64)
    owners, rows = _rows(trained, known)
    asked, places = _rows(other, classes)
    old, new = _hashes(trained.images, rows), _hashes(other.images, places)
    shared = np.intersect1d(old, new)
    if len(shared):  # those whose images are not the same share only a hash
        one, two = (_first(hashes, shared) for hashes in (old, new))
        equal = trained.images[rows[one]].flatten(1) == other.images[places[two]].flatten(1)
        shared = shared[equal.all(1).numpy()]
    found: dict[int, str] = {}
    here, there = np.isin(old, shared), np.isin(new, shared)
    known_sets = {
        owner: set(old[owners == owner].tolist()) for owner in np.unique(owners[here]).tolist()
    }
    for number in np.unique(asked[there]).tolist():
        mine = set(new[asked == number].tolist())
        for owner, theirs in known_sets.items():
            if _one_class(mine, theirs):
                found[number] = f"{trained.class_names[owner]!r} of {phases[owner]}"
                break
    return Seen(found, int((there & ~np.isin(asked, list(found))).sum()))


def _rows(data: ImageClasses, classes: IntArray) -> tuple[IntArray, IntArray]:
    """The class of each image of some classes, and where in the dataset it is; both (M',)."""
    counts = data.counts[classes]
    ends = np.cumsum(counts)
    rows = np.arange(counts.sum()) + np.repeat(data.starts[classes] - (ends - counts), counts)
    return np.repeat(classes, counts), rows


def _first(hashes: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> IntArray:
    """Where each of some hashes stands first."""
    order = np.argsort(hashes, kind="stable")
    return order[np.searchsorted(hashes[order], wanted)]


def _groups(images: Tensor, rows: IntArray) -> IntArray:
    """A number for each image (M',), the same for equal ones and for no others."""
    hashes = _hashes(images, rows)
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    group = group.astype(np.int64)
    if len(first) == len(rows):
        return group
    # Of those that share a hash, each is compared with the first; another image is one of its own.
    again = np.flatnonzero(first[group] != np.arange(len(rows)))
    flat = images.flatten(1)
    for part in np.array_split(again, max(1, len(again) * flat[0].nbytes // CHUNK)):
        one, two = (flat[torch.from_numpy(rows[p])] for p in (part, first[group[part]]))
        other = part[~(one == two).all(1).numpy()]
        group[other] = len(rows) + other
    return group


def _hashes(images: Tensor, rows: IntArray) -> NDArray[np.uint64]:
    """(M',) 64-bit hashes."""
    size = images[0].nbytes
    words = -(-size // 8)
    odd = random_words(0, Purpose.TEST, 0, words) | np.uint64(1)
    hashes = np.empty(len(rows), dtype=np.uint64)
    step = max(1, CHUNK // max(size, 1))
    for start in range(0, len(rows), step):
        part = images[torch.from_numpy(rows[start : start + step])].flatten(1).numpy()
        padded = np.zeros((len(part), words * 8), dtype=np.uint8)
        padded[:, :size] = part.view(np.uint8)
        hashes[start : start + step] = (padded.view(np.uint64) * odd).sum(1, dtype=np.uint64)
    return hashes
