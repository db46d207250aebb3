"""What a suite draws its episodes from: its data loaded, and proven to fit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Source, Split
from bench.data.class_splits import split_by_fraction, split_by_list
from bench.data.image_folder import ClassFolder, ImageFolder, image_files
from bench.data.probes import Probe
from bench.episodes.classes import ClassPool, check_pool, class_pool
from bench.episodes.pools import Pool
from bench.errors import BenchError, unknown_name
from bench.registry.installed import datasets
from bench.suites.schema import FOLDER, Fractions, Setting, Suite, read_suite


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
    """How a folder of images is loaded again."""


def load_suite_data(suite: Suite, folders: DataFolders, notify: Notify) -> SuiteData:
    """Loads a suite's dataset and proves its split sound.

    Raises:
        BenchError: data missing or damaged, unknown split, classes shared between the phases, too
            few classes or images for a setting.
    """
    pools = open_suite_data(suite, folders, notify)
    for name, setting in suite.settings.items():
        with suite.at(f"settings.{name}"):
            check_setting(setting, pools)
    return pools


def open_suite_data(suite: Suite, folders: DataFolders, notify: Notify) -> SuiteData:
    """As `load_suite_data`, but whether the settings fit is not looked at.

    Raises:
        BenchError: data missing or damaged, unknown split, classes shared between the phases.
    """
    if suite.folder is not None:
        return folder_data(suite, suite.folder, folders, notify)
    with suite.at("dataset"):
        source = datasets().get(suite.dataset)
    assert isinstance(suite.split, str), "fractions are for folders"
    if suite.protocol == "sequence":
        return probe_data(suite, source)
    with suite.at("dataset"):
        if not isinstance(source, DatasetSource):
            raise BenchError(
                f"the {suite.protocol} protocol is about images, and {suite.dataset!r} has none; "
                'it goes with protocol = "sequence"'
            )
    with suite.at("split"):
        if suite.split not in source.splits:
            raise unknown_name(f"split of {suite.dataset}", suite.split, source.splits)
    data = source.load(suite.image_size, folders, notify)
    with suite.at("split"):
        split = source.split(suite.split, data)
        check_split(split, suite.split)
    return SuiteData(suite.dataset, suite.split, data.content, *phase_pools(suite, data, split))


def folder_data(suite: Suite, root: Path, folders: DataFolders, notify: Notify) -> SuiteData:
    """What a suite draws from a folder of images.

    Raises:
        BenchError: a folder or image that cannot be used; a split that does not fit the classes.
    """
    images, named = folder_classes(suite, root)
    source = ImageFolder(images)
    with suite.at("dataset"):
        data = source.load(suite.image_size, folders, notify)
    with suite.at("split"):
        split = source.split(named, data)
        check_split(split, named)
    dataset = f"{FOLDER}{root.name} ({data.content[:8]})"
    return SuiteData(dataset, named, data.content, *phase_pools(suite, data, split), images)


def folder_classes(suite: Suite, root: Path) -> tuple[ClassFolder, str]:
    """The classes of each phase of a folder of images, and the split's name; decodes nothing.

    Raises:
        BenchError: a folder that cannot be used; a list of classes that does not fit it.
    """
    with suite.at("dataset"):
        names = list(image_files(root))
    with suite.at("split"):
        if isinstance(suite.split, Fractions):
            asked = suite.split
            parts = split_by_fraction(names, asked.train, asked.val, asked.seed)
            named = str(asked)
        else:
            parts = split_by_list(names, Path(suite.split))
            listed = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
            named = f"{Path(suite.split).name} ({listed.hexdigest()[:8]})"
    return ClassFolder.model_validate({"path": str(root), **parts}), named


def named_source(name: str) -> Source:
    """The dataset that a name means: an installed one, ``folder:PATH``, or that of a suite file.

    Raises:
        BenchError: where there is none; a file that is no suite; a split that does not fit.
    """
    if name.endswith(".toml"):
        suite = read_suite(Path(name))
        if suite.folder is not None:
            return ImageFolder(folder_classes(suite, suite.folder)[0])
        with suite.at("dataset"):
            return datasets().get(suite.dataset)
    if name.startswith(FOLDER):
        root = Path(name.removeprefix(FOLDER)).expanduser().resolve()
        image_files(root)  # raises where there is none
        return ImageFolder(ClassFolder(path=str(root)))
    if Path(name).is_dir() and name not in datasets().things:
        raise BenchError(f"{name} is a folder; write {FOLDER}{name}")
    return datasets().get(name)


def phase_pools(
    suite: Suite, data: ImageClasses, split: Split
) -> tuple[ClassPool, ClassPool, ClassPool]:
    """The classes of meta-training, meta-validation and meta-test, turned where the suite says."""
    train = class_pool(data, split.train, suite.rotations.train)
    val, test = (class_pool(data, part, suite.rotations.test) for part in (split.val, split.test))
    return train, val, test


def check_setting(setting: Setting, pools: SuiteData) -> None:
    """Raises a `BenchError` unless the setting's episodes can be drawn from the test classes, and
    training has as many images per class, of two classes or more."""
    for phase, ways in (("test", setting.ways or 0), ("train", 2), ("val", 2)):
        pool = getattr(pools, phase)
        if isinstance(pool, ClassPool):
            try:
                check_pool(pool, ways, images_per_class(setting))
            except BenchError as error:
                raise BenchError(f"in {phase}, {error}") from error


def probe_data(suite: Suite, source: Source) -> SuiteData:
    """A memory probe generates the sequences of all phases.

    Raises:
        BenchError: where the dataset is none, or fewer items are asked for than make sense.
    """
    with suite.at("dataset"):
        if not isinstance(source, Probe):
            raise BenchError(
                f"the sequence protocol is about memory probes, and {suite.dataset!r} is a dataset "
                'of images; it goes with protocol = "kshot" or "online"'
            )
    asked = {f"settings.{name}.items": s.items or 0 for name, s in suite.settings.items()}
    for key, items in {"training_items": suite.training_items[0], **asked}.items():
        with suite.at(key):
            if items < source.fewest:
                raise BenchError(f"{source.name} needs {source.fewest} items or more, got {items}")
    return SuiteData(suite.dataset, "", source.content, source, source, source)


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


def images_per_class(setting: Setting) -> int:
    """Images of a class that an episode of the setting needs."""
    return setting.presentations or (setting.shots or 0) + setting.queries
