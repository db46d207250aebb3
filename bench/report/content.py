"""Everything that a report tells, gathered once for the page and for the files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import summary
from bench.report.audits import failed_audits, with_audits
from bench.report.board_tables import Table, tables
from bench.report.figures import (
    Palette,
    Picture,
    board_pictures,
    ranks_picture,
    suite_pictures,
)
from bench.report.published import published_curves
from bench.results.boards import FAMILIES, Board, boards, family_order
from bench.results.claims import sentence
from bench.results.pairs import compare_board
from bench.results.ranks import critical_difference
from bench.results.table import ResultSet, rows
from bench.store.files import Json, Problem, training_records

ENVIRONMENT = ("device", "device_name", "threads", "python", "torch", "numpy", "bench", "commit")


@dataclass(frozen=True)
class Section:
    """A board: one setting of a suite at one budget."""

    board: Board
    protocol: str
    sentences: list[str]
    """What can and cannot be told apart, and where the papers' figures lie."""
    tables: list[Table]
    pictures: list[Picture]


@dataclass(frozen=True)
class Gap:
    """A cell, a timing of a cell, or an audit of its training, that is not there."""

    cell: Json
    what: str
    reason: str
    traceback: str | None


@dataclass(frozen=True)
class Content:
    """What the page and the files are made of."""

    path: Path
    families: list[str]
    palette: Palette
    summary: list[str]
    ranks: list[Picture]
    """The learners' mean ranks, where six independent datasets are there."""
    suites: dict[str, list[Section]]
    overviews: dict[str, list[Picture]]
    """By suite: figures about all of its settings."""
    devices: list[str]
    gaps: list[Gap]
    warnings: dict[str, list[Json]]
    """Each warning with the cells that it belongs to."""
    environments: list[tuple[list[Any], int]]
    """Distinct environments, as `ENVIRONMENT` names their parts, each with its number of cells."""
    problems: list[Problem]
    commands: list[str]

    @property
    def tables(self) -> list[Table]:
        """Of all boards."""
        return [table for own in self.suites.values() for part in own for table in part.tables]

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        return self.ranks + [
            picture
            for suite, own in self.suites.items()
            for picture in (*self.overviews[suite], *(p for part in own for p in part.pictures))
        ]


def gather(found: ResultSet) -> Content:
    """Reads what the figures and comparisons need beside the table of cells; draws nothing."""
    problems = [*found.problems]
    frame = with_audits(found.frame, found.path, problems)
    cells, all_boards = rows(frame), boards(frame)
    # All known families, so that a colour means the same in every report.
    palette = Palette(family_order([*FAMILIES, *(cell["family"] for cell in cells)]))
    suites: dict[str, list[Section]] = defaultdict(list)
    shown: set[frozenset[str]] = set()
    for board in all_boards:
        trainings = frozenset(cell["training"] for cell in board.cells)
        # Settings that share their trainings, as those of a memory probe do, share their curves
        # and audits.
        root = None if trainings in shown else found.path
        suites[board.suite].append(_section(board, palette, root, problems))
        shown.add(trainings)
    overviews = {
        suite: suite_pictures([part.board for part in parts], palette)
        for suite, parts in suites.items()
    }
    return Content(
        path=found.path,
        families=family_order(cell["family"] for cell in cells),
        palette=palette,
        summary=summary.sentences(cells, all_boards, problems),
        ranks=_ranks(all_boards),
        suites=suites,
        overviews=overviews,
        devices=sorted(
            {cell["device"] for cell in cells} | {d for cell in cells for d in cell["timings"]}
        ),
        gaps=_gaps(cells, found.path),
        warnings=_warnings(cells, found.path),
        environments=_environments(cells),
        problems=problems,
        commands=summary.commands(cells, str(found.path)),
    )


def _section(board: Board, palette: Palette, root: Path | None, problems: list[Problem]) -> Section:
    compared = compare_board(board, problems)
    pictures = board_pictures(
        board,
        palette,
        problems,
        root=root,
        compared=compared,
        published=published_curves(board),
    )
    told = sentence(compared) + summary.detectable(compared) + summary.against_papers(board)
    own = [table for table in tables(board) if root or table.kind != "audits"]
    return Section(board, summary.protocol(board), told, own, pictures)


def _ranks(all_boards: list[Board]) -> list[Picture]:
    by_budget: dict[str, list[Board]] = defaultdict(list)
    for board in all_boards:
        by_budget[board.budget].append(board)
    ranked = [
        critical_difference([board for board in own if board.probe == probe])
        for own in by_budget.values()
        for probe in (False, True)
        if any(board.probe == probe for board in own)
    ]
    return [ranks_picture(one, "all-datasets") for one in ranked if one]


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
    return gaps + [gap for cell in _one_per_training(cells) for gap in _audit_gaps(cell)]


def _one_per_training(cells: list[Json]) -> list[Json]:
    return list({cell["training"]: cell for cell in reversed(cells)}.values())[::-1]


def _audit_gaps(cell: Json) -> list[Gap]:
    """The audits that could not be made, and those in which the learner raised."""
    gaps = []
    if why := cell["audit_failure"]:
        reason = why.get("reason") or "no reason is stored"
        gaps.append(Gap(cell, "the audits of its training failed", reason, why.get("traceback")))
    for audit in failed_audits(cell["audits"]):
        if trace := audit.get("traceback"):
            what = f"the audit {audit.get('name')} failed"
            gaps.append(Gap(cell, what, audit.get("found") or "", trace))
    return gaps


def _warnings(cells: list[Json], root: Path) -> dict[str, list[Json]]:
    """Each warning with the cells that it belongs to; a finished cell holds its training's. A
    failed audit is one."""
    warned: dict[str, list[Json]] = defaultdict(list)
    for cell in cells:
        told = cell["warnings"]
        if cell["status"] != "done" and cell["training"]:
            told = training_records(root, cell["training"])[0]
        failed = [
            f"The audit {audit.get('name')} failed: {audit.get('found')}"
            for audit in failed_audits(cell["audits"])
            if not audit.get("traceback")
        ]
        for warning in [*told, *failed]:
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
