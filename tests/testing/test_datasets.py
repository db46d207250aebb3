"""The checks of datasets: each catches what it is for, and the built-in ones pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.api import Sequences
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.data.glyphs import Glyphs
from bench.data.probes import AssociativeRecall, Copy
from bench.errors import BenchError
from bench.testing.datasets import CHECKS, check_dataset

CLASSES, EACH = 9, 4


def images(size: int, **changes: Any) -> ImageClasses:
    """Nine classes of four images."""
    pixels = np.random.default_rng(0).integers(0, 256, (CLASSES * EACH, 1, size, size))
    data = ImageClasses(
        name="sound",
        images=torch.from_numpy(pixels.astype(np.uint8)),
        starts=np.arange(CLASSES) * EACH,
        counts=np.full(CLASSES, EACH),
        class_names=tuple("abcdefghi"),
        groups=("letters",) * CLASSES,
        content="0123",
    )
    return replace(data, **changes)


class Sound(DatasetSource):
    """It is as it should be."""

    name = "sound"
    description = "Noise."
    splits = ("thirds",)
    changes: dict[str, Any] = {}
    thirds = Split(np.arange(3), np.arange(3, 6), np.arange(6, 9))

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        return images(image_size, **self.changes)

    def split(self, name: str, data: ImageClasses) -> Split:
        return self.thirds

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        return "sound is noise"


def changed(**changes: Any) -> Sound:
    """`Sound` with other fields of the data."""
    return type("Changed", (Sound,), {"changes": changes})()


def split(train: Any, val: Any, test: Any) -> Sound:
    """`Sound` with another split."""
    return type("Other", (Sound,), {"thirds": Split(*map(np.array, (train, val, test)))})()


class Unseeded(Sound):
    def load(self, *arguments: Any) -> ImageClasses:
        data = super().load(*arguments)
        return replace(data, images=data.images[torch.randperm(len(data.images))])


class OtherHash(Sound):
    count = 0

    def load(self, *arguments: Any) -> ImageClasses:
        self.count += 1
        return replace(super().load(*arguments), content=str(self.count))


class UnseededSplit(Sound):
    count = 0

    def split(self, *arguments: Any) -> Split:
        self.count += 1
        return Split(*np.split(np.roll(np.arange(9), self.count), 3))


class Damaged(Sound):
    def verify(self, *arguments: Any) -> str:
        raise BenchError("sound is damaged")


class Missing(Sound):
    def load(self, *arguments: Any) -> ImageClasses:
        raise BenchError("sound is missing; run fetch")


class Raises(Sound):
    def load(self, *arguments: Any) -> ImageClasses:
        raise KeyError("archive")


class Nameless(Sound):
    description = ""


class OneSplit(Sound):
    splits = "thirds"  # type: ignore[assignment]


class HalfBits(Copy):
    def sequences(self, *arguments: Any) -> Sequences:
        made = super().sequences(*arguments)
        return replace(made, target=made.target / 2)


class NothingAsked(Copy):
    def sequences(self, *arguments: Any) -> Sequences:
        made = super().sequences(*arguments)
        return replace(made, mask=0 * made.mask)


class OtherLength(Copy):
    def steps(self, items: int) -> int:
        return super().steps(items) + 1

    def sequences(self, items: int, words: Any) -> Sequences:
        return Copy().sequences(items, words)


class Dice(Copy):
    def sequences(self, *arguments: Any) -> Sequences:
        made = super().sequences(*arguments)
        return replace(made, x=made.x + torch.rand(()))


PIXELS = images(28).images
PLANTED = [
    # what is wrong, the one check that says so, what it says
    (Nameless(), "declaration", "it has no description"),
    (OneSplit(), "declaration", "splits is a tuple of names, and not 'thirds'"),
    (Missing(), "load", "sound is missing; run fetch"),
    (Raises(), "load", "KeyError: 'archive'"),
    (changed(images=PIXELS.double()), "load", "images are torch.float64, and not torch.uint8"),
    (changed(images=PIXELS + torch.inf), "pixels", "features are not finite"),
    (changed(images=PIXELS[:, 0]), "load", "images have the shape (36, 28, 28), and not (M, C"),
    (changed(images=PIXELS[..., :20]), "load", "images have the shape (36, 1, 28, 20), and not"),
    (changed(images=PIXELS.numpy()), "load", "images are a ndarray, and not a torch tensor"),
    (changed(content=""), "load", "it has no content hash"),
    (changed(images=PIXELS // 128), "pixels", "the brightest pixel is 1 of 255, as of images in"),
    (changed(images=0 * PIXELS), "pixels", "all pixels of all images are 0"),
    (changed(class_names=tuple("abcdefghh")), "classes", "two classes are called 'h'"),
    (changed(counts=np.full(8, 4)), "classes", "9 class names, and 8 counts"),
    (changed(counts=np.array([4] * 8 + [0])), "classes", "1 classes have no images; class 8 is"),
    (changed(counts=np.array([4] * 8 + [5])), "classes", "classes reach beyond the 36 images"),
    (changed(counts=np.array([5] + [4] * 8)), "classes", "classes share images"),
    (split([0, 1, 2, 3], [3, 4, 5], [6, 7, 8]), "splits", "'thirds' has 1 classes in two phases"),
    (split([0, 1, 1], [3, 4, 5], [6, 7, 8]), "splits", "or twice in one; class 1 (b) is one"),
    (split([0, 1], [], [6, 7]), "splits", "'thirds' has no classes for val"),
    (split([0, 1], [2, 3], [8, 9]), "splits", "'thirds' has classes for test that are not in the"),
    (split([0, 1], [2], [6, 7, 8]), "episodes", "'thirds' has 1 class for val"),
    (
        changed(counts=np.array([4] * 7 + [1, 4])), "episodes",
        "in test of 'thirds' a class has only 1 image",
    ),
    (Unseeded(), "repeatable", "pixels are other ones, under the same content hash"),
    (OtherHash(), "repeatable", "the content hash is another one"),
    (UnseededSplit(), "repeatable", "the split 'thirds' is another one"),
    (Damaged(), "verify", "sound is damaged"),
    (HalfBits(), "sequences", "of 1 items target holds more than 0 and 1"),
    (NothingAsked(), "sequences", "of 1 items a sequence has nothing to answer"),
    (OtherLength(), "sequences", "of 1 items x is torch.float32 (3, 4, 10), and not float32 (3, 5"),
    (Dice(), "repeatable", "the same random words give other sequences"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "name", "said"), PLANTED, ids=[said for *_, said in PLANTED])
def test_what_is_wrong_fails_in_one_check(source, name, said):
    failed = {result.name: result for result in check_dataset(source) if result.status == "fail"}
    assert failed.keys() - {"splits", "episodes"} == {name} - {"splits", "episodes"}
    assert said in (failed[name].reason or "")
    assert failed[name].hint == CHECKS[name].hint


def status(source: Any, **given: Any) -> dict[str, str]:
    return {result.name: result.status for result in check_dataset(source, **given)}


def test_a_sound_dataset_passes_all():
    results = {result.name: result for result in check_dataset(Sound(), image_size=16)}
    assert {name for name, result in results.items() if result.status != "pass"} == {"sequences"}
    assert results["load"].reason == "36 images of 1x16x16"
    assert results["classes"].reason == "9 classes, 4 images of each"
    assert results["splits"].reason == "thirds 3/3/3"
    assert results["episodes"].reason == "thirds: up to 3-way, 4 images a class"


def test_classes_that_no_phase_has_are_told():
    results = {result.name: result for result in check_dataset(split([0, 1], [2, 3], [4, 5]))}
    assert results["splits"].reason == "thirds 2/2/2, 3 in none"
    assert results["splits"].status == "pass"


def test_what_does_not_load_is_not_asked_for_more():
    told = status(Missing())
    assert {name for name, result in told.items() if result == "not applicable"} == {
        "pixels", "classes", "splits", "episodes", "sequences", "repeatable",
    }  # fmt: skip


@pytest.mark.parametrize("probe", [Copy(), AssociativeRecall()], ids=lambda probe: probe.name)
def test_memory_probes_pass(probe):
    told = status(probe)
    assert {name for name, result in told.items() if result == "pass"} == {
        "declaration", "sequences", "repeatable", "verify",
    }  # fmt: skip
    assert "fail" not in told.values()


def test_glyphs_pass(tmp_path, monkeypatch):
    """On a few letters: all of them take seconds."""
    from bench.data import glyphs

    few = glyphs.letters()[::20]
    monkeypatch.setattr(glyphs, "letters", lambda: few)
    told = status(Glyphs(), image_size=12, folders=DataFolders(None, Path(tmp_path)))
    assert set(told.values()) == {"pass", "not applicable"}
    assert told["sequences"] == "not applicable"
