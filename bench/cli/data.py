"""`bench data`: the datasets, their downloads, their integrity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.data.base import DataFolders
    from bench.tables import Format

DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path), metavar="DIR",
    help="Where the archives are.  [default: $BENCH_DATA_DIR]",
)  # fmt: skip


@click.group()
def data() -> None:
    """Lists, downloads and verifies datasets.

    Decoded images and downloads are kept in $BENCH_CACHE_DIR (default ~/.cache/bench).
    """


@data.command("list")
@click.option(
    "--format", "fmt", type=click.Choice(["table", "csv", "json"]), default="table",
    show_default=True,
)  # fmt: skip
def list_(fmt: Format) -> None:
    """Lists the installed datasets, their splits, and how much of each is cached."""
    from bench import plugins
    from bench.data.folders import data_folders
    from bench.tables import render

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
    click.echo(render(rows, ["name", "splits", "cached_mib", "summary", "package"], fmt))


@data.command()
@click.argument("name")
@DATA_DIR
def fetch(name: str, data_dir: Path | None) -> None:
    """Downloads what is missing of a dataset into the cache, and verifies it."""
    from bench import plugins

    plugins.datasets().get("dataset", name).fetch(_folders(data_dir), click.echo)


@data.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@DATA_DIR
def verify(names: tuple[str, ...], data_dir: Path | None) -> None:
    """Reads the sources again and compares their content with what it should be.

    Without a name, all datasets. Every one is looked at, also after one that fails.
    """
    from bench import plugins

    found, folders = plugins.datasets(), _folders(data_dir)
    failures = []
    for source in [found.get("dataset", name) for name in names or found.things]:
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
