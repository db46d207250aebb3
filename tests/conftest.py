"""What all tests share: the tiny plugin package, its suites, and real Omniglot where it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from hypothesis import settings

from bench import registry as plugins
from bench.api import TaskSpec
from bench.api.dataset import DataFolders
from bench.planning.jobs import Training
from bench.registry import discovery
from bench.suites.schema import Budget

FIXTURES = Path(__file__).parent / "fixtures"
sys.path.append(str(Path(__file__).parents[1]))  # for benchmarks/; an installed bench comes first

# On a machine with much else to do an example takes as long as it takes: that is no mistake.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests compute small things, and several run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _tests_are_importable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Processes that bench starts import functions of `tests`: nothing of the working folder is on
    their path, and the folder that holds `tests` holds another copy of bench beside the installed
    one. The fork server reads the variable once, so it is set for the whole session."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "tests").symlink_to(Path(__file__).parent, target_is_directory=True)
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), inherited]))


def forget_plugins() -> None:
    """Lets `bench.registry.discovery` look again at what is installed."""
    for found in (plugins.learners, plugins.datasets, plugins.protocols, plugins.executors):
        found.cache_clear()
    discovery.installed_points.cache_clear()


@pytest.fixture
def put_on_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Puts folders on the import path of this process and of those it starts, for one test."""
    with monkeypatch.context() as installed:

        def put(folder: Path) -> None:
            installed.syspath_prepend(folder)
            inherited = os.environ.get("PYTHONPATH")
            path = os.pathsep.join(filter(None, [str(folder), inherited]))
            installed.setenv("PYTHONPATH", path)
            forget_plugins()

        yield put
    forget_plugins()


@pytest.fixture
def install(put_on_path: Callable[[Path], None], tmp_path: Path) -> Callable[..., Path]:
    """Puts a package with a module and entry points on the path, for one test."""

    def install(package: str, source: str = "", **points: dict[str, str]) -> Path:
        folder = tmp_path / package
        info = folder / f"{package}-2.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.5\n")
        lines = []
        for kind, names in points.items():
            lines += [f"[bench.{kind}]", *(f"{name} = {to}" for name, to in names.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        (folder / f"{package}.py").write_text(dedent(source))
        put_on_path(folder)
        return folder

    return install


@pytest.fixture
def tiny_plugins(
    put_on_path: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> DataFolders:
    """Installs the package of tests/fixtures/tiny_plugins for one test; caches go to `tmp_path`.

    Gives the data folders that the package needs: none, and that cache.
    """
    cache = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE_DIR", str(cache))
    put_on_path(FIXTURES / "tiny_plugins")
    return DataFolders(None, cache)


@pytest.fixture
def tiny_suite(tiny_plugins: DataFolders) -> Path:
    """A k-shot suite of two settings on the dataset `codes`."""
    return FIXTURES / "tiny_suite.toml"


@pytest.fixture
def tiny_online(tiny_plugins: DataFolders) -> Path:
    """An online suite on the dataset `codes`."""
    return FIXTURES / "tiny_online.toml"


@pytest.fixture
def tiny_probe(tiny_plugins: DataFolders) -> Path:
    """A suite of two settings on the memory probe `copy`."""
    return FIXTURES / "tiny_probe.toml"


@pytest.fixture
def tiny_regression(put_on_path: Callable[[Path], None]) -> Path:
    """A suite of two settings in a protocol that comes from outside, with its data and learners:
    the package of tests/fixtures/tiny_regression."""
    put_on_path(FIXTURES / "tiny_regression")
    return FIXTURES / "tiny_regression.toml"


@pytest.fixture
def make_training() -> Callable[..., Training]:
    """Builds a Training by hand; arguments replace its fields."""

    def make(**changes: Any) -> Training:
        task = TaskSpec((1, 4, 4), ways=3, shots=1, queries=2, episodes_per_update=4, classes=12)
        fields: dict[str, Any] = {
            "learner": "toy[width=8]",
            "learner_name": "toy",
            "family": "metric-based",
            "config": {"width": 8, "lr": 0.01},
            "task": task,
            "dataset": "codes",
            "content": "0123",
            "image_size": 4,
            "split": "halves",
            "train_rotations": False,
            "val_rotations": False,
            "budget_name": "smoke",
            "budget": Budget(updates=20, validations=4, validation_images=180),
            "bank_seed": 7,
            "seed": 0,
            "precision": "fp32",
            "device": "cpu",
        }
        return Training(**{**fields, **changes})

    return make


@pytest.fixture
def omniglot_folder() -> Path:
    """The folder with the official Omniglot archives."""
    return _folder_of("images_background*", "the official Omniglot archives")


@pytest.fixture
def cifar100_folder() -> Path:
    """The folder with an official archive of CIFAR-100."""
    return _folder_of("cifar-100-*", "an official archive of CIFAR-100")


def _folder_of(pattern: str, what: str) -> Path:
    """The folder in $BENCH_DATA_DIR that holds such a file."""
    named = os.environ.get("BENCH_DATA_DIR")
    found = next(Path(named).rglob(pattern), None) if named else None
    if found is None:
        pytest.skip(f"needs {what} in $BENCH_DATA_DIR")
    return found.parent
