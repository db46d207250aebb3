"""Whether learners stand in the same order under another protocol on the same data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from scipy.stats import kendalltau

from bench.results.boards import Board, Entry
from bench.results.formats import ordinal
from bench.results.pairs import BoardComparisons
from bench.results.tradeoff import one_each
from bench.results.written import listed

FEWEST = 3
"""Learners that have an order worth telling."""
MOST_MOVES = 4
"""Learners whose places are told."""

Learner = tuple[str, str]
"""A family and a learner with its options."""


@dataclass(frozen=True)
class OrderChange:
    """The learners that two boards share, in the order of each."""

    a: Board
    b: Board
    first: list[Learner]
    """The best on `a` first."""
    second: list[Learner]
    """The best on `b` first."""
    tau: float
    """Kendall's rank correlation of the scores: 1 of the same order, -1 of the reverse."""
    swapped: list[tuple[Learner, Learner]]
    """Pairs of which the first is ahead on `a` and the second on `b`."""
    certain: list[tuple[Learner, Learner]]
    """Those of `swapped` that both boards tell apart."""

    def sentences(self) -> list[str]:
        """Whether the order holds, and who moves."""
        n, pairs = len(self.first), len(self.first) * (len(self.first) - 1) // 2
        a, b = _where(self.a, self.b), _where(self.b, self.a)
        head = f"From {a} to {b} the {n} learners that have both"
        if not self.swapped:
            return [f"{head} keep their order (Kendall's τ = {self.tau:.2f})."]
        told = f"{len(self.certain) or 'none'} of them told apart in both"
        text = (
            f"{head} change their order: Kendall's τ = {self.tau:.2f}; of {pairs} pairs "
            f"{len(self.swapped)} {'swaps' if len(self.swapped) == 1 else 'swap'}, {told}."
        )
        return [text, *self._moves()]

    def _moves(self) -> Iterator[str]:
        moves = sorted(
            ((self.second.index(own) - place, place, own) for place, own in enumerate(self.first)),
            key=lambda move: (-abs(move[0]), move[1]),
        )
        moved = [
            f"{own[1]} from {ordinal(place + 1)} to {ordinal(place + by + 1)}"
            for by, place, own in moves[:MOST_MOVES]
            if by
        ]
        if moved:
            yield f"The largest moves: {listed(moved)}."


def order_changes(boards: Sequence[BoardComparisons]) -> list[OrderChange]:
    """One comparison of every two protocols on the same data: of the boards with most learners in
    common.

    Args:
        boards: with what their pairs are told apart by.
    """
    groups: dict[str | None, dict[str, list[BoardComparisons]]] = defaultdict(dict)
    for one in boards:
        cell = one.board.cells[0]
        if cell.test_dataset is None:
            by_protocol = groups[cell.dataset]
            by_protocol.setdefault(str(cell.protocol), []).append(one)
    return [
        change
        for by_protocol in groups.values()
        for a, b in combinations(by_protocol.values(), 2)
        if (change := _most_in_common(a, b))
    ]


def _most_in_common(
    first: Sequence[BoardComparisons], second: Sequence[BoardComparisons]
) -> OrderChange | None:
    most: tuple[int, BoardComparisons, BoardComparisons] | None = None
    for a, b in product(first, second):
        shared = len(_complete(a.board).keys() & _complete(b.board).keys())
        if shared >= FEWEST and (most is None or shared > most[0]):
            most = shared, a, b
    return _change(*most[1:]) if most else None


def _complete(board: Board) -> dict[Learner, Entry]:
    return {key: entry for key, entry in one_each(board).items() if entry.complete}


def _change(a: BoardComparisons, b: BoardComparisons) -> OrderChange:
    on_a, on_b = _complete(a.board), _complete(b.board)
    first = [key for key in on_a if key in on_b]  # both are in the order of their scores
    second = [key for key in on_b if key in on_a]
    place = {key: k for k, key in enumerate(second)}
    swapped = [(x, y) for x, y in combinations(first, 2) if place[x] > place[y]]
    apart = [_told_apart(a, on_a), _told_apart(b, on_b)]
    scores = [
        [board.metric.sign * (own[key].score(board.metric) or 0.0) for key in first]
        for board, own in ((a.board, on_a), (b.board, on_b))
    ]
    tau = float(kendalltau(*scores).statistic)
    certain = [pair for pair in swapped if all(frozenset(pair) in told for told in apart)]
    return OrderChange(a.board, b.board, first, second, tau, swapped, certain)


def _told_apart(
    compared: BoardComparisons, entries: Mapping[Learner, Entry]
) -> set[frozenset[Learner]]:
    key = {entry: name for name, entry in entries.items()}
    return {
        frozenset((key[pair.a], key[pair.b]))
        for pair in compared.pairs
        if pair.told_apart and pair.a in key and pair.b in key
    }


def _where(board: Board, other: Board) -> str:
    """A board, with what of it makes more than the protocol differ."""
    splits = board.cells[0].split, other.cells[0].split
    more = [f"split {splits[0]}"] * (splits[0] != splits[1])
    more += [f"budget {board.budget}"] * (board.budget != other.budget)
    return f"{board.suite}, {board.setting}{f' ({listed(more)})' if more else ''}"
