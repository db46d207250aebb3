"""`bench results`: what is stored, one row per cell."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bench.cli.options import RESULTS, STORED_LEARNERS, STORED_SUITES
from bench.cli.sources import sources_for

if TYPE_CHECKING:
    from bench.cli.terminal import Format
    from bench.results.rows import CellRow

SHORT = (
    "suite setting learner family seed device device_name training_threads budget status accuracy "
    "accuracy_ci95 bit_errors bit_errors_ci95 episodes reason"
)
"""Columns of the table for people, besides those of plugins' metrics; CSV and JSON hold more."""

RARE = {"bit_errors", "bit_errors_ci95", "reason"}
"""Those of them that are shown only where there is something in them."""

VARYING = {"device_name", "training_threads"}
"""Those that are shown only where not all cells have the same."""

LEFT_OUT = {"reliability", "failure", "timing_failures", "environments"}
"""Columns that are too long for a list: the files have them."""


@click.command()
@RESULTS
@STORED_SUITES
@STORED_LEARNERS
@click.option(
    "--format", "fmt", type=click.Choice(["table", "csv", "json", "parquet"]), default="table",
    show_default=True,
)  # fmt: skip
@click.option(
    "--out", type=click.Path(dir_okay=False), default=None, metavar="FILE",
    help="Where to write.  [default: the terminal; parquet needs a file]",
)  # fmt: skip
def results(
    results: str,
    suites: tuple[str, ...],
    learners: tuple[str, ...],
    fmt: Format | Literal["parquet"],
    out: str | None,
) -> None:
    """Lists the stored results, one row per cell.

    Accuracies are fractions with the half-width of their 95 % interval; times are seconds. Memory
    probes have bit_errors too, the wrong bits of a sequence. Parquet has every column, what is
    nested as JSON, and needs the package pyarrow.
    """
    from bench.results.reading import read_results, select
    from bench.results.table import records

    # The sources import learners, and torch: seconds that the short table does not need.
    found = read_results(results, sources_for(results) if fmt != "table" else None)
    rows = select(found.rows, suites, learners)
    listed = records(rows)
    if fmt == "parquet":
        _parquet(rows, listed, out)
    else:
        _text(rows, listed, fmt, out)
    for problem in found.problems:
        click.echo(f"left out: {problem.path}: {problem.reason}", err=True)


def _text(
    rows: Sequence[CellRow], listed: Sequence[Mapping[str, Any]], fmt: Format, out: str | None
) -> None:
    """One row per cell; as a table only the columns that have something to say."""
    from bench.cli.terminal import render
    from bench.results.table import COLUMNS, columns_of
    from bench.store.atomic import utf8

    columns = [column for column in columns_of(rows) if column not in LEFT_OUT]
    if fmt == "table":
        short = [*SHORT.split(), *(column for column in columns if column not in COLUMNS)]
        values = {column: {row[column] for row in listed} - {None} for column in RARE | VARYING}
        least = dict.fromkeys(RARE, 1) | dict.fromkeys(VARYING, 2)
        columns = [name for name in short if len(values.get(name, ())) >= least.get(name, 0)]
    text = render(listed, columns, fmt)
    if out is None:
        click.echo(text)
    else:
        _write(Path(out), utf8(text + "\n"))


def _parquet(rows: Sequence[CellRow], listed: Sequence[Mapping[str, Any]], out: str | None) -> None:
    """One row per cell, every column; what is nested as JSON."""
    import pandas as pd

    from bench.errors import BenchError
    from bench.results.formats import plain
    from bench.results.table import columns_of
    from bench.store.atomic import utf8

    if out is None:
        raise BenchError(
            "--format parquet writes a file, name it with --out, as --out cells.parquet"
        )

    def told(value: Any) -> Any:
        if isinstance(value, dict | list | tuple):
            value = json.dumps(plain(value), ensure_ascii=False)
        return utf8(value).decode() if isinstance(value, str) else value

    cells = [{key: told(value) for key, value in row.items()} for row in listed]
    columns = columns_of(rows)
    types = {key: "string" if kind == "object" else kind for key, kind in columns.items()}
    frame = pd.DataFrame(cells, columns=list(columns), dtype=object).astype(types)
    written = io.BytesIO()
    try:
        frame.to_parquet(written, engine="pyarrow", index=False)
    except ImportError as error:
        raise BenchError(
            "parquet needs the package pyarrow: pip install 'bench-metalearning[parquet]'"
        ) from error
    _write(Path(out), written.getvalue())


def _write(path: Path, content: bytes) -> None:
    """Into a file; what is there and is none, as /dev/stdout, is written to and not replaced."""
    from bench.store.atomic import write_atomically, writing

    if path.is_file() or not path.exists():
        write_atomically(path, lambda file: file.write(content))
    else:
        with writing(path), path.open("wb") as device:
            device.write(content)
