"""Which entries of several boards are one learner.

A learner's name tells the options that differ from its defaults. A default that has changed since
is not told: what older code stored with another encoder bears the name of what today's stores. So
entries of one name are one learner only where they see with the same; data of other sorts, images,
points of functions and the vectors of memory probes, each have an encoder of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from bench.results.boards import Board, Entry

Alike = tuple[str, str, str, int]


class Joined(NamedTuple):
    """What joins the entries of a learner over boards."""

    family: str
    learner: str
    """Its name with options, and its encoder where most of that name have another one."""


def joined(boards: Iterable[Board]) -> dict[Entry, Joined]:
    """By entry what it is joined under, among the entries of these boards."""
    placed = {entry: _alike(board, entry) for board in boards for entry in board.entries}
    counted: dict[Alike, Counter[str]] = defaultdict(Counter)
    for entry, alike in placed.items():
        counted[alike][_encoder(entry)] += 1
    usual = {
        alike: max(encoders, key=lambda encoder: (encoders[encoder], encoder))
        for alike, encoders in counted.items()
    }
    return {
        entry: Joined(
            entry.family,
            entry.learner
            if (encoder := _encoder(entry)) == usual[alike]
            else f"{entry.learner} · {encoder}",
        )
        for entry, alike in placed.items()
    }


def _alike(board: Board, entry: Entry) -> Alike:
    """The name, and the sort of its data: what ranks there, and the number of axes of an input."""
    axes = len(entry.cells[0].task.get("input_shape") or ())
    return entry.family, entry.learner, board.metric.key, axes


def _encoder(entry: Entry) -> str:
    encoder = entry.cells[0].encoder
    return "no encoder" if encoder is None else f"encoder={encoder}"
