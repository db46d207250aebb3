"""What the results say, in sentences, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench.report.published import Point, hold_against_papers
from bench.results.boards import UNTRAINED, Board, Entry
from bench.results.formats import natural, percent
from bench.results.pairs import ENOUGH_SEEDS, BoardComparisons
from bench.results.rows import COMPILED, CellRow
from bench.results.written import score, sharing
from bench.store.records import LEAST_EPISODES

MOST_NAMES = 6
"""Learners named in a sentence."""


def sentences(boards: Sequence[Board]) -> list[str]:
    """Every setting in a sentence."""
    return [_board(board) for board in boards]


def board_name(board: Board) -> str:
    """Suite, setting, and what distinguishes the board from its neighbours."""
    budget = "nothing to train" if board.budget == UNTRAINED else f"budget {board.budget}"
    return f"{board.suite}, {board.setting}, {budget}"


def protocol(board: Board) -> str:
    """What the board's task is."""
    return "; ".join(board.kind.describe(board)) + "."


def commands(cells: list[CellRow], results: str) -> list[str]:
    """The ``bench run`` lines that make these cells exist.

    A suite that is not installed is asked for by the path of its file, a learner by its label.
    Cells of one budget, precision, place and number of threads share a line where the same learners
    ran with the same seeds; what has nothing to train joins the lines of its suite.
    """
    places = _Places(cells)
    files = {cell.suite: cell.suite_file for cell in cells if cell.suite_file}
    plans: dict[Any, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    timed: dict[Any, set[str]] = defaultdict(set)
    trained = [cell for cell in cells if cell.budget != UNTRAINED]
    for cell in trained:
        plan = cell.suite, cell.precision, *places.of(cell), cell.budget
        plans[plan][cell.learner].add(cell.seed)
        timed[plan[1:]].update(cell.timings)
    beside = list(plans)
    for cell in cells:
        if cell.budget == UNTRAINED:
            where = cell.suite, cell.precision, *places.of(cell)
            budgets = {"smoke"} if _of_smoke(cell) else {plan[-1] for plan in beside}
            joined = [p for p in beside if p[:3] == where[:3] and p[-1] in budgets]
            joined = joined or [(*where, "smoke" if _of_smoke(cell) else UNTRAINED)]
            for plan in joined:
                plans[plan].setdefault(cell.learner, set())
                timed[plan[1:]].update(cell.timings)
    lines: dict[Any, list[str]] = defaultdict(list)  # what a line asks for, its suites
    for (suite, *how), learners in sorted(plans.items(), key=lambda item: natural(item[0][0])):
        by_seeds: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for learner, seeds in learners.items():
            by_seeds[tuple(sorted(seeds))].append(learner)
        without = by_seeds.pop((), [])
        for number, (own, names) in enumerate(by_seeds.items() if by_seeds else [((0,), [])]):
            asked = sorted(names + (without if number == 0 else []))
            lines[tuple(how), own, tuple(asked)].append(suite)
    return [
        _command(
            [files.get(suite, suite) for suite in suites], how, seeds, learners, timed[how], results
        )
        for (how, seeds, learners), suites in lines.items()
    ]


def _of_smoke(cell: CellRow) -> bool:
    """Whether a learner with nothing to train answered the part of a bank that only the budget
    ``smoke`` asks for."""
    least = min(cell.bank_episodes or 0, LEAST_EPISODES)
    return cell.episodes is not None and cell.episodes < least


class _Places:
    """Where cells are to be trained, and with how many threads, so that they come out the same."""

    def __init__(self, cells: list[CellRow]) -> None:
        self.known: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        for cell in cells:
            if cell.budget != UNTRAINED and cell.home:
                self.known[cell.device, cell.precision].add(_place(cell))

    def of(self, cell: CellRow) -> tuple[str, str]:
        """The device, and the CPU threads of the training, "" where they are not known.

        A cell whose home is not known goes where the others of its kind of device were, if that is
        one place.
        """
        place, threads = _place(cell)
        if cell.home is None:
            known = self.known[cell.device, cell.precision]
            others = [own for own in known if threads in ("", own[1])]
            if len(others) == 1:
                return others[0]
        return place, threads


def _place(cell: CellRow) -> tuple[str, str]:
    device, _, named = cell.place.partition("/")
    threads = str(cell.training_threads or named)
    # A training keeps the threads that it began with, and is then tested with them on cpu/1 too.
    return (cell.place if threads == named else device), threads


def _command(
    suites: list[str],
    how: tuple[str, str, str, str],
    seeds: tuple[int, ...],
    learners: tuple[str, ...],
    timed: set[str],
    results: str,
) -> str:
    precision, device, threads, budget = how
    words = ["bench", "run"]
    for option, values in (
        ("--suite", suites),
        ("--learner", learners),
        ("--device", [device, *sorted(timed - {device}, key=natural)]),
    ):
        for value in values:
            words += [option, value]
    words += ["--threads", threads] if threads and "/" not in device else []
    words += ["--seeds", ranges(seeds)]
    words += [] if budget == UNTRAINED else ["--budget", budget]
    words += ["--precision", precision.removesuffix(COMPILED)]
    words += ["--compile"] if precision.endswith(COMPILED) else []
    return shlex.join([*words, "--results", results])


def ranges(seeds: tuple[int, ...]) -> str:
    """``0-2,7`` for 0, 1, 2, 7."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def number(n: int, noun: str) -> str:
    """``1 suite``, ``2 suites``."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{n:,} {noun if n == 1 else plural}"


def counts(cells: Sequence[CellRow]) -> str:
    """How many cells are done, of what."""
    status = [cell.status for cell in cells]
    done = f"{status.count('done'):,} of {number(len(cells), 'cell')} are done"
    for kind in ("failed", "unfinished"):
        if kind in status:
            done += f", {status.count(kind):,} {kind}"
    return (
        f"{done}: {number(len({cell.learner for cell in cells}), 'learner')} of "
        f"{number(len({cell.family for cell in cells}), 'family')} on "
        f"{number(len({(cell.suite, cell.setting) for cell in cells}), 'setting')} of "
        f"{number(len({cell.suite for cell in cells}), 'suite')}."
    )


def _board(board: Board) -> str:
    name = board_name(board)
    if not board.complete:
        done = sum(cell.status == "done" for cell in board.cells)
        return (
            f"{name}: {done} of {number(len(board.cells), 'cell')} are done, so that the "
            "learners are not ranked."
        )
    if why := _unequal(board):
        return f"{name}: {why}."
    best = board.best
    if best is None:
        scores = [labelled_score(board, entry) for entry in board.scored]
        return f"{name}: " + ", ".join(scores) + "." if scores else f"{name}."
    extreme = board.metric.extreme
    lengths = sorted({cell.episodes or 0 for cell in board.cells})
    parts = (
        f" Some answered only the first part of the episodes ({lengths[0]:,} of {lengths[-1]:,})."
        if len(lengths) > 1
        else ""
    )
    equal = sharing(board, best)
    if len(equal) > 1:
        shared = f"{score(board, best)} {board.metric.suffix}"
        return f"{name}: {_names(equal)} share the {extreme}, {shared}.{parts}"
    first = labelled_score(board, best)
    return f"{name}: {first} is the {extreme}, then {_second(board)}.{parts}"


def _second(board: Board) -> str:
    """Who comes after the best."""
    equal, metric = sharing(board, board.scored[1]), board.metric
    if len(equal) == 1:
        return labelled_score(board, equal[0])
    return f"{_names(equal)} with {metric.write(equal[0].score(metric))} {metric.suffix} each"


def _unequal(board: Board) -> str:
    """Why the learners of a board without missing cells are not ranked; nothing where they are."""
    if board.lacking:
        whose = "; ".join(
            f"{'seed' if len(seeds) == 1 else 'seeds'} {ranges(seeds)} of {_names(entries)}"
            for seeds, entries in sorted(board.lacking.items())
        )
        return f"the learners have unequal seeds and are not ranked; missing: {whose}"
    return "" if board.one_bank else "the learners answered different episodes and are not ranked"


def _names(entries: list[Entry]) -> str:
    """The labels, or how many where they are many."""
    if len(entries) > MOST_NAMES:
        return f"{len(entries)} learners"
    return ", ".join(entry.label for entry in entries)


def detectable(compared: BoardComparisons) -> list[str]:
    """How small a true difference the comparisons of a board would have found: between learners,
    and between trained weights, whose test leaves the variance between seeds out."""
    lines = []
    for about, whose in (
        ("learners", "learners"),
        ("weights", f"trained weights, where there are fewer than {ENOUGH_SEEDS} seeds"),
    ):
        found = [pair.detectable for pair in compared.pairs if pair.about == about]
        sizes = [size for size in found if size]
        if sizes:
            metric = compared.board.metric
            low, high = metric.write(min(sizes)), metric.write(max(sizes))
            size = low if low == high else f"{low} to {high}"
            lines.append(
                f"Between {whose}: a true difference of {size} {metric.short_units}, depending on "
                "the pair, would have been found in 80 % of repetitions, before Holm's adjustment."
            )
    return lines


def against_papers(board: Board) -> list[str]:
    """Where the protocols of the test are the same: how the measured accuracies lie to the
    published ones."""
    return [
        f"By the test protocol of {held.published.source}, {held.entry.label} is at "
        f"{percent(point.measured)} % where the paper has {percent(point.published)} % ({point.key}"
        f"), {_beside_paper(point)}{''.join(f'; {how}' for how in held.training)}."
        for held in hold_against_papers(board)
        for point in held.points
        if not held.differences
    ]


def _beside_paper(point: Point) -> str:
    """``a difference of 0.95 ± 0.30 points: below``; of too few trainings no verdict."""
    told = f"a difference of {percent(abs(point.difference), point.half_width)} points"
    if point.about == "weights":
        return f"{told} {point.verdict} (a verdict takes {ENOUGH_SEEDS} seeds)"
    return f"{told}: {point.verdict}"


def labelled_score(board: Board, entry: Entry) -> str:
    """``maml 98.70 ± 0.40 %``, ``ntm 0.042 ± 0.013 wrong bits``."""
    return f"{entry.label} {score(board, entry)} {board.metric.suffix}"


def seeds_said(boards: Sequence[Board]) -> list[str]:
    """How many trainings the figures stand for, and what may be claimed of them, in a phrase."""
    entries = [entry for board in boards for entry in board.entries if not entry.untrained]
    counted = {len(entry.done) for entry in entries if entry.done}
    if not counted:
        return []
    most = max(counted)
    if most == 1:
        every = "every learner was" if all(e.done for e in entries) else "what has results was"
        return [
            f"{every} trained from one seed, so that figures and intervals speak of these trained "
            f"weights; a claim about learners takes {ENOUGH_SEEDS} seeds or more (bench run "
            "--seeds 0-2)"
        ]
    few = sum(len(entry.done) < ENOUGH_SEEDS for entry in entries if entry.done)
    told = f"figures are means over up to {most} seeds, their intervals cover the episodes"
    if few:
        told += (
            f"; where a learner has fewer than {ENOUGH_SEEDS} seeds, its figures speak of these "
            "trained weights only"
        )
    return [told]
