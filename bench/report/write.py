"""Writes the report: the page, the tables and the figures."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.errors import BenchError, unknown_name
from bench.report.content import gather
from bench.report.exports import WRITERS, save_tables
from bench.report.figures import save_figures
from bench.report.site import write_page, write_site
from bench.report.up_to_date import made_of
from bench.results.families import NO_CONTROLS
from bench.results.reading import read_results, select
from bench.store.atomic import CannotWriteError

FORMATS = ("html", "markdown", "csv", "latex", "figures")


def write_report(
    results_dir: str | Path,
    out_dir: str | Path | None = None,
    *,
    suites: Sequence[str] = (),
    learners: Sequence[str] = (),
    formats: Sequence[str] = FORMATS,
    sources: Mapping[str, str] | None = None,
    controls: Collection[str] = NO_CONTROLS,
    single: bool = False,
) -> list[Path]:
    """Writes the page or the site, ``tables/`` and ``figures/``.

    One suite is a self-contained ``report.html``; several are ``report/index.html`` with a page for
    each suite.

    Args:
        results_dir: the results folder; nothing else is read.
        out_dir: where to write; default: into the results folder.
        suites: only these, see `bench.results.reading.select`.
        learners: only these.
        formats: some of `FORMATS`; figures are SVG, PNG and PDF.
        sources: see `bench.results.table.load_results`; without it no row is marked as other
            code's.
        controls: names of learners that are no members of their family, see
            `bench.results.families`.
        single: everything on one page; else several suites make a site.

    Returns:
        The paths of what was written, the page first.

    Raises:
        BenchError: there are no results, a format is unknown, or a file cannot be written.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, set(FORMATS))
    made = made_of(
        Path(results_dir), sources, list(suites), list(learners), sorted(controls), single
    )
    with _without_collecting():
        found = read_results(results_dir, sources)
        content = gather(replace(found, rows=select(found.rows, suites, learners)), controls)
    out = Path(results_dir if out_dir is None else out_dir)
    paths = []
    try:
        if "html" in formats:
            alone = single or len(content.suites) < 2
            write = write_page if alone else write_site
            paths += write(content, out, made)
        as_text = [name for name in formats if name in WRITERS]
        paths += save_tables(content.tables, out / "tables", as_text)
        if "figures" in formats:
            paths += save_figures(content.pictures, out / "figures", problems=content.problems)
    except CannotWriteError as error:
        raise BenchError(
            f"cannot write {error.path} ({error.why}); name another folder with --out"
        ) from error
    return paths


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Millions of objects are read, none of them in a circle: looking for some takes a fifth of the
    time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
