"""`bench list`: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.cli.options import KINDS, TABLE_FORMAT

if TYPE_CHECKING:
    from bench.cli.terminal import Format


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
@TABLE_FORMAT
def list_(kind: str, fmt: Format) -> None:
    """Lists the installed learners, suites, datasets, protocols, executors or trackers.

    What is installed and cannot be used is listed too, with the reason.
    """
    from bench.apart.ahead import PRELOAD, import_ahead

    without_torch = kind in {"suites", "executors", "trackers"}
    if not without_torch:
        import_ahead()
    from bench.apart.call import apart
    from bench.cli.listed import listed, unavailable
    from bench.cli.terminal import render

    found = apart(listed, preload=() if without_torch else PRELOAD)(kind)
    rows = found.rows
    # A table has no room for commands: they stand below it.
    problems = [told for told in found.problems if fmt != "table" or not told.install]
    rows += [
        {"name": problem.name, "package": problem.package, "problem": problem.reason}
        for problem in problems
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not problems and fmt == "table":
        columns = [column for column in columns if column != "problem"]
    click.echo(render(rows, columns, fmt))
    if fmt == "table":
        for line in unavailable(found.problems):
            click.echo(f"\n{line}")
