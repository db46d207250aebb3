"""What stored answers say: an episode, accuracies by class, which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.results.rows import CellRow
from bench.store import layout
from bench.store.answers import StoredAnswers, stored_answers
from bench.store.checked import missing

MOST_CLASSES = 25
"""Of a confusion matrix."""


class Answer(NamedTuple):
    """An answer of an episode."""

    label: int
    """The right class, in [0, ways)."""
    choice: int
    confidence: float
    """The probability that it was given."""

    @property
    def right(self) -> bool:
        """Whether it is."""
        return self.label == self.choice


@dataclass(frozen=True)
class ShownEpisode:
    """An episode as a learner answered it."""

    number: int
    names: list[str]
    """(N,) of the classes behind the labels."""
    answers: list[Answer]
    support_x: NDArray[np.uint8]
    """(S, C, H, W); empty where no images are stored."""
    support_y: list[int]
    query_x: NDArray[np.uint8]
    """(Q, C, H, W); the same."""

    @property
    def accuracy(self) -> float:
        """The fraction of right answers."""
        return sum(answer.right for answer in self.answers) / len(self.answers)


def episode_of(stored: StoredAnswers, number: int) -> ShownEpisode:
    """An episode of a bank.

    Args:
        stored: what a cell answered.
        number: from 0.

    Raises:
        BenchError: there is no such episode.
    """
    if not 0 <= number < stored.episodes:
        raise BenchError(
            f"there is no episode {number}: the bank has {stored.episodes:,}, 0 to "
            f"{stored.episodes - 1:,}"
        )
    columns = (stored.label[number], stored.choice[number], stored.confidence[number])
    shown = stored.shown(number)
    none = np.zeros((0, 1, 1, 1), np.uint8)
    return ShownEpisode(
        number,
        [stored.name(number, label) for label in range(stored.classes.shape[1])],
        [
            Answer(int(label), int(choice), float(confidence))
            for label, choice, confidence in zip(*columns, strict=True)
        ],
        stored.support_x[number] if shown else none,
        stored.support_y[number].tolist() if shown else [],
        stored.query_x[number] if shown else none,
    )


class NotKeptError(BenchError):
    """The answers of a cell were not kept."""


def answers_of(row: CellRow) -> StoredAnswers:
    """What a cell answered.

    Raises:
        NotKeptError: its answers were not kept.
        BenchError: it is not finished, its answers are no classes, or the file is damaged.
    """
    where = f"{row.learner} on {row.suite}, {row.setting}"
    if row.status != "done":
        raise BenchError(f"{where} is {row.status}")
    if found := stored_answers(row.path):
        return found
    if has_answers(row):
        raise BenchError(
            f"the answers of {where} are no classes, and are not kept; its scores by episode are "
            f"in {row.path}/{layout.EPISODES}"
        )
    raise NotKeptError(
        f"no answers are stored of {where}; keep them with bench run --store answers"
    )


def has_answers(row: CellRow) -> bool:
    """Whether a cell's answers were asked for and kept, whole or not."""
    return not missing(Path(row.path, layout.ANSWERS))


class ClassScore(NamedTuple):
    """A class of the dataset, over all episodes that it was in."""

    name: str
    asked: int
    """Answers that should have been it."""
    right: int

    @property
    def accuracy(self) -> float:
        """The fraction of them that were right."""
        return self.right / self.asked


def by_class(stored: Sequence[StoredAnswers]) -> list[ClassScore]:
    """The accuracy of each class that was asked for, the worst first.

    Args:
        stored: of one learner and one setting, its seeds.
    """
    asked, right = (np.zeros(_classes(stored), int) for _ in range(2))
    for one in stored:
        true, answered = _numbers(one)
        np.add.at(asked, true, 1)
        np.add.at(right, true, true == answered)
    found = [
        ClassScore(_name(stored, number), int(asked[number]), int(right[number]))
        for number in np.flatnonzero(asked).tolist()
    ]
    return sorted(found, key=lambda own: (own.accuracy, -own.asked, own.name))


class Confusion(NamedTuple):
    """Which classes are taken for which."""

    names: list[str]
    shares: NDArray[np.float64]
    """(K, K) of the answers that should have been the row's class while the column's was there too,
    the share that was the column's; NaN where the two never met."""


def confusion(stored: Sequence[StoredAnswers], most: int = MOST_CLASSES) -> Confusion:
    """The confusion matrix, of more than `most` classes for those that are mistaken most often.

    A class can be taken only for one of the same episode: shares are of the answers where both
    were.

    Args:
        stored: of one learner and one setting, its seeds.
        most: classes.
    """
    size = _classes(stored)
    wrong = np.zeros(size, int)
    for one in stored:
        true, answered = _numbers(one)
        np.add.at(wrong, true, true != answered)
        np.add.at(wrong, answered, true != answered)
    asked = np.unique(np.concatenate([np.unique(one.classes) for one in stored]))
    chosen = np.sort(sorted(asked.tolist(), key=lambda k: -wrong[k])[:most])
    place = np.full(size, -1)
    place[chosen] = np.arange(len(chosen))
    counts, chances = (np.zeros((len(chosen), len(chosen))) for _ in range(2))
    for one in stored:
        true, answered = (place[values] for values in _numbers(one))
        kept = (true >= 0) & (answered >= 0)
        np.add.at(counts, (true[kept], answered[kept]), 1)
        there = place[one.classes]  # (E, N)
        for column in there.T:  # of each query, every class of its episode was possible
            beside = np.broadcast_to(column[:, None], true.shape)
            both = (true >= 0) & (beside >= 0)
            np.add.at(chances, (true[both], beside[both]), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(chances > 0, counts / chances, np.nan)
    return Confusion([_name(stored, number) for number in chosen.tolist()], shares)


def _numbers(one: StoredAnswers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(E, Q) each: the dataset's classes that were right, and that were answered."""
    classes = one.classes.astype(np.int64)
    return (
        np.take_along_axis(classes, one.label.astype(np.int64), 1),
        np.take_along_axis(classes, one.choice.astype(np.int64), 1),
    )


def _classes(stored: Sequence[StoredAnswers]) -> int:
    return max((int(one.classes.max()) + 1 for one in stored), default=0)


def _name(stored: Sequence[StoredAnswers], number: int) -> str:
    names = stored[0].names
    return names[number] if number < len(names) else f"class {number}"
