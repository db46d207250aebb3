"""What `bench data` asks of datasets. All of it imports them, and torch: the command calls it in a
process apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.apart.blame import touching
from bench.api.dataset import DataFolders, Notify, Source
from bench.errors import BenchError
from bench.registry.installed import datasets
from bench.suites.paths import ARRAYS, FOLDER


def listed_datasets(cache: Path) -> list[dict[str, Any]]:
    """A row for each installed dataset, and those of data of one's own."""
    from bench.data.array_file import ArrayFile
    from bench.data.image_folder import ImageFolder

    found = datasets()
    rows = []
    for name, source in found.things.items():
        with touching(f"describing {name}"):
            row: dict[str, Any] = {"splits": ", ".join(source.splits) or None}
            row |= {"summary": source.description}
        row |= {"cached_mib": _cached_mib(cache, name), "package": found.packages[name]}
        rows.append({"name": name, **row})
    for prefix, own in ((FOLDER, ImageFolder), (ARRAYS, ArrayFile)):
        row = {"splits": None, "summary": own.description, "package": None}
        row |= {"cached_mib": _cached_mib(cache, own.name)}
        rows.append({"name": f"{prefix}PATH", **row})
    return rows


def fetch_dataset(name: str, folders: DataFolders, notify: Notify) -> None:
    """Downloads what is missing of a dataset.

    Raises:
        BenchError: there is no such dataset, or it cannot be had.
    """
    from bench.planning.data import named_source

    source = named_source(name)
    if type(source).fetch is Source.fetch:
        notify(f"{name} needs no download")
    with _asking(f"fetching the dataset {name}"):
        source.fetch(folders, notify)


def usable_datasets(folders: DataFolders) -> list[str]:
    """The names of the installed datasets that can be used, without those that are only here where
    they were asked for, and are not."""
    found = []
    for name, source in datasets().things.items():
        with _asking(f"looking for the dataset {name}"):
            if source.missing(folders) is None:
                found.append(name)
    return found


def verify_dataset(name: str, folders: DataFolders, notify: Notify) -> str:
    """What a dataset says of its sources.

    Raises:
        BenchError: there is no such dataset, or its sources are not what they should be.
    """
    from bench.planning.data import named_source

    source = named_source(name)
    with _asking(f"verifying the dataset {name}"):
        return str(source.verify(folders, notify))


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Around what may take as long as it likes, and raise anything."""
    try:
        with touching(what, seconds=None):
            yield
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise BenchError(f"{what} failed: {type(error).__name__}: {error}") from error


def _cached_mib(cache: Path, name: str) -> float:
    return round(sum(path.stat().st_size for path in cache.glob(f"{name}-*.npy")) / 2**20, 1)
