"""Other data that a meta-test may be on: which of its classes are new, and what is drawn from it.

Classes are compared with those of meta-training and meta-validation by their pixels, since a class
may have another name elsewhere, and two datasets may be made of the same photographs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.apart.blame import touching
from bench.api.dataset import DataFolders, ImageClasses, IntArray, Notify, Source, Split
from bench.data.class_folder import ClassFolder
from bench.data.own_data import own_source
from bench.episodes.duplicates import examine_duplicates, seen_classes, told_images
from bench.episodes.pools import Pool
from bench.errors import BenchError
from bench.planning.jobs import TestedData
from bench.protocols.settings import ALL, TestedOn
from bench.registry.installed import datasets, protocol, protocols
from bench.suites.paths import ARRAYS, own_path
from bench.suites.schema import Suite

MOST_NAMED = 3
"""Classes that a message names."""


@dataclass(frozen=True)
class Transferred:
    """What a meta-test on other data draws from."""

    tested: TestedData
    pool: Pool
    notes: tuple[str, ...]


def transferred(
    suite: Suite,
    asked: TestedOn,
    trained: tuple[Any, Any] | None,
    folders: DataFolders,
    notify: Notify,
) -> Transferred:
    """Loads other data, and finds out which of its classes are new.

    Args:
        suite: says the size of images.
        asked: the data.
        trained: what meta-training and meta-validation draw from, and its split.
        folders: where data lies.
        notify: told what takes long.

    Raises:
        BenchError: data that is missing, damaged or of another shape; no such split; classes that
            meta-training or meta-validation has seen, unless they are to be left out.
    """
    assert asked.dataset is not None, "else it is the same data"
    assert trained is not None, "a protocol that transfers has data"
    own, images = own_path(asked.dataset), None
    if own is not None:
        images = ClassFolder(path=str(own[1]), arrays=own[0] == ARRAYS)
        source: Source = own_source(images)
    else:
        source = datasets(asked.dataset).get(asked.dataset)
        check_source(suite.protocol, asked.dataset, source)
    rules = protocol(suite.protocol)
    with touching(f"loading the dataset {asked.dataset}", seconds=None):
        data = rules.load(source, suite.image_size, folders, notify)
    dataset = asked.dataset
    if own is not None:
        dataset = f"{own[0]}{own[1].name} ({data.content[:8]})"
    _check_shapes(trained[0], data, dataset)
    wanted = tested_classes(rules, source, data, asked.split)
    seen = seen_classes(*trained, data, wanted)
    notes: tuple[str, ...] = ()
    if known := seen.classes:
        first = [f"{data.class_names[new]!r} is {old}" for new, old in known.items()][:MOST_NAMED]
        told = ", ".join(first) + (", ..." if len(known) > MOST_NAMED else "")
        count = f"{len(known)} of {len(wanted)} classes of {dataset}"
        if not asked.leave_out_seen:
            raise BenchError(
                f"{count} are known before the meta-test, by their pixels: {told}; leave_out_seen "
                "= true leaves them out"
            )
        wanted = np.array([c for c in wanted.tolist() if c not in known], dtype=np.int64)
        notes = (f"left out of the meta-test on {dataset}: {count} that were seen: {told}",)
    if seen.images:
        notes += (
            f"{told_images(seen.images)} known before the meta-test on {dataset}, from "
            "meta-training or meta-validation, though of no class of theirs half are",
        )
    nothing = np.array([], dtype=np.int64)
    notes += tuple(
        f"{dataset}: {note}" for note in examine_duplicates(data, Split(nothing, nothing, wanted))
    )
    if not len(wanted):
        raise BenchError(f"no class of {dataset} is left to test on")
    tested = TestedData(
        dataset=dataset,
        split=asked.split,
        content=data.content,
        classes=tuple(wanted.tolist()),
        images=images,
    )
    return Transferred(tested, tested_pool(rules, data, tested), notes)


def not_here(asked: TestedOn, folders: DataFolders) -> str | None:
    """Why a setting on other data has to wait: the data was never fetched. None: it is here."""
    if asked.dataset is None or own_path(asked.dataset) is not None:
        return None
    source = datasets(asked.dataset).get(asked.dataset)
    with touching(f"looking for the dataset {asked.dataset}", seconds=None):
        reason = source.missing(folders)
    if reason is None:
        return None
    first = re.split("[;\n]", reason)[0]
    return f"{first}; `bench data fetch {asked.dataset}` gets it, or says what to do"


def tested_classes(rules: Any, source: Any, data: ImageClasses, split: str) -> IntArray:
    """The numbers of the classes that a split tests on."""
    if split == ALL:
        return np.arange(len(data.counts), dtype=np.int64)
    test: IntArray = rules.split(source, split, data).test
    return test


def tested_pool(rules: Any, data: ImageClasses, tested: TestedData) -> Pool:
    """What is drawn from. Other data is never turned: a 6 would be a 9."""
    nothing = np.array([], dtype=np.int64)
    split = Split(nothing, nothing, np.array(tested.classes, dtype=np.int64))
    pool: Pool = rules.pool(data, split, "test", False)
    return pool


def _check_shapes(trained: ImageClasses, other: ImageClasses, dataset: str) -> None:
    shapes = [tuple(data.images.shape[1:]) for data in (trained, other)]
    if shapes[0] != shapes[1] or trained.images.dtype != other.images.dtype:
        here, there = ("x".join(map(str, shape)) for shape in shapes)
        raise BenchError(
            f"{dataset} has inputs of {there}, and meta-training is on {here} "
            f"({trained.name}); both have to be alike: as many colours, and pixels or features"
        )


def check_source(name: str, dataset: str, source: Source) -> None:
    """Raises a `BenchError` unless the dataset is of the kind that the protocol goes with."""
    asked = protocol(name)
    if isinstance(source, asked.source):
        return
    others = [
        f'"{other}"'
        for other, candidate in protocols().things.items()
        if isinstance(source, candidate.source)
    ]
    hint = f"; it goes with protocol = {' or '.join(others)}" if others else ""
    raise BenchError(f"the {name} protocol is about {asked.about}, and {dataset!r} has none{hint}")
