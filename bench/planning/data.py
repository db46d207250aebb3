"""What a suite draws its episodes from: its data loaded, and proven to fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.apart.blame import touching
from bench.api.dataset import DataFolders, Notify, Source
from bench.api.files import is_folder
from bench.data.class_folder import ClassFolder
from bench.data.folders import named_path
from bench.data.own_data import own_source
from bench.episodes.pools import Pool
from bench.errors import BenchError
from bench.planning.jobs import TestedData
from bench.planning.own_data import own_classes
from bench.planning.transfer import check_source, transferred
from bench.protocols.base import Phase
from bench.registry.discovery import names_of
from bench.registry.installed import datasets, protocol
from bench.suites.paths import ARRAYS, FOLDER, OWN
from bench.suites.schema import Suite, read_suite

PHASES: tuple[Phase, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class SuiteData:
    """What a suite draws its episodes from, by phase."""

    dataset: str
    """Its name; a folder of images has its content in it: a changed one is another dataset."""
    split: str
    content: str
    """Identity of the data."""
    train: Pool
    val: Pool
    test: Pool
    images: ClassFolder | None = None
    """How data of the user's own is loaded again."""
    classes: tuple[Any, Any] | None = None
    """What the protocol loaded, and its split."""
    tested: TestedData | None = None
    """What the meta-test draws from, where it is other data."""
    notes: tuple[str, ...] = ()
    """What the user should know of the data."""


def load_suite_data(suite: Suite, folders: DataFolders, notify: Notify) -> SuiteData:
    """Loads a suite's dataset and proves its split sound.

    Raises:
        BenchError: data missing or damaged, unknown split, classes shared between the phases, too
            few classes or images for a setting.
    """
    pools = open_suite_data(suite, folders, notify)
    for name in suite.settings:
        if suite.tested_on(name) is None:
            with suite.at(f"settings.{name}"):
                check_setting(suite, name, pools)
    return pools


def setting_data(
    suite: Suite, name: str, pools: SuiteData, folders: DataFolders, notify: Notify
) -> SuiteData:
    """What a setting draws from: its suite's data, or other data in the meta-test.

    Raises:
        BenchError: see `bench.planning.transfer.transferred`; too few classes or images.
    """
    asked = suite.tested_on(name)
    if asked is None:
        return pools
    other = transferred(suite, asked, pools.classes, folders, notify)
    pools = replace(pools, test=other.pool, tested=other.tested, notes=other.notes)
    check_setting(suite, name, pools)
    return pools


def open_suite_data(suite: Suite, folders: DataFolders, notify: Notify) -> SuiteData:
    """As `load_suite_data`, but whether the settings fit is not looked at.

    Raises:
        BenchError: data missing or damaged, unknown split, classes shared between the phases.
    """
    if suite.own is not None:
        return own_data(suite, folders, notify)
    with suite.at("dataset"):
        source = datasets(suite.dataset).get(suite.dataset)
        check_source(suite.protocol, suite.dataset, source)
    assert isinstance(suite.split, str), "fractions are for folders"
    with touching(f"loading the dataset {suite.dataset}", seconds=None):
        data = protocol(suite.protocol).load(source, suite.image_size, folders, notify)
    return phase_data(suite, source, data, suite.dataset, suite.split)


def own_data(suite: Suite, folders: DataFolders, notify: Notify) -> SuiteData:
    """What a suite draws from data of the user's own.

    Raises:
        BenchError: a folder, file or image that cannot be used; a split that does not fit.
    """
    assert suite.own is not None, "asked of such suites only"
    prefix, path = suite.own
    own = own_classes(suite)
    with suite.at("dataset"):
        source = own_source(own.classes)
        data = protocol(suite.protocol).load(source, suite.image_size, folders, notify)
    dataset = f"{prefix}{path.name} ({data.content[:8]})"
    pools = phase_data(suite, source, data, dataset, own.split)
    return replace(pools, images=own.classes, notes=own.notes + pools.notes)


def named_source(name: str) -> Source:
    """The dataset that a name means: an installed one, ``folder:PATH``, ``arrays:PATH``, or that of
    a suite file.

    Raises:
        BenchError: where there is none; a file that is no suite; a split that does not fit.
    """
    if name.endswith(".toml"):
        suite = read_suite(Path(name))
        if suite.own is not None:
            return own_source(own_classes(suite).classes)
        with suite.at("dataset"):
            return datasets(suite.dataset).get(suite.dataset)
    for prefix in OWN:
        if name.startswith(prefix):
            path = named_path(name.removeprefix(prefix), "the data").resolve()
            source = own_source(ClassFolder(path=str(path), arrays=prefix == ARRAYS))
            source.class_counts()  # raises where there is none
            return source
    if is_folder(name) and name not in names_of("dataset"):
        raise BenchError(f"{name} is a folder; write {FOLDER}{name}")
    return datasets(name).get(name)


def phase_data(suite: Suite, source: Source, data: Any, dataset: str, named: str) -> SuiteData:
    """What each phase draws from, as the protocol makes it.

    Args:
        suite: says which images are turned.
        source: the dataset.
        data: what the protocol loaded of it.
        dataset: its name.
        named: the name of its split.

    Raises:
        BenchError: a split that is not sound, keys of the suite that do not fit the data.
    """
    asked = protocol(suite.protocol)
    with suite.at("split"):
        split = asked.split(source, named, data)
        notes = tuple(asked.examine(data, split))
    turned = {"train": suite.rotations.train, "val": suite.rotations.test}
    turned["test"] = suite.rotations.test
    with suite.at("rotations"):
        pools = {phase: asked.pool(data, split, phase, turned[phase]) for phase in PHASES}
    with suite.at():
        asked.check_keys(suite, pools["train"])
    train, val, test = (pools[phase] for phase in PHASES)
    return SuiteData(
        dataset, named, data.content, train, val, test, notes=notes, classes=(data, split)
    )


def check_setting(suite: Suite, name: str, pools: SuiteData) -> None:
    """Raises a `BenchError` unless the setting's episodes can be drawn."""
    setting = suite.settings[name]
    protocol(suite.protocol).check_setting(setting, pools.train, pools.val, pools.test)
