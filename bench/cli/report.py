"""`bench report`: tables and plots of what is stored, on one page."""

from __future__ import annotations

import click


@click.command()
@click.option("--results", type=click.Path(), default="results", show_default=True, metavar="DIR")
@click.option(
    "--out", type=click.Path(), default=None, metavar="DIR",
    help="Folder for report.html.  [default: the results folder]",
)  # fmt: skip
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME",
    help="Only this suite; a glob. May be repeated.  [default: all]",
)  # fmt: skip
@click.option(
    "--learner", "learners", multiple=True, metavar="NAME",
    help="Only this learner, whatever its options; a glob. May be repeated.  [default: all]",
)  # fmt: skip
def report(
    results: str, out: str | None, suites: tuple[str, ...], learners: tuple[str, ...]
) -> None:
    """Writes report.html: tables and plots of what is stored, on one self-contained page."""
    from bench.plugins import installed_sources
    from bench.report import write_report

    page = write_report(results, out, suites=suites, learners=learners, sources=installed_sources())
    click.echo(f"report: {page}")
