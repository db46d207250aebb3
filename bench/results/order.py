"""Whether learners stand in the same order under another protocol on the same data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from scipy.stats import kendalltau

from bench.results.boards import Board, Entry
from bench.results.formats import ordinal
from bench.results.joined import Joined, joined
from bench.results.pairs import ENOUGH_SEEDS, BoardComparisons
from bench.results.tradeoff import one_each
from bench.results.written import listed

FEWEST = 3
"""Learners that have an order worth telling."""
MOST_MOVES = 4
"""Learners whose places are told."""


def unmarked(entry: Entry) -> str:
    """No marks."""
    return ""


@dataclass(frozen=True)
class OrderChange:
    """The learners that two boards share, in the order of each."""

    a: Board
    b: Board
    first: list[Joined]
    """The best on `a` first."""
    second: list[Joined]
    """The best on `b` first."""
    tau: float | None
    """Kendall's rank correlation of the scores (τ-b): 1 of the same order, -1 of the reverse; None
    where a board has but one score."""
    swapped: list[tuple[Joined, Joined]]
    """Pairs of which the first is ahead on `a` and the second on `b`, both strictly."""
    equal: int
    """Pairs whose scores are equal on a board or on both: neither kept nor swapped."""
    certain: list[tuple[Joined, Joined]]
    """Those of `swapped` that both boards tell apart as learners."""
    of_weights: list[tuple[Joined, Joined]]
    """Those that both tell apart, one of them or both only these trained weights."""
    entries: dict[Joined, tuple[Entry, Entry]]
    """Whose figures are compared: on `a` and on `b`."""

    def sentences(self, marks: Callable[[Entry], str] = unmarked) -> list[str]:
        """Whether the order holds, and who moves.

        Args:
            marks: what has to be known of a figure, as marks behind the learner's name.
        """
        n, pairs = len(self.first), len(self.first) * (len(self.first) - 1) // 2
        a, b = _where(self.a, self.b), _where(self.b, self.a)
        head = f"From {a} to {b} the {n} learners that have both"
        marked = [own.learner + found for own in self.first if (found := self._marks(own, marks))]
        about = [f"With marks: {listed(marked)}."] if marked else []
        if not self.swapped:
            text = f"{head} keep their order"
            if self.equal:
                text += (
                    f" as far as they have one: {self.equal} of {pairs} pairs "
                    f"{'has' if self.equal == 1 else 'have'} equal scores on one of the two"
                )
            tau = "" if self.tau is None else f" (Kendall's τ = {self.tau:.2f})"
            return [f"{text}{tau}.", *about]
        told = f"{len(self.certain) or 'none'} of them told apart in both"
        if self.of_weights:
            told += (
                f", {len(self.of_weights)} of these trained weights only (a claim about learners "
                f"takes {ENOUGH_SEEDS} seeds)"
            )
        text = (
            f"{head} change their order: Kendall's τ = {self.tau or 0.0:.2f}; of {pairs} pairs "
            f"{len(self.swapped)} {'swaps' if len(self.swapped) == 1 else 'swap'}, {told}."
        )
        return [text, *self._moves(marks), *about]

    def _marks(self, own: Joined, marks: Callable[[Entry], str]) -> str:
        """Of both figures, each once."""
        return "".join(dict.fromkeys("".join(map(marks, self.entries[own]))))

    def _moves(self, marks: Callable[[Entry], str]) -> Iterator[str]:
        before, after = self._places(0), self._places(1)
        moves = sorted(
            ((after[own] - place, place, own) for own, place in before.items()),
            key=lambda move: (-abs(move[0]), move[1]),
        )
        moved = [
            f"{own.learner}{self._marks(own, marks)} from {ordinal(place + 1)} to "
            f"{ordinal(place + by + 1)}"
            for by, place, own in moves[:MOST_MOVES]
            if by
        ]
        if moved:
            yield f"The largest moves: {listed(moved)}."

    def _places(self, side: int) -> dict[Joined, int]:
        """Of each learner on a board how many are ahead of it: equal ones share a place."""
        board = (self.a, self.b)[side]
        scores = {own: _score(board, both[side]) for own, both in self.entries.items()}
        return {
            own: sum(other > score for other in scores.values()) for own, score in scores.items()
        }


def _score(board: Board, entry: Entry) -> float:
    """More is better."""
    return board.metric.sign * (entry.score(board.metric) or 0.0)


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
        names = joined([a.board, b.board])
        shared = len(_complete(a.board, names).keys() & _complete(b.board, names).keys())
        if shared >= FEWEST and (most is None or shared > most[0]):
            most = shared, a, b
    return _change(*most[1:]) if most else None


def _complete(board: Board, names: Mapping[Entry, Joined]) -> dict[Joined, Entry]:
    return {key: entry for key, entry in one_each(board, names).items() if entry.complete}


def _change(a: BoardComparisons, b: BoardComparisons) -> OrderChange:
    names = joined([a.board, b.board])
    on_a, on_b = _complete(a.board, names), _complete(b.board, names)
    first = [key for key in on_a if key in on_b]  # both are in the order of their scores
    second = [key for key in on_b if key in on_a]
    entries = {key: (on_a[key], on_b[key]) for key in first}
    scores = {key: (_score(a.board, x), _score(b.board, y)) for key, (x, y) in entries.items()}
    swapped, equal = [], 0
    for x, y in combinations(first, 2):  # on `a` x is not behind y
        ahead = [scores[x][side] - scores[y][side] for side in (0, 1)]
        equal += 0.0 in ahead
        if ahead[0] > 0 > ahead[1]:
            swapped.append((x, y))
    tau = _tau(list(scores.values()))
    apart = [_told_apart(a, on_a), _told_apart(b, on_b)]
    certain, of_weights = [], []
    for pair in swapped:
        about = [told.get(frozenset(pair)) for told in apart]
        if about == ["learners", "learners"]:
            certain.append(pair)
        elif None not in about:
            of_weights.append(pair)
    return OrderChange(
        a.board, b.board, first, second, tau, swapped, equal, certain, of_weights, entries
    )


def _tau(scores: Sequence[tuple[float, float]]) -> float | None:
    """Undefined, and NaN in SciPy, where all are equal on a side."""
    sides = list(zip(*scores, strict=True))
    if any(len(set(side)) < 2 for side in sides):
        return None
    return float(kendalltau(*sides).statistic)


def _told_apart(
    compared: BoardComparisons, entries: Mapping[Joined, Entry]
) -> dict[frozenset[Joined], str]:
    """The pairs that a board tells apart, with what of them: the learners, or these weights."""
    key = {entry: name for name, entry in entries.items()}
    return {
        frozenset((key[pair.a], key[pair.b])): pair.about
        for pair in compared.pairs
        if pair.told_apart and pair.a in key and pair.b in key
    }


def _where(board: Board, other: Board) -> str:
    """A board, with what of it makes more than the protocol differ."""
    splits = board.cells[0].split, other.cells[0].split
    more = [f"split {splits[0]}"] * (splits[0] != splits[1])
    more += [f"budget {board.budget}"] * (board.budget != other.budget)
    return f"{board.suite}, {board.setting}{f' ({listed(more)})' if more else ''}"
