"""What a board says of families: the best, the middle and the spread of each, and which can be told
apart.

A learner is a sample of its family, and counts once: with several sets of options by their mean.
Families are compared on one encoder: of a learner that was trained with several only those entries
count that see with what most learners of the board do. A *control* is no member: what has nothing
to meta-train, and what its package names as one (entry points of the group ``bench.controls``).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from bench.results.boards import Board, Entry, family_order
from bench.results.paired_scores import Answers
from bench.results.pairs import Answered
from bench.results.ranks import AverageRanks, rank_scores
from bench.results.written import listed
from bench.statistics.families import ENOUGH_LEARNERS, compare_families, spread
from bench.statistics.significance import ALPHA, holm

NO_CONTROLS: frozenset[str] = frozenset()


def is_control(entry: Entry, controls: Collection[str]) -> bool:
    """Whether it stands beside the families, for comparison only.

    Args:
        entry: on a board.
        controls: names that packages give their controls.
    """
    return entry.untrained or entry.cells[0].learner_name in controls


@dataclass(frozen=True)
class FamilySummary:
    """A family on a board."""

    family: str
    learners: dict[str, list[Entry]]
    """By name, with the sets of options that count, see `on_one_encoder`."""
    incomplete: list[Entry]
    """What would count if nothing had failed, and lacks a cell or its score."""
    controls: list[Entry]
    best: Entry | None
    """None where nothing but controls has a score."""
    median: float | None
    """Of the learners."""
    deviation: float | None
    """Standard deviation between them; None below two."""


@dataclass(frozen=True)
class FamilyPair:
    """One family against another."""

    a: str
    b: str
    mean: float | None
    """a - b, of the means over learners; None where nothing can be claimed."""
    ci95: float | None
    p_holm: float | None
    """Over all pairs of families of the board."""
    reason: str
    """Why nothing can be claimed; nothing where it can."""

    @property
    def told_apart(self) -> bool:
        """The difference holds."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True)
class BoardFamilies:
    """What a board says of families."""

    board: Board
    families: list[FamilySummary]
    pairs: list[FamilyPair]


def families_of(read: Answered, controls: Collection[str] = NO_CONTROLS) -> BoardFamilies:
    """Sums up each family of a board, and compares those of which there are enough learners.

    Args:
        read: what its learners answered.
        controls: names of learners that are no members.
    """
    board = read.board
    members = on_one_encoder(board, controls)
    asked = members | _on_one_encoder(board.entries, controls)
    summaries = [
        _summary(board, family, entries, members, asked, controls)
        for family, entries in board.families.items()
    ]
    compared: dict[str, dict[str, list[Answers]]] = {}
    for answers in read.answers:
        entry = answers.entry
        if entry in members:
            own = compared.setdefault(entry.family, {})
            own.setdefault(entry.cells[0].learner_name, []).append(answers)
    named = [one.family for one in summaries if one.best]
    enough = [name for name in named if len(compared.get(name, {})) >= ENOUGH_LEARNERS]
    claims = _claims(board, enough, compared)
    pairs = []
    for a, b in combinations(named, 2):
        few = [name for name in (a, b) if name not in enough]
        pairs.append(
            FamilyPair(a, b, None, None, None, _too_few(few, compared)) if few else claims[a, b]
        )
    return BoardFamilies(board, summaries, pairs)


def on_one_encoder(board: Board, controls: Collection[str] = NO_CONTROLS) -> set[Entry]:
    """The members of all families that have a score: of each learner the entries with the encoder
    that most learners have, or all of a learner's where none has that."""
    return _on_one_encoder(board.scored, controls)


def _on_one_encoder(entries: Sequence[Entry], controls: Collection[str]) -> set[Entry]:
    found = [entry for entry in entries if not is_control(entry, controls)]
    seen: dict[str, set[str | None]] = defaultdict(set)
    for entry in found:
        seen[entry.cells[0].learner_name].add(entry.cells[0].encoder)
    counted = Counter(encoder for encoders in seen.values() for encoder in encoders)
    usual = max(counted, key=lambda encoder: (counted[encoder], encoder or ""), default=None)
    return {
        entry
        for entry in found
        if entry.cells[0].encoder == usual or usual not in seen[entry.cells[0].learner_name]
    }


def _too_few(families: Sequence[str], compared: Mapping[str, Mapping[str, object]]) -> str:
    counted = [
        f"{name} has {len(compared.get(name, {})) or 'no'} "
        f"learner{'' if len(compared.get(name, {})) == 1 else 's'}"
        for name in families
    ]
    return f"not enough learners: {' and '.join(counted)} of {ENOUGH_LEARNERS} that it takes"


def _claims(
    board: Board, enough: Sequence[str], compared: Mapping[str, Mapping[str, Sequence[Answers]]]
) -> dict[tuple[str, str], FamilyPair]:
    if len(enough) < 2:
        return {}
    lengths = [a.episodes for name in enough for own in compared[name].values() for a in own]
    shared = min(lengths)
    scores = [
        np.stack([np.mean([a.average[:shared] for a in own], 0) for own in compared[name].values()])
        for name in enough
    ]  # (L, E) each
    tests = compare_families(scores)
    adjusted = holm(tests.p)
    one_episode = "not enough episodes" if shared < 2 else ""
    return {
        (a, b): FamilyPair(
            a,
            b,
            _plain(tests.mean[k]),
            _plain(tests.ci95[k]),
            _plain(adjusted[k]),
            one_episode,
        )
        for k, (a, b) in enumerate(combinations(enough, 2))
    }


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _summary(
    board: Board,
    family: str,
    entries: Sequence[Entry],
    members: Collection[Entry],
    asked: Collection[Entry],
    controls: Collection[str],
) -> FamilySummary:
    metric = board.metric
    own = [entry for entry in entries if entry in members]
    learners: dict[str, list[Entry]] = {}
    for entry in own:
        learners.setdefault(entry.cells[0].learner_name, []).append(entry)
    best = max(own, key=lambda e: metric.sign * (e.score(metric) or 0.0), default=None)
    found = spread(_of_learners(board, learners)) if learners else None
    return FamilySummary(
        family,
        learners,
        [
            entry
            for entry in entries
            if entry in asked and not (entry.complete and entry.score(metric) is not None)
        ],
        [entry for entry in entries if is_control(entry, controls)],
        best,
        found.median if found else None,
        found.deviation if found else None,
    )


def _of_learners(board: Board, learners: Mapping[str, Sequence[Entry]]) -> list[float]:
    return [fmean(entry.score(board.metric) or 0.0 for entry in own) for own in learners.values()]


def family_ranks(found: Sequence[BoardFamilies]) -> AverageRanks | None:
    """Families ranked over datasets by the median of their learners.

    A family is left out, as a learner is, where it is not complete on one of the boards: one of its
    learners lacks a cell. The median of the others would raise it for failing where it is hard;
    that of the learners which are complete on every board would do so on all of them.

    Args:
        found: of boards of one budget and one measure.
    """
    boards = [one.board for one in found]
    names = family_order(own.family for one in found for own in one.families if _asked(own))
    scores: dict[str, list[float | None]] = {name: [None] * len(boards) for name in names}
    for k, one in enumerate(found):
        for own in one.families:
            if _asked(own):
                median = math.nan if own.median is None or own.incomplete else own.median
                scores[own.family][k] = one.board.metric.sign * median
    return rank_scores(boards, scores)


def _asked(own: FamilySummary) -> bool:
    """Whether it has more than controls."""
    return bool(own.learners or own.incomplete)


# -- in words -------------------------------------------------------------------------------------


def family_sentences(found: BoardFamilies) -> list[str]:
    """What can and cannot be said of the families of a board."""
    metric = found.board.metric
    lines = []
    for pair in found.pairs:
        if pair.reason:
            continue
        size = metric.write(abs(pair.mean or 0.0), pair.ci95)
        if pair.told_apart:
            ahead = metric.sign * (pair.mean or 0.0) > 0
            first, second = (pair.a, pair.b) if ahead else (pair.b, pair.a)
            lines.append(
                f"As a family, {first} is ahead of {second} by {size} {metric.short_units} "
                f"(p = {pair.p_holm:.2g} after Holm)."
            )
        else:
            lines.append(
                f"The families {pair.a} and {pair.b} cannot be told apart: their learners differ "
                f"by {size} {metric.short_units} in the mean."
            )
    few = [
        one.family
        for one in found.families
        if one.best
        and any(pair.reason and one.family in (pair.a, pair.b) for pair in found.pairs)
        and len(one.learners) < ENOUGH_LEARNERS
    ]
    if few:
        lines.append(
            f"Not enough learners to speak of {listed(few)} as "
            f"{'a family' if len(few) == 1 else 'families'} ({ENOUGH_LEARNERS} of each are needed)."
        )
    return lines
