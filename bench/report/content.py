"""Everything that a report tells, gathered once for the page and for the files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from bench.report import summary
from bench.report.audits import failed_audits, with_audits
from bench.report.board_tables import Table, tables
from bench.report.differences import Differences, differences
from bench.report.figures import (
    Palette,
    Picture,
    board_pictures,
    profile_picture,
    ranks_picture,
    suite_pictures,
    tradeoff_pictures,
)
from bench.report.figures.curves import CurvesRead
from bench.report.learners import LearnerPage, learner_pages
from bench.report.matrix import Matrix, matrix
from bench.report.published import published_curves
from bench.report.unmeasured import unmeasured
from bench.report.verdict import verdict
from bench.results.boards import FAMILIES, Board, boards, family_order
from bench.results.claims import sentences
from bench.results.families import (
    NO_CONTROLS,
    BoardFamilies,
    families_of,
    family_ranks,
    family_sentences,
)
from bench.results.labels import devices
from bench.results.needed import More, how_many_more, more_sentences
from bench.results.order import OrderChange, order_changes
from bench.results.pairs import BoardComparisons, compare_answered, read_board
from bench.results.ranks import AverageRanks, average_ranks, critical_difference
from bench.results.reading import ResultSet
from bench.results.rows import CellRow
from bench.results.tradeoff import tradeoff
from bench.results.transfer import Transfer, transfers
from bench.store.checked import Problem
from bench.store.files import training_records

ENVIRONMENT = ("device", "device_name", "threads", "python", "torch", "numpy", "bench", "commit")


@dataclass(frozen=True)
class Section:
    """A board: one setting of a suite at one budget."""

    board: Board
    protocol: str
    sentences: list[str]
    """What can and cannot be told apart, and where the papers' figures lie."""
    families: BoardFamilies
    more: list[More]
    """What it takes to tell pairs apart."""
    tables: list[Table]
    pictures: list[Picture]
    compared: BoardComparisons
    """Its learners pair by pair."""
    differences: Differences | None
    """The same as a table."""


@dataclass(frozen=True)
class Suite:
    """All settings of a suite."""

    name: str
    sections: list[Section]
    pictures: list[Picture]
    """About all of its settings."""
    matrix: Matrix | None
    """Learners by settings, where a suite is best read so: the lengths of a memory probe."""
    transfers: list[Transfer]
    """What is lost on other data than that of meta-training."""


@dataclass(frozen=True)
class Gap:
    """A cell, a timing of a cell, or an audit of its training, that is not there."""

    cell: CellRow
    what: str
    reason: str
    traceback: str | None


@dataclass(frozen=True)
class Overview:
    """What is said of all suites together."""

    verdict: list[str]
    matrix: Matrix
    tradeoffs: dict[str, Picture]
    """Accuracy against cost, by the name of the cost."""
    profiles: Picture | None
    ranks: list[AverageRanks]
    """Of learners over datasets, one for each budget."""
    family_ranks: AverageRanks | None
    orders: list[OrderChange]
    """From one protocol to another."""
    rank_pictures: list[Picture]
    """The learners' mean ranks, where six independent datasets are there."""
    settings: list[str]
    """A sentence each."""

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        own = [*self.tradeoffs.values(), *([self.profiles] if self.profiles else [])]
        return own + self.rank_pictures


@dataclass(frozen=True)
class Content:
    """What the pages and the files are made of."""

    path: Path
    families: list[str]
    palette: Palette
    overview: Overview
    suites: list[Suite]
    learners: list[LearnerPage]
    devices: list[str]
    gaps: list[Gap]
    unmeasured: list[str]
    """What the rest of the report asks for and nobody has measured, in sentences."""
    warnings: dict[str, list[CellRow]]
    """Each warning with the cells that it belongs to."""
    environments: list[tuple[list[Any], int]]
    """Distinct environments, as `ENVIRONMENT` names their parts, each with its number of cells."""
    problems: list[Problem]
    commands: list[str]

    @property
    def tables(self) -> list[Table]:
        """Of all boards."""
        return [t for suite in self.suites for part in suite.sections for t in part.tables]

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        return (
            self.overview.pictures
            + [
                picture
                for suite in self.suites
                for picture in (
                    *suite.pictures,
                    *(p for part in suite.sections for p in part.pictures),
                )
            ]
            + [picture for learner in self.learners for picture in learner.pictures]
        )


def gather(found: ResultSet, controls: Collection[str] = NO_CONTROLS) -> Content:
    """Reads what the figures and comparisons need beside the table of cells; draws nothing."""
    problems = [*found.problems]
    cells = with_audits(found.rows, found.path, problems)
    all_boards = boards(cells)
    # All known families, so that a colour means the same in every report.
    palette = Palette(family_order([*FAMILIES, *(cell.family for cell in cells)]))
    sections: dict[str, list[Section]] = defaultdict(list)
    shown: set[frozenset[str | None]] = set()
    curves: CurvesRead = {}
    for board in all_boards:
        trainings = frozenset(cell.training for cell in board.cells)
        # Settings that share their trainings, as those of a memory probe do, share their curves
        # and audits.
        root = None if trainings in shown else found.path
        sections[board.suite].append(_section(board, palette, root, problems, controls, curves))
        shown.add(trainings)
    for own in sections.values():  # what most was computed for is read first
        cells_at = Counter(cell.budget for part in own for cell in part.board.cells)
        own.sort(key=lambda part: -cells_at[part.board.budget])
    return Content(
        path=found.path,
        families=family_order(cell.family for cell in cells),
        palette=palette,
        overview=_overview(cells, sections, palette, problems, controls),
        suites=[_suite(name, own, palette, controls) for name, own in sections.items()],
        learners=learner_pages(
            all_boards,
            palette,
            found.path,
            problems,
            controls,
            {id(part.board): part.compared for own in sections.values() for part in own},
            curves,
        ),
        devices=devices(cells),
        gaps=_gaps(cells, found.path),
        unmeasured=unmeasured(all_boards).sentences(),
        warnings=_warnings(cells, found.path),
        environments=_environments(cells),
        problems=problems,
        commands=summary.commands(cells, str(found.path)),
    )


def _section(
    board: Board,
    palette: Palette,
    root: Path | None,
    problems: list[Problem],
    controls: Collection[str],
    curves: CurvesRead,
) -> Section:
    read = read_board(board, problems)
    compared = compare_answered(read)
    families, more = families_of(read, controls), how_many_more(read, compared)
    pictures = board_pictures(
        board,
        palette,
        problems,
        root=root,
        compared=compared,
        published=published_curves(board),
        read=curves,
    )
    lines = [
        *sentences(compared),
        *family_sentences(families),
        *summary.detectable(compared),
        *more_sentences(more),
        *summary.against_papers(board),
    ]
    own = [table for table in tables(board) if root or table.kind != "audits"]
    protocol, square = summary.protocol(board), differences(compared)
    return Section(board, protocol, lines, families, more, own, pictures, compared, square)


def _suite(
    name: str, sections: list[Section], palette: Palette, controls: Collection[str]
) -> Suite:
    own = [section.board for section in sections]
    lengths = len(own) > 1 and all(board.kind.settings == "items" for board in own)
    table = matrix(own, controls, whole=True) if lengths else None
    return Suite(name, sections, suite_pictures(own, palette), table, transfers(own, controls))


def _overview(
    cells: list[CellRow],
    sections: Mapping[str, list[Section]],
    palette: Palette,
    problems: list[Problem],
    controls: Collection[str],
) -> Overview:
    parts = [part for own in sections.values() for part in own]
    all_boards, families = [part.board for part in parts], [part.families for part in parts]
    compared = [part.compared for part in parts]
    costs = tradeoff(all_boards, controls)
    groups = _ranked_together(all_boards)
    drawn = [critical_difference(own) for own in groups]
    largest = {board.key for board in max(groups, key=len, default=[])}
    return Overview(
        verdict=verdict(cells, all_boards, families, compared, costs, problems, controls),
        matrix=matrix(all_boards, controls),
        tradeoffs=tradeoff_pictures(costs, palette),
        profiles=profile_picture(costs, palette),
        ranks=[ranked for own in groups if (ranked := average_ranks(own))],
        family_ranks=family_ranks([one for one in families if one.board.key in largest]),
        orders=order_changes(compared),
        rank_pictures=[ranks_picture(one, "all-datasets") for one in drawn if one],
        settings=summary.sentences(all_boards),
    )


def _ranked_together(all_boards: list[Board]) -> list[list[Board]]:
    """Boards of each budget, by what learners are ranked by."""
    budgets = list(dict.fromkeys(board.budget for board in all_boards))
    groups: dict[tuple[int, str], list[Board]] = defaultdict(list)
    for board in all_boards:
        groups[budgets.index(board.budget), board.metric.key].append(board)
    return [own for _, own in sorted(groups.items(), key=itemgetter(0))]


def _gaps(cells: list[CellRow], root: Path) -> list[Gap]:
    gaps = []
    for cell in cells:
        if cell.status == "failed" and (failure := cell.failure):
            traceback = failure.traceback
            if failure.kind == "training" and not traceback and cell.training:
                traceback = (training_records(root, cell.training)[1] or {}).get("traceback")
            gaps.append(_gap(cell, "failed", failure.reason, traceback))
        if cell.status == "unfinished":
            gaps.append(Gap(cell, "unfinished", "give the same command again to go on", None))
        gaps += [
            _gap(cell, f"timing on {device} failed", why.reason, why.traceback)
            for device, why in cell.timing_failures.items()
        ]
    return gaps + [gap for cell in _one_per_training(cells) for gap in _audit_gaps(cell)]


def _gap(cell: CellRow, what: str, reason: str | None, traceback: str | None) -> Gap:
    return Gap(cell, what, reason or "no reason is stored", traceback)


def _one_per_training(cells: list[CellRow]) -> list[CellRow]:
    return list({cell.training: cell for cell in reversed(cells)}.values())[::-1]


def _audit_gaps(cell: CellRow) -> list[Gap]:
    """The audits that could not be made, and those in which the learner raised."""
    gaps = []
    if why := cell.audit_failure:
        gaps.append(_gap(cell, "the audits of its training failed", why.reason, why.traceback))
    return gaps + [
        Gap(cell, f"the audit {audit.name} failed", audit.found or "", audit.traceback)
        for audit in failed_audits(cell.audits)
        if audit.traceback
    ]


def _warnings(cells: list[CellRow], root: Path) -> dict[str, list[CellRow]]:
    """Each warning with the cells that it belongs to; a finished cell holds its training's. A
    failed audit is one."""
    warned: dict[str, list[CellRow]] = defaultdict(list)
    for cell in cells:
        warnings = cell.warnings
        if cell.status != "done" and cell.training:
            warnings = training_records(root, cell.training)[0]
        failed = [
            f"The audit {audit.name} failed: {audit.found}"
            for audit in failed_audits(cell.audits)
            if not audit.traceback
        ]
        for warning in [*warnings, *failed]:
            warned[str(warning)].append(cell)
    return warned


def _environments(cells: list[CellRow]) -> list[tuple[list[Any], int]]:
    """Distinct environments, each with the number of cells that something was computed for in."""
    used: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for cell in cells:
        for machine in cell.machines:
            commit = machine.commit
            if commit:
                commit = str(commit)[:10] + (" (changed)" if machine.dirty else "")
            shown = machine._replace(commit=commit)
            used[tuple(getattr(shown, name) for name in ENVIRONMENT)].add(cell.path)
    return [(list(values), len(paths)) for values, paths in used.items()]
