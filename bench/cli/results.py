"""`bench results`: what is stored, one row per cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.cli.options import RESULTS, STORED_LEARNERS, STORED_SUITES, TABLE_FORMAT
from bench.cli.sources import sources_for

if TYPE_CHECKING:
    from bench.cli.terminal import Format

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
@TABLE_FORMAT
def results(results: str, suites: tuple[str, ...], learners: tuple[str, ...], fmt: Format) -> None:
    """Lists the stored results, one row per cell.

    Accuracies are fractions with the half-width of their 95 % interval; times are seconds. Memory
    probes have bit_errors too, the wrong bits of a sequence.
    """
    from bench.cli.terminal import render
    from bench.results.reading import read_results, select
    from bench.results.table import COLUMNS, columns_of, records

    # The sources import learners, and torch: seconds that the short table does not need.
    found = read_results(results, sources_for(results) if fmt != "table" else None)
    rows = select(found.rows, suites, learners)
    listed = records(rows)
    columns = [column for column in columns_of(rows) if column not in LEFT_OUT]
    if fmt == "table":
        short = [*SHORT.split(), *(column for column in columns if column not in COLUMNS)]
        values = {column: {row[column] for row in listed} - {None} for column in RARE | VARYING}
        least = dict.fromkeys(RARE, 1) | dict.fromkeys(VARYING, 2)
        columns = [name for name in short if len(values.get(name, ())) >= least.get(name, 0)]
    click.echo(render(listed, columns, fmt))
    for problem in found.problems:
        click.echo(f"left out: {problem.path}: {problem.reason}", err=True)
