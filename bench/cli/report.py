"""`bench report`: tables and plots of what is stored, on one page."""

from __future__ import annotations

from collections import Counter

import click

from bench.cli.options import RESULTS, STORED_LEARNERS, STORED_SUITES
from bench.cli.sources import installed_controls, sources_for


@click.command()
@RESULTS
@click.option(
    "--out", type=click.Path(), default=None, metavar="DIR",
    help="Folder to write into.  [default: the results folder]",
)  # fmt: skip
@STORED_SUITES
@STORED_LEARNERS
@click.option(
    "--format", "formats", default="html,markdown,csv,latex,figures", show_default=True,
    metavar="LIST",
    help="What to write: report.html, tables as Markdown, CSV and LaTeX into tables/, figures as "
    "SVG, PNG and PDF into figures/.",
)  # fmt: skip
@click.option("--single", is_flag=True, help="One self-contained page, however many suites.")
def report(
    results: str,
    out: str | None,
    suites: tuple[str, ...],
    learners: tuple[str, ...],
    formats: str,
    single: bool,
) -> None:
    """Writes what is stored as tables, plots and pages.

    One suite is one self-contained page, report.html; several are a folder of pages,
    report/index.html first.

    Reads results only and never trains. Numbers in CSV files are as they are stored: fractions,
    seconds, bytes.
    """
    from bench.report import write_report

    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    if not wanted:
        raise click.UsageError("--format names nothing to write; leave it out to write everything")
    paths = write_report(
        results,
        out,
        suites=suites,
        learners=learners,
        formats=wanted,
        sources=sources_for(results),
        controls=installed_controls(),
        single=single,
    )
    pages = [path for path in paths if path.suffix == ".html"]
    for path in pages[:1]:
        click.echo(f"report: {path}")
    for folder, number in Counter(path.parent for path in paths[len(pages) :]).items():
        click.echo(f"{folder.name}: {number} files in {folder}")
