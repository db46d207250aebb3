"""What is lost where the meta-test is on other data than meta-training.

The same weights answer both; only what is asked is another. Settings with the same task are
compared: 1-shot with 1-shot.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from bench.results.boards import Board, Entry, family_order
from bench.results.families import NO_CONTROLS, is_control, on_one_encoder
from bench.results.labels import devices
from bench.results.rows import Place


class Loss(NamedTuple):
    """A learner on other data, in units of the metric."""

    score: float
    lost: float
    """How much worse it is than on the data that it was trained for; negative: better."""
    half_width: float | None
    """Of the 95 % interval of the difference, over the episodes of both."""


@dataclass(frozen=True)
class Learner:
    """The same weights on all data."""

    entry: Entry
    """On the data of meta-training."""
    losses: dict[str, Loss]
    """By setting."""
    control: bool
    """It is shown beside its family, and counts nowhere."""
    counts: bool
    """In its family's mean: it is no control, and sees with what families are compared on."""

    @property
    def devices(self) -> list[str]:
        """Where it was tested or timed."""
        return devices(self.entry.cells)

    def seconds(self, place: Place | None) -> float | None:
        """To the first answer, on the data of meta-training."""
        return self.entry.time(place, "first_answer") if place else None


@dataclass(frozen=True)
class Transfer:
    """A setting on the data of meta-training, and those of the same task on other data."""

    near: Board
    far: list[Board]
    learners: list[Learner]

    def dataset(self, board: Board) -> str:
        """What a setting on other data is tested on, with its split where it is not whole."""
        row = board.cells[0]
        split = "" if row.test_split in (None, "all") else f", {row.test_split}"
        return f"{row.test_dataset}{split}"

    @property
    def families(self) -> dict[str, list[Learner]]:
        """The learners, the best on the data of meta-training first."""
        found: dict[str, list[Learner]] = defaultdict(list)
        for learner in self.learners:
            found[learner.entry.family].append(learner)
        return {family: found[family] for family in family_order(found)}

    def mean(self, family: str, board: Board) -> float | None:
        """The mean loss of a family's learners on other data; None: none is there.

        As everywhere among families a learner counts once, by the mean over its sets of options,
        see `bench.results.families.on_one_encoder`; a control does not.
        """
        lost = self._of(family, board)
        return fmean(lost) if lost else None

    def _of(self, family: str, board: Board) -> list[float]:
        """What each learner of a family loses; without controls."""
        lost: dict[str, list[float]] = defaultdict(list)
        for learner in self.families.get(family, []):
            if board.setting in learner.losses and learner.counts:
                name = learner.entry.cells[0].learner_name
                lost[name].append(learner.losses[board.setting].lost)
        return [fmean(own) for own in lost.values()]

    def sentences(self) -> list[str]:
        """One for each other data: how much each family loses, the least first."""
        metric, told = self.near.metric, []
        for board in self.far:
            parts = []
            for family in self.families:
                lost = self._of(family, board)
                if lost:
                    count = f"{len(lost)} learner{'s' if len(lost) > 1 else ''}"
                    amount = metric.write_difference(fmean(lost))
                    parts.append((fmean(lost), f"{family} {amount} ({count})"))
            if parts:
                losses = ", ".join(text for _, text in sorted(parts))
                told.append(
                    f"{board.setting} instead of {self.near.setting}, lost in "
                    f"{metric.short_units}: {losses}."
                )
        return told


def transfers(boards: Sequence[Board], controls: Collection[str] = NO_CONTROLS) -> list[Transfer]:
    """Of the boards of a suite; nothing where all are on the data of meta-training.

    Args:
        boards: of one suite.
        controls: names of learners that are no members of their family.
    """
    groups: dict[Any, list[Board]] = defaultdict(list)
    for board in boards:
        groups[board.suite_version, board.budget, _task(board)].append(board)
    found = []
    for own in groups.values():
        near = [board for board in own if board.cells[0].test_dataset is None]
        far = [board for board in own if board.cells[0].test_dataset is not None]
        if len(near) == 1 and far:
            learners = list(_learners(near[0], far, controls))
            found += [Transfer(near[0], far, learners)] if learners else []
    return found


def _task(board: Board) -> str:
    return json.dumps(board.cells[0].task, sort_keys=True)


def _learners(near: Board, far: Iterable[Board], controls: Collection[str]) -> Iterator[Learner]:
    metric, members = near.metric, on_one_encoder(near, controls)
    for entry in near.scored:
        trainings, score = _trainings(entry), entry.score(metric)
        losses = {}
        for board in far:
            for other in board.scored:
                there = other.score(metric)
                if _trainings(other) == trainings and None not in (score, there):
                    assert score is not None
                    assert there is not None
                    halves = entry.half_width(metric), other.half_width(metric)
                    half = None if None in halves else math.hypot(*(h or 0.0 for h in halves))
                    losses[board.setting] = Loss(there, metric.sign * (score - there), half)
        if losses:
            yield Learner(entry, losses, is_control(entry, controls), entry in members)


def _trainings(entry: Entry) -> frozenset[tuple[str, str | None]]:
    """The weights: those of something that is not trained are one training whatever is asked."""
    return frozenset((row.learner, None if entry.untrained else row.training) for row in entry.done)
