"""The first thing that a report says, in at most six sentences."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from bench.report.leaders import leaders
from bench.report.summary import counts, number, seeds_said
from bench.report.unmeasured import unmeasured
from bench.results.boards import Board, family_order
from bench.results.families import BoardFamilies
from bench.results.formats import duration
from bench.results.pairs import BoardComparisons
from bench.results.rows import CellRow
from bench.results.tradeoff import FIRST_ANSWER, TRAINING, Point, Tradeoff
from bench.results.written import listed
from bench.store.checked import Problem

NEAR = 0.01
"""A fraction: a learner as near to the best as this is as good for most uses."""


def verdict(
    cells: Sequence[CellRow],
    boards: Sequence[Board],
    families: Sequence[BoardFamilies],
    compared: Sequence[BoardComparisons],
    costs: Tradeoff | None,
    problems: Sequence[Problem],
    controls: Collection[str],
) -> list[str]:
    """Who leads where, what cannot be told apart, what it costs, what is missing, what may not be
    claimed.

    Args:
        cells: of the report.
        boards: of them.
        families: of each board.
        compared: the pairs of each board.
        costs: over all settings.
        problems: what could not be read.
        controls: names of learners that are no members of their family.
    """
    lines = [
        counts(cells),
        leaders(boards, compared, controls),
        _families(families),
        _costs(costs),
        _missing(cells, boards),
        _claims(cells, boards, problems),
    ]
    return [line for line in lines if line]


def _families(found: Sequence[BoardFamilies]) -> str:
    """On how many settings families can be told apart."""
    ahead: Counter[tuple[str, str]] = Counter()
    tied: Counter[tuple[str, str]] = Counter()
    few = 0
    for one in found:
        few += bool(one.pairs) and all(pair.reason for pair in one.pairs)
        for pair in one.pairs:
            if pair.reason:
                continue
            first, second = pair.a, pair.b
            if one.board.metric.sign * (pair.mean or 0.0) < 0:
                first, second = second, first
            if pair.told_apart:
                ahead[first, second] += 1
            else:
                tied[min(pair.a, pair.b), max(pair.a, pair.b)] += 1
    parts = [f"{a} is ahead of {b} on {number(n, 'setting')}" for (a, b), n in ahead.most_common(3)]
    alike: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for both, n in tied.most_common(3):
        alike[n].append(both)
    parts += [f"{_alike(pairs)} told apart on {number(n, 'setting')}" for n, pairs in alike.items()]
    if few:
        parts.append(f"on {number(few, 'setting')} there are not enough learners to say")
    return f"As families: {'; '.join(parts)}." if parts else ""


def _alike(pairs: Sequence[tuple[str, str]]) -> str:
    """``a and b cannot be``, ``no two of a, b and c can be``."""
    families = family_order(family for pair in pairs for family in pair)
    if len(pairs) > 1 and len(pairs) == math.comb(len(families), 2):
        return f"no two of {listed(families)} can be"
    return f"{', or '.join(map(listed, pairs))} cannot be"


def _costs(found: Tradeoff | None) -> str:
    """What the near best cost, from the fastest to the best."""
    if found is None:
        return ""
    whole = [p for p in found.points if found.whole(p) and FIRST_ANSWER in p.costs]
    if len(whole) < 2:
        return ""
    best = min(whole, key=lambda point: (point.behind, point.costs[FIRST_ANSWER]))
    equal = [point.label for point in whole if point.behind == best.behind and point is not best]
    beside = f"with {listed(equal)} " if equal else ""
    near = [point for point in whole if point.behind <= best.behind + NEAR]
    fastest = min(near, key=lambda point: point.costs[FIRST_ANSWER])
    settings = f"over the {number(len(found.boards), 'setting')} that most learners share"
    if len(found.boards) == 1:
        settings = f"on {found.boards[0].suite}, {found.boards[0].setting}"
    ranked = [board.best is not None for board in found.boards]
    if not all(ranked):
        settings += " (not all of them ranked)" if any(ranked) else " (not ranked)"
    where = [f"answers on {listed(found.where(FIRST_ANSWER))}"]
    if any(point.costs.get(TRAINING) for point in (best, fastest)):
        where.append(f"meta-training on {listed(found.where(TRAINING))}")
    text = (
        f"What it costs, {settings}, {listed(where)}: {best.label}, {beside}the nearest to "
        f"the best figures, takes {_cost(best)}"
    )
    if fastest is not best:
        text += (
            f"; of the {len(near)} within a point of it {fastest.label} answers first, with "
            f"{_cost(fastest)}"
        )
    return f"{text}."


def _cost(point: Point) -> str:
    """Without its meta-training where that was elsewhere: other devices' seconds do not compare."""
    training = point.costs.get(TRAINING)
    trained = "" if training is None else f" after {duration(training)} of meta-training"
    if training == 0:
        trained = " without meta-training"
    return f"{duration(point.costs[FIRST_ANSWER])} to the first answer{trained}"


def _missing(cells: Sequence[CellRow], boards: Sequence[Board]) -> str:
    """What is not measured; the page lists it."""
    status, lacking = Counter(cell.status for cell in cells), unmeasured(boards)
    parts = [
        number(status[kind], f"{kind} cell") for kind in ("failed", "unfinished") if status[kind]
    ]
    if lacking.seeds:
        parts.append(f"unequal seeds on {number(len(lacking.seeds), 'setting')}")
    if lacking.cells:
        further = number(len(lacking.cells), "further cell")
        parts.append(f"{further} of learners that have others of the suite")
    if lacking.untimed:
        parts.append(f"the timings of {number(len(lacking.untimed), 'setting')}")
    return f"Not measured yet: {listed(parts)}; see What is missing." if parts else ""


def _claims(cells: Sequence[CellRow], boards: Sequence[Board], problems: Sequence[Problem]) -> str:
    """What may not be claimed, and why."""
    parts = []
    if any(cell.status == "done" for cell in cells):
        parts += seeds_said(boards)
    if any(cell.code == "other" for cell in cells):
        parts.append("figures marked † are of other code than is installed now (bench run --rerun)")
    if problems:
        parts.append(f"{number(len(problems), 'file')} could not be used, see the end of the page")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
