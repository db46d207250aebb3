"""Where meta-trainings were, and how long they took: only times of one place compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from bench.results.labels import threads_in_words
from bench.results.rows import CellRow, Place

if TYPE_CHECKING:
    from bench.results.boards import Board, Entry

P = TypeVar("P", Place, "TrainedAt")


class TrainedAt(NamedTuple):
    """Where a meta-training was: only times of one such place compare."""

    device: str
    """The kind: ``cpu``, ``cuda``."""
    model: str | None
    threads: int | None
    """Of the CPU."""

    @property
    def label(self) -> str:
        """``cuda (NVIDIA L4) with 1 thread``, as much of it as is known."""
        model = f" ({self.model})" if self.model else ""
        threads = f" with {threads_in_words([self.threads])}" if self.threads else ""
        return f"{self.device}{model}{threads}"


def training_places(entry: Entry) -> list[TrainedAt]:
    """Where its finished seeds were trained, each place once; none of what has nothing to train."""
    return [] if entry.untrained else list(dict.fromkeys(map(_trained_at, entry.done)))


def trained_there(entry: Entry, where: TrainedAt | None) -> list[CellRow]:
    """Its finished seeds that were trained at a place."""
    return [] if entry.untrained else [row for row in entry.done if _trained_at(row) == where]


def _trained_at(row: CellRow) -> TrainedAt:
    return TrainedAt(row.device_kind, row.model_trained_on, row.training_threads)


def places_of_training(boards: Sequence[Board]) -> list[TrainedAt | None]:
    """By board, where most of its learners have seeds that were trained there."""
    return most_common(
        [Counter(place for e in board.scored for place in training_places(e)) for board in boards]
    )


def training_seconds(entry: Entry, usual: TrainedAt | None) -> float | None:
    """Of one seed's meta-training, by those of one place: a mean over a GPU's seconds and a CPU's
    would be of neither.

    Args:
        entry: whose; nothing where it has nothing to train.
        usual: where most of its board were trained; where it has no seed from there, most of its
            own.
    """
    own = training_places(entry)
    if usual not in own:
        [usual] = most_common([Counter({place: len(trained_there(entry, place)) for place in own})])
    known = [row.training_seconds for row in trained_there(entry, usual)]
    found = [seconds for seconds in known if seconds is not None]
    return fmean(found) if found else None


def most_common(counted: Sequence[Counter[P]]) -> list[P | None]:
    """Of each the most common; of equally common ones what all of them together have most of."""
    together = sum(counted, Counter[P]())
    return [
        min(own, key=lambda place: (-own[place], -together[place], place.label), default=None)
        for own in counted
    ]
