"""The report: one self-contained HTML page, made from stored results alone."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.errors import BenchError
from bench.leaderboard import FAMILIES, Board, boards, family_order
from bench.report import plots, summary
from bench.report.tables import Table, accuracy_table, cost_table
from bench.results import (
    Json,
    Problem,
    ResultSet,
    read_results,
    rows,
    select,
    training_records,
    weightings,
)
from bench.store import write_atomically
from bench.tables import percent

HERE = Path(__file__).parent
ENVIRONMENT = ("device", "device_name", "threads", "python", "torch", "numpy", "bench", "commit")


@dataclass(frozen=True)
class Image:
    """A figure."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A board on the page."""

    board: Board
    protocol: str
    tables: list[Table]
    figures: list[Image]


@dataclass(frozen=True)
class Gap:
    """A cell, or a timing of a cell, that is not there."""

    cell: Json
    what: str
    reason: str
    traceback: str | None


def write_report(
    results_dir: str | Path,
    out_dir: str | Path | None = None,
    *,
    suites: Sequence[str] = (),
    learners: Sequence[str] = (),
    sources: Mapping[str, str] | None = None,
) -> Path:
    """Writes ``report.html``.

    Args:
        results_dir: the results folder; nothing else is read.
        out_dir: where to write; default: into the results folder.
        suites: only these, see `bench.results.select`.
        learners: only these.
        sources: see `bench.results.load_results`; without it no row is marked as other code's.

    Returns:
        The path of the page.

    Raises:
        BenchError: there are no results, or the page cannot be written.
    """
    found = read_results(results_dir, sources)
    found = replace(found, frame=select(found.frame, suites, learners))
    path = Path(results_dir if out_dir is None else out_dir) / "report.html"
    page = render(found).encode()
    try:
        write_atomically(path, lambda file: file.write(page))
    except OSError as error:
        raise BenchError(
            f"cannot write {path} ({error.strerror}); name another folder with --out"
        ) from error
    return path


def render(found: ResultSet) -> str:
    """The page as text."""
    cells = rows(found.frame)
    # All known families, so that a colour means the same in every report.
    families = family_order([*FAMILIES, *(cell["family"] for cell in cells)])
    palette = plots.Palette(families)
    all_boards = boards(found.frame)
    problems = [*found.problems]
    by_suite: dict[str, list[Section]] = defaultdict(list)
    for board in all_boards:
        by_suite[board.suite].append(_section(board, palette, problems))
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,  # names, reasons and tracebacks come from plugins
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja").render(
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # our own file
        comma=Markup(",<wbr>"),  # long names break between options
        colours=[(palette.light(f), palette.dark(f)) for f in families],
        family_number={family: number for number, family in enumerate(families)},
        version=__version__,
        written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        summary=summary.sentences(cells, all_boards, problems),
        suites=by_suite,
        overviews={suite: _overview(sections, palette) for suite, sections in by_suite.items()},
        gaps=_gaps(cells, found.path),
        warnings=_warnings(cells, found.path),
        environment_columns=ENVIRONMENT,
        environments=_environments(cells),
        problems=problems,
        commands=summary.commands(cells, str(found.path)),
    )


def _overview(sections: list[Section], palette: plots.Palette) -> list[Image]:
    """Figures about all settings of a suite."""
    by_budget: dict[Any, list[Board]] = defaultdict(list)
    for section in sections:
        board = section.board
        if board.probe:
            by_budget[board.suite_version, board.budget].append(board)
    figures = []
    for boards_of_budget in by_budget.values():
        if uri := plots.length_figure(boards_of_budget, palette):
            told = [
                f"{board.setting}: "
                + ", ".join(summary.labelled_score(board, entry) for entry in board.scored)
                for board in boards_of_budget
            ]
            first = boards_of_budget[0]
            caption = (
                "Wrong bits per sequence by its items, with 95 % intervals over sequences; band: "
                f"the items of meta-training; {first.suite}, budget {first.budget}."
            )
            figures.append(Image(uri, "Wrong bits by items. " + "; ".join(told), caption))
    return figures


def _section(board: Board, palette: plots.Palette, problems: list[Problem]) -> Section:
    tables = [accuracy_table(board), *filter(None, [cost_table(board)])]
    figures = []
    name = summary.board_name(board)
    scored = [entry for entry in board.entries if entry.score(board.metric) is not None]
    if uri := plots.score_figure(board, palette):
        scores = ", ".join(summary.labelled_score(board, entry) for entry in scored)
        what, over = "Accuracy", "episodes"
        if board.probe:
            what, over = "Wrong bits", "sequences"
        figures.append(
            Image(
                uri,
                f"{what} by learner. {scores}",
                f"{what} with 95 % intervals over {over}; {name}.",
            )
        )
    if board.probe:
        figures += _pictures(board, palette, problems)
    if board.online and (uri := plots.presentation_figure(board, palette)):
        told = []
        for entry in scored:
            curve = entry.curve("accuracy_by_presentation")
            told.append(f"{entry.label} {', '.join(percent(value) for value in curve)}")
        figures.append(
            Image(
                uri,
                "Accuracy in percent by presentation of a class. " + "; ".join(told),
                "Accuracy at the 1st, 2nd, … presentation of a class, a panel per family; grey: "
                "the other families; the short line: the highest honest accuracy at the "
                f"first presentation; {name}.",
            )
        )
    return Section(board, summary.protocol(board), tables, figures)


def _pictures(board: Board, palette: plots.Palette, problems: list[Problem]) -> list[Image]:
    """Where the heads of each learner were in the board's first sequence."""
    figures = []
    for entry in board.entries:
        for cell in entry.done[:1]:
            try:
                shown = weightings(cell["path"])
            except BenchError as error:
                problems.append(Problem(cell["path"], str(error)))
                continue
            if shown is None:
                continue
            heads = ", ".join(shown.heads)
            what = f"{entry.label}, seed {cell['seed']}: a test sequence"
            figures.append(
                Image(
                    plots.weightings_figure(shown, palette),
                    f"{what} of {len(shown.mask)} steps, its answer, and the heads {heads}.",
                    f"{what}, its answer, and where in the memory the heads were, step by step "
                    f"(white is 1; the longest stretch of rows that no head went to is left out); "
                    f"{summary.board_name(board)}.",
                )
            )
    return figures


def _gaps(cells: list[Json], root: Path) -> list[Gap]:
    gaps = []
    for cell in cells:
        failure = cell["failure"] or {}
        if cell["status"] == "failed":
            traceback = failure.get("traceback")
            if failure.get("kind") == "training" and not traceback and cell["training"]:
                traceback = (training_records(root, cell["training"])[1] or {}).get("traceback")
            gaps.append(Gap(cell, "failed", cell["reason"] or "no reason is stored", traceback))
        if cell["status"] == "unfinished":
            gaps.append(Gap(cell, "unfinished", "give the same command again to go on", None))
        for device, why in cell["timing_failures"].items():
            reason = why.get("reason") or "no reason is stored"
            gaps.append(Gap(cell, f"timing on {device} failed", reason, why.get("traceback")))
    return gaps


def _warnings(cells: list[Json], root: Path) -> dict[str, list[Json]]:
    """Each warning with the cells that it belongs to; a finished cell holds its training's."""
    warned: dict[str, list[Json]] = defaultdict(list)
    for cell in cells:
        told = cell["warnings"]
        if cell["status"] != "done" and cell["training"]:
            told = training_records(root, cell["training"])[0]
        for warning in told:
            warned[str(warning)].append(cell)
    return warned


def _environments(cells: list[Json]) -> list[tuple[list[Any], int]]:
    """Distinct environments, each with the number of cells that something was computed for in."""
    used: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for cell in cells:
        for environment in cell["environments"]:
            commit = environment.get("commit")
            if commit:
                commit = str(commit)[:10] + (" (changed)" if environment.get("dirty") else "")
            values = {**environment, "commit": commit}
            used[tuple(values.get(name) for name in ENVIRONMENT)].add(cell["path"])
    return [(list(values), len(paths)) for values, paths in used.items()]
