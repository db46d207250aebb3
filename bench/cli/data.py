"""`bench data`: the datasets, their downloads, their integrity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import DATA_DIR, TABLE_FORMAT
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.api.dataset import DataFolders
    from bench.cli.terminal import Format


@click.group()
def data() -> None:
    """Lists, downloads and verifies datasets.

    NAME is an installed dataset, folder:PATH for a folder of images by class, or a suite's .toml
    file for the dataset of that suite.

    Decoded images and downloads are kept in $BENCH_CACHE_DIR (default ~/.cache/bench).
    """


@data.command("list")
@TABLE_FORMAT
def list_(fmt: Format) -> None:
    """Lists the installed datasets, their splits, and how much of each is cached. The last rows
    are about data of your own, which suite files name."""
    from bench import registry as plugins
    from bench.cli.terminal import render
    from bench.data.array_file import ArrayFile
    from bench.data.folders import data_folders
    from bench.data.image_folder import ImageFolder
    from bench.suites.schema import ARRAYS, FOLDER

    cache = data_folders().cache
    found = plugins.datasets()
    rows = [
        {
            "name": name,
            "splits": ", ".join(source.splits) or None,
            "cached_mib": round(_cached_bytes(cache, name) / 2**20, 1),
            "summary": source.description,
            "package": found.packages[name],
        }
        for name, source in found.things.items()
    ]
    rows += [
        {
            "name": f"{prefix}PATH",
            "splits": None,
            "cached_mib": round(_cached_bytes(cache, source.name) / 2**20, 1),
            "summary": source.description,
            "package": None,
        }
        for prefix, source in ((FOLDER, ImageFolder), (ARRAYS, ArrayFile))
    ]
    click.echo(render(rows, ["name", "splits", "cached_mib", "summary", "package"], fmt))


@data.command()
@click.argument("name")
@DATA_DIR
def fetch(name: str, data_dir: Path | None) -> None:
    """Downloads what is missing of a dataset into the cache, and verifies it."""
    from bench.api.dataset import Source
    from bench.planning.data import named_source

    source = named_source(name)
    if type(source).fetch is Source.fetch:
        click.echo(f"{name} needs no download")
    source.fetch(_folders(data_dir), click.echo)


@data.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@DATA_DIR
def verify(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Reads the sources again and compares their content with what it should be. Of a folder of
    images, counts classes and images and names all files that cannot be read.

    Without a name, all installed datasets. Every one is looked at, also after one that fails.
    Downloads nothing.
    """
    from bench import registry as plugins
    from bench.planning.data import named_source

    folders, failures = _folders(data_dir), []
    for source in [named_source(name) for name in names or plugins.datasets().things]:
        try:
            click.echo(source.verify(folders, lambda told: click.echo(told, err=True)))
        except BenchError as error:
            failures.append(str(error))
    if failures:
        raise BenchError("\n\n".join(failures))


def _folders(data_dir: Path | None) -> DataFolders:
    from bench.data.folders import data_folders

    return data_folders(data_dir)


def _cached_bytes(cache: Path, name: str) -> int:
    return sum(path.stat().st_size for path in cache.glob(f"{name}-*.npy"))
