"""Who leads on each suite, as far as its settings are ranked, and who cannot be told apart from it.

A setting where cells or seeds are missing has no best: of it only the figure is told that is the
best so far.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from bench.report.marks import marks_of
from bench.report.summary import number
from bench.results.boards import Board, Entry, Setting
from bench.results.families import is_control
from bench.results.joined import Joined, joined
from bench.results.pairs import BoardComparisons
from bench.results.written import listed, score, seeds

MOST_SUITES = 3
"""Suites whose best learner is named."""
MOST_TIED = 3
"""Learners of a suite that are named where several lead equally often."""
MOST_ALIKE = 4
"""Learners that are named as not told apart from one that leads."""


def leaders(
    boards: Sequence[Board], compared: Sequence[BoardComparisons], controls: Collection[str]
) -> str:
    """The learners that are the best of most settings of a suite, with their families; nothing
    where no learner stands beside another.

    Args:
        boards: of the report.
        compared: their pairs.
        controls: names of learners that are no members of their family.
    """
    suites: dict[str, list[Board]] = defaultdict(list)
    for board in boards:
        if len(_members(board, controls)) > 1:
            suites[board.suite].append(board)
    pairs = {one.board.key: one for one in compared}

    def order(suite: str) -> tuple[bool, int]:
        """What ranks by a fraction comes first, then what most learners answered."""
        own = suites[suite]
        most = max(len(_members(board, controls)) for board in own)
        return not own[-1].metric.in_percent, -most

    shown = sorted(suites, key=order)
    more = len(shown) - len(shown[:MOST_SUITES])
    ranked: list[str] = []
    others: list[str] = []
    why: set[str] = set()
    for suite in shown[:MOST_SUITES]:
        own = [board for board in suites[suite] if board.best]
        for board in [] if own else suites[suite]:
            why |= set(_unranked(board))
        text = f"on {suite} {_most_often(own or suites[suite], boards, pairs, controls)}"
        (ranked if own else others).append(text)
    sentences = [f"The best: {'; '.join(ranked)}."] if ranked else []
    if others:
        sentences.append(
            f"Not ranked, for {listed(sorted(why))}, the best figures so far: {'; '.join(others)}."
        )
    if more:
        sentences[-1] = f"{sentences[-1][:-1]}; {number(more, 'further suite')} below."
    return " ".join(sentences)


def _members(board: Board, controls: Collection[str]) -> list[Entry]:
    return [entry for entry in board.scored if not is_control(entry, controls)]


def _unranked(board: Board) -> list[str]:
    """Why a board has no best."""
    reasons = {
        "cells are missing": not board.complete,
        "seeds are unequal": bool(board.lacking),
        "episodes differ": not board.one_bank,
    }
    return [reason for reason, holds in reasons.items() if holds]


def _most_often(
    own: Sequence[Board],
    boards: Sequence[Board],
    pairs: Mapping[Setting, BoardComparisons],
    controls: Collection[str],
) -> str:
    """Those that lead most of the boards of a suite, each with its figure on the first of them."""
    names = joined(own)
    wins: Counter[Joined] = Counter()
    first: dict[Joined, tuple[Board, Entry]] = {}
    for board in own:
        members, metric = _members(board, controls), board.metric
        top: dict[Joined, Entry] = {}  # a learner wins once, however often it is there
        for entry in members:
            if entry.score(metric) == members[0].score(metric):
                top.setdefault(names[entry], entry)
        for key, entry in top.items():
            wins[key] += 1
            first.setdefault(key, (board, entry))
    most = max(wins.values())
    leading = [found for key, found in first.items() if wins[key] == most]
    texts = [_told(board, entry, boards, pairs) for board, entry in leading[:MOST_TIED]]
    further = len(leading) - MOST_TIED
    return listed([*texts, *([f"{further} more"] if further > 0 else [])])


def _told(
    board: Board,
    entry: Entry,
    boards: Sequence[Board],
    pairs: Mapping[Setting, BoardComparisons],
) -> str:
    budgets = {other.budget for other in boards if other.suite == board.suite}
    setting = board.setting + (f", budget {board.budget}" if len(budgets) > 1 else "")
    trained = len(entry.done) if not entry.untrained else 0
    about = [entry.family]
    if trained:
        plural = "" if entry.complete and trained == 1 else "s"
        about.append(f"{seeds(entry)} seed{plural}")
    figure = f"{score(board, entry)} {board.metric.suffix}"
    alike = _alike(entry, pairs.get(board.key))
    return (
        f"{entry.label}{marks_of(entry)} {figure} in {setting} ({', '.join(about)}"
        f"{f'; not told apart from {alike}' if alike else ''})"
    )


def _alike(entry: Entry, compared: BoardComparisons | None) -> str:
    """Whom no comparison tells apart from it; nothing where all are, or where it has none."""
    others = [
        pair.b if pair.a == entry else pair.a
        for pair in (compared.pairs if compared else [])
        if entry in (pair.a, pair.b) and not pair.told_apart
    ]
    if len(others) > MOST_ALIKE:
        return f"{len(others)} others"
    return listed(other.label for other in others)
