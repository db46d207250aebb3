"""What a report says of one learner: all of its results, wherever they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.report.audits import audits_by_training
from bench.report.figures.curves import CurvesRead
from bench.report.figures.episodes import confusion_picture, episode_picture
from bench.report.figures.learner_curves import learner_curves
from bench.report.figures.style import Palette, Picture
from bench.report.opponents import Opponents, opponents
from bench.report.published import Held, hold_against_papers
from bench.results.answers import ClassScore, by_class, confusion, episode_of
from bench.results.boards import UNTRAINED, Board, Entry
from bench.results.families import is_control
from bench.results.formats import count, duration, percent
from bench.results.pairs import BoardComparisons
from bench.results.rows import CellRow
from bench.results.training_times import places_of_training
from bench.results.written import score, seeds, training_time
from bench.store.answers import StoredAnswers, stored_answers
from bench.store.checked import Problem

MOST_EPISODES = 2
"""Shown of a setting."""
MOST_CLASSES = 10
"""The worst of a setting."""


class Result(NamedTuple):
    """A learner on a board."""

    board: Board
    entry: Entry
    score: str
    place: str
    """``2 of 16``, equal scores share one; nothing where the board ranks nobody."""
    seeds: str
    deviation: str
    training: str
    first_answer: str
    memory: str


class Against(NamedTuple):
    """A figure of a paper."""

    board: Board
    label: str
    key: str
    here: str
    paper: str
    verdict: str
    source: str


class Audited(NamedTuple):
    """An audit of one of its trainings."""

    training: str
    name: str
    outcome: str
    found: str


class Mistakes(NamedTuple):
    """What stored answers say of a setting."""

    row: CellRow
    worst: list[ClassScore]
    classes: int


@dataclass(frozen=True)
class LearnerPage:
    """What is said of a learner."""

    name: str
    family: str
    control: bool
    configs: list[tuple[str, Mapping[str, object]]]
    """Its labels, and with which options; each once."""
    results: list[Result]
    opponents: Opponents | None
    published: list[Against]
    audits: list[Audited]
    mistakes: list[Mistakes]
    pictures: list[Picture]
    cells: list[CellRow]


def learner_pages(
    boards: Sequence[Board],
    palette: Palette,
    root: Path,
    problems: list[Problem],
    controls: Collection[str],
    compared: Mapping[int, BoardComparisons] | None = None,
    read: CurvesRead | None = None,
) -> list[LearnerPage]:
    """All learners of a report, families in their order.

    Args:
        boards: of the report.
        palette: of the report.
        root: the results folder.
        problems: damaged files are added to it.
        controls: names of learners that are no members of their family.
        compared: the pairs of each board by its id; without it nobody is held against others.
        read: learning curves that were read already.
    """
    read = {} if read is None else read
    held = {id(board): hold_against_papers(board) for board in boards}
    found: dict[tuple[str, str], list[tuple[Board, Entry]]] = defaultdict(list)
    for board in boards:
        for entry in board.entries:
            found[entry.family, entry.cells[0].learner_name].append((board, entry))
    order = {family: place for place, family in enumerate(palette.families)}
    return [
        _page(
            name,
            family,
            found[family, name],
            palette,
            root,
            problems,
            controls,
            read,
            held,
            compared,
        )
        for family, name in sorted(found, key=lambda key: (order[key[0]], key[1]))
    ]


def _page(
    name: str,
    family: str,
    own: list[tuple[Board, Entry]],
    palette: Palette,
    root: Path,
    problems: list[Problem],
    controls: Collection[str],
    read: CurvesRead,
    held: Mapping[int, list[Held]],
    compared: Mapping[int, BoardComparisons] | None,
) -> LearnerPage:
    cells = list(dict.fromkeys(row for _, entry in own for row in entry.cells))
    kept = _kept(cells, problems)
    configs = {row.learner: row.config for row in cells}
    curves = learner_curves(name, own, palette, root, problems, read)
    pictures = [curves] if curves else []
    mistakes = []
    for rows in kept.values():
        first, stored = rows[0][0], [answers for _, answers in rows]
        scores = by_class(stored)
        mistakes.append(Mistakes(first, scores[:MOST_CLASSES], len(scores)))
        shown = range(min(MOST_EPISODES, stored[0].episodes))
        pictures += [
            picture
            for number in shown
            if (picture := episode_picture(first, episode_of(stored[0], number), palette))
        ]
        if matrix := confusion_picture(first, confusion(stored)):
            pictures.append(matrix)
    return LearnerPage(
        name,
        family,
        is_control(own[0][1], controls),
        list(configs.items()),
        [_result(board, entry) for board, entry in own],
        opponents(own, compared) if compared else None,
        [against for board, entry in own for against in _against(board, entry, held[id(board)])],
        _audits([entry for _, entry in own]),
        mistakes,
        pictures,
        cells,
    )


def _kept(
    cells: Sequence[CellRow], problems: list[Problem]
) -> dict[tuple[str, str, str, str], list[tuple[CellRow, StoredAnswers]]]:
    """The answers that are stored, by setting and learner, its seeds together."""
    found: dict[tuple[str, str, str, str], list[tuple[CellRow, StoredAnswers]]] = defaultdict(list)
    for row in cells:
        if row.status != "done":
            continue
        try:
            if stored := stored_answers(row.path):
                found[row.suite, row.setting, row.learner, row.budget].append((row, stored))
        except BenchError as error:
            problems.append(Problem(row.path, str(error)))
    return found


def _result(board: Board, entry: Entry) -> Result:
    metric = board.metric
    ranked = board.scored if board.best is not None else []
    scores = [own.score(metric) for own in ranked]  # the best first; equal ones share a place
    place = f"{scores.index(entry.score(metric)) + 1} of {len(scores)}" if entry in ranked else ""
    there = [where for where in board.places if entry.timings(where)]
    memory = entry.peak_memory(there[0]) if there else None
    return Result(
        board,
        entry,
        score(board, entry),
        place,
        seeds(entry),
        metric.write(entry.seed_deviation(metric)),
        training_time(entry, *places_of_training([board])),
        duration(entry.time(there[0], "first_answer")) if there else duration(None),
        f"{count(memory / 2**20)} MiB" if memory else duration(None),
    )


def _against(board: Board, entry: Entry, found: Sequence[Held]) -> list[Against]:
    if board.budget == UNTRAINED and not entry.done:
        return []
    return [
        Against(
            board,
            entry.label,
            point.key,
            percent(point.measured),
            percent(point.published),
            "; ".join(held.differences or [point.verdict, *held.training]),
            held.published.source,
        )
        for held in found
        if held.entry == entry
        for point in held.points
    ]


def _audits(entries: Sequence[Entry]) -> list[Audited]:
    found: dict[tuple[str, str], Audited] = {}
    for entry in entries:
        for training, audits in audits_by_training(entry).items():
            for audit in audits or []:
                if audit.outcome != "not applicable":
                    value = "" if audit.value is None else f"{audit.value:.1%} change"
                    told = audit.found or value
                    key = str(training), audit.name
                    found[key] = Audited(*key, str(audit.outcome), told)
    return list(found.values())
