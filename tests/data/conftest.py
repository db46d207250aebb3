"""Folders, the real dataset where there is one, and no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.api.dataset import DataFolders, ImageClasses
from bench.data.folders import data_folders
from bench.data.omniglot import Omniglot
from bench.data.torchvision_sets import (
    DTD,
    EMNIST,
    GTSRB,
    KMNIST,
    EuroSAT,
    FGVCAircraft,
    Flowers102,
)
from bench.data.torchvision_shim import torchvision_datasets


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    """An empty data folder and a cache folder that does not exist yet."""
    (tmp_path / "data").mkdir()
    return DataFolders(tmp_path / "data", tmp_path / "cache")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test downloads: the name of the server resolves to nothing."""

    def resolve(*_: object, **__: object) -> None:
        raise OSError("the tests have no network")

    monkeypatch.setattr("socket.getaddrinfo", resolve)


@pytest.fixture(scope="session")
def session_folders(tmp_path_factory: pytest.TempPathFactory) -> DataFolders:
    """The user's data folder; the user's cache folder only where a variable names it."""
    named = os.environ.get("BENCH_CACHE_DIR")
    cache = Path(named) if named else tmp_path_factory.mktemp("cache")
    return DataFolders(data_folders(None).data, cache)


@pytest.fixture(scope="session")
def omniglot(session_folders: DataFolders) -> ImageClasses:
    """The real one."""
    if session_folders.data is None:
        pytest.skip("needs real Omniglot: set BENCH_DATA_DIR to the folder of its archives")
    return Omniglot().load(28, session_folders, print)


@pytest.fixture
def small(folders: DataFolders, monkeypatch: pytest.MonkeyPatch) -> DataFolders:
    """Folders for the datasets of `tests.helpers.torchvision_files`, which have fewer images and
    classes than the official ones, and other checksums of the lists of Flowers-102."""
    original = torchvision_datasets().Flowers102
    for key in ("label", "setid"):
        monkeypatch.setitem(original._file_dict, key, (original._file_dict[key][0], None))
    for kind in (KMNIST, EMNIST, Flowers102, DTD, GTSRB, EuroSAT, FGVCAircraft):
        grey = kind in (KMNIST, EMNIST)
        monkeypatch.setattr(kind, "known_images", 11 if grey else 6)
        monkeypatch.setattr(kind, "known_classes", 3 if grey else 2)
    return folders
