"""What comparisons say, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from bench.results.boards import Entry
from bench.results.pairs import (
    ENOUGH_SEEDS,
    BoardComparisons,
    Comparison,
    seeded_entries,
    tied_groups,
)

MOST_NAMES = 30
"""Names that a sentence lists where groups overlap: nobody reads more."""


def sentences(comparisons: BoardComparisons) -> list[str]:
    """What the comparisons say, in plain sentences: first of learners, then of trained weights."""
    compared, pairs = comparisons.compared, comparisons.pairs
    sign, seeded = comparisons.board.metric.sign, seeded_entries(pairs)
    lines: list[str] = []
    if seeded:
        lines.append(f"{_who_is_ahead(seeded, pairs, sign)}.")
    if len(compared) > max(len(seeded), 1):
        few = _listed(
            [e.label for e in compared if not e.untrained and len(e.cells) < ENOUGH_SEEDS]
        )
        each = "of each that is trained" if any(e.untrained for e in compared) else "of each"
        whose = f" ({few} with fewer than {ENOUGH_SEEDS} seeds)" if seeded else ""
        lines.append(
            f"Of these trained weights{whose}, {_who_is_ahead(compared, pairs, sign)}; a claim "
            f"about the learners takes {ENOUGH_SEEDS} seeds or more {each}."
        )
    lines += [f"{entry.label} is not compared: {reason}." for entry, reason in comparisons.left_out]
    return lines


def _who_is_ahead(entries: Sequence[Entry], pairs: Sequence[Comparison], sign: int) -> str:
    """Who is ahead of whom, of entries that stand in the order of their scores."""
    there = set(entries)
    among = [pair for pair in pairs if {pair.a, pair.b} <= there]
    tied = tied_groups(entries, pairs)
    groups = [[entry.label for entry in group] for group in tied or []]
    order = [entry.label for entry in entries]
    if [label for group in groups for label in group] == order:
        text = _chain(groups)
    elif not groups or sum(map(len, groups)) > MOST_NAMES:
        text = _first_and_counts(entries[0], among, sign)
    else:
        ties = ", as well as ".join(_listed(group) for group in groups if len(group) > 1)
        text = (
            f"{ties}, cannot be told apart; of every other pair the one named first is ahead: "
            f"{', '.join(order)}"
        )
    # Scores over unequally long first parts of the bank may stand in another order.
    turned = [
        f"; but {pair.b.label} is ahead of {pair.a.label} on the episodes that both answered"
        for pair in among
        if pair.told_apart and sign * pair.mean < 0
    ]
    return text + "".join(turned)


def _first_and_counts(first: Entry, pairs: Sequence[Comparison], sign: int) -> str:
    """How many pairs can be told apart, and from whom the first one can."""
    own = [pair for pair in pairs if pair.a == first]
    behind = sum(pair.told_apart and sign * pair.mean > 0 for pair in own)
    tied = [pair.b.label for pair in own if not pair.told_apart]
    apart = sum(pair.told_apart for pair in pairs)
    text = (
        f"{apart:,} of {len(pairs):,} pairs can be told apart; who from whom stands in the matrix "
        f"of the differences. {first.label} has the best score: it is ahead of {behind:,} of "
        f"{len(own):,}"
    )
    if not tied:
        return text
    others = _listed(tied) if len(tied) <= MOST_NAMES else f"{len(tied):,} others"
    return f"{text}, and cannot be told apart from {others}"


def _chain(groups: Sequence[Sequence[str]]) -> str:
    """Groups of which each is ahead of all that follow."""
    text = _listed(groups[0]) + (" cannot be told apart" if len(groups[0]) > 1 else "")
    for k, (group, following) in enumerate(pairwise(groups)):
        if len(group) == 1:
            text += ", which is" if k else " is"
        else:
            text += "; both are" if len(group) == 2 else "; all of them are"
        text += f" ahead of {_listed(following)}"
        text += ", which cannot be told apart" if len(following) > 1 else ""
    return text


def _listed(labels: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, [", ".join(labels[:-1]), labels[-1]]))
