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
    from bench.apart.ahead import import_ahead

    import_ahead()
    from bench.apart.call import apart
    from bench.cli.datasets import listed_datasets
    from bench.cli.terminal import render

    rows = apart(listed_datasets)(_folders(None).cache)
    click.echo(render(rows, ["name", "splits", "cached_mib", "summary", "package"], fmt))


@data.command()
@click.argument("name")
@DATA_DIR
def fetch(name: str, data_dir: Path | None) -> None:
    """Downloads what is missing of a dataset into the cache, and verifies it."""
    from bench.apart.call import apart
    from bench.cli.datasets import fetch_dataset

    apart(fetch_dataset)(name, _folders(data_dir), click.echo)


@data.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@DATA_DIR
def verify(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Reads the sources again and compares their content with what it should be. Of a folder of
    images, counts classes and images and names all files that cannot be read.

    Without a name, all installed datasets, without those that have to be fetched first and are not
    here. Every one is looked at, also after one that fails. Downloads nothing.
    """
    from bench.apart.call import apart
    from bench.cli.datasets import usable_datasets, verify_dataset

    folders, failures = _folders(data_dir), []
    for name in names or apart(usable_datasets)(folders):
        try:
            found = apart(verify_dataset)(name, folders, lambda told: click.echo(told, err=True))
            click.echo(found)
        except BenchError as error:
            failures.append(str(error))
    if failures:
        raise BenchError("\n\n".join(failures))


def _folders(data_dir: Path | None) -> DataFolders:
    from bench.data.folders import data_folders

    return data_folders(data_dir)
