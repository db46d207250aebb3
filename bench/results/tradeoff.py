"""What accuracy costs over all settings: a learner is one point, with each of its costs.

Settings are of different difficulty, and so are compared by how far a learner is behind the best of
each. A learner that lacks some of the settings is shown, and stands outside the front.

Times compare where they were measured at one place. Each setting has its own, that of most of its
learners: all who have the setting are measured by the same, and which one it is changes all their
means by one factor.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.results.boards import Board, Entry
from bench.results.families import NO_CONTROLS, is_control
from bench.results.joined import Joined, joined
from bench.results.labels import places
from bench.results.rows import Place
from bench.results.training_times import (
    TrainedAt,
    most_common,
    places_of_training,
    trained_there,
)
from bench.statistics.profiles import behind_best, profile, times_cheapest

FloatArray = NDArray[np.float64]

FIRST_ANSWER, TRAINING, MEMORY = "time to the first answer", "meta-training time", "peak memory"
COSTS = (FIRST_ANSWER, TRAINING, MEMORY)
SHARE = 0.5
"""Settings with fewer learners than this share of those of the fullest one are left out."""


@dataclass(frozen=True)
class Point:
    """A learner over the settings of a report."""

    label: str
    family: str
    control: bool
    behind: float
    """Mean over its settings of how far it is behind the best, in units of the metric."""
    settings: int
    """How many of them it has, with all seeds."""
    costs: Mapping[str, float]
    """Geometric means over its settings: seconds or bytes by name of `COSTS`; 0 of what is not
    trained. Not there where it is not known of each of them, measured at the setting's place."""


@dataclass(frozen=True)
class Tradeoff:
    """All learners over the settings that they share."""

    boards: list[Board]
    places: list[Place | None]
    """By board, where times and memory were measured."""
    trained: list[TrainedAt | None]
    """By board, where the meta-trainings were whose time is told."""
    points: list[Point]

    def whole(self, point: Point) -> bool:
        """It has all the settings."""
        return point.settings == len(self.boards)

    def front(self, cost: str) -> list[Point]:
        """Those that no other is as cheap and as good as, the cheapest first; of those with all
        settings and seeds."""
        found = [p for p in self.points if cost in p.costs and self.whole(p)]
        return sorted(
            (p for p in found if not any(_beats(q, p, cost) for q in found)),
            key=lambda p: p.costs[cost],
        )

    def measured(self, cost: str) -> list[Point]:
        """Those whose cost is known."""
        return [point for point in self.points if cost in point.costs]

    def unmeasured(self, cost: str) -> list[Point]:
        """Those whose cost is not."""
        return [point for point in self.points if cost not in point.costs]

    def where(self, cost: str) -> list[str]:
        """The places where a cost was measured, in words; none where that is not known."""
        places = self.trained if cost == TRAINING else self.places
        return list(dict.fromkeys(place.label for place in places if place))


def _beats(a: Point, b: Point, cost: str) -> bool:
    better = a.costs[cost] < b.costs[cost] or a.behind < b.behind
    return a.costs[cost] <= b.costs[cost] and a.behind <= b.behind and better


def tradeoff(boards: Sequence[Board], controls: Collection[str] = NO_CONTROLS) -> Tradeoff | None:
    """Accuracy and costs over the settings of the budget that most cells are of.

    Args:
        boards: of a report.
        controls: names of learners that are no members of their family.

    Returns:
        None where no setting ranks by a fraction, or where one learner stands alone.
    """
    shared = shared_boards(boards)
    if not shared:
        return None
    places, trained = timing_places(shared), places_of_training(shared)
    names = joined(shared)
    behind: dict[Joined, list[float]] = defaultdict(list)
    costs: dict[Joined, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    whole: Counter[Joined] = Counter()
    control: dict[Joined, bool] = {}
    for board, place, where in zip(shared, places, trained, strict=True):
        own = one_each(board, names, where)
        sign = board.metric.sign
        gaps = behind_best([[sign * (e.score(board.metric) or 0.0) for e in own.values()]])[0]
        for (key, entry), gap in zip(own.items(), gaps.tolist(), strict=True):
            behind[key].append(gap)
            whole[key] += entry.complete
            control[key] = is_control(entry, controls)
            for name, value in _costs(entry, place, where).items():
                costs[key][name].append(value)
    points = [
        Point(
            key.learner, key.family, control[key], fmean(gaps), whole[key],
            {name: _mean(own) for name, own in costs[key].items() if len(own) == len(gaps)},
        )
        for key, gaps in behind.items()
    ]  # fmt: skip
    return Tradeoff(shared, places, trained, points) if len(points) > 1 else None


def one_each(
    board: Board, names: Mapping[Entry, Joined], where: TrainedAt | None = None
) -> dict[Joined, Entry]:
    """The scored learners of a board, the best first, each under what joins it over boards.

    Of several entries of a learner that of most seeds stands for it, then what was trained where
    most were, then what is of the installed code; never that of the better test score, which would
    be a choice on the test bank.

    Args:
        board: whose.
        names: what its entries are joined under.
        where: most were trained; default: on this board.
    """
    where = where or places_of_training([board])[0]
    found: dict[Joined, list[Entry]] = defaultdict(list)
    for entry in board.scored:
        found[names[entry]].append(entry)
    chosen = {min(own, key=lambda entry: _choice(entry, where)) for own in found.values()}
    return {names[entry]: entry for entry in board.scored if entry in chosen}


def _choice(entry: Entry, where: TrainedAt | None) -> tuple[int, bool, bool, str]:
    return -len(entry.done), not trained_there(entry, where), entry.other_code, entry.label


def shared_boards(boards: Sequence[Board]) -> list[Board]:
    """The settings that rank by a fraction, of the budget with most cells, without those that few
    learners have."""
    ranked = [board for board in boards if board.metric.in_percent and board.scored]
    cells: Counter[str] = Counter()
    for board in ranked:
        cells[board.budget] += len(board.cells)
    if not cells:
        return []
    own = [board for board in ranked if board.budget == cells.most_common(1)[0][0]]
    most = max(len(board.scored) for board in own)
    return [board for board in own if len(board.scored) >= SHARE * most]


def main_place(boards: Sequence[Board]) -> Place | None:
    """Where most learners of these settings were timed."""
    counted = _timed(boards)
    together = sum(counted, Counter[Place]())
    return together.most_common(1)[0][0] if together else None


def timing_places(boards: Sequence[Board]) -> list[Place | None]:
    """By board, where most of its learners were timed."""
    return most_common(_timed(boards))


def _timed(boards: Sequence[Board]) -> list[Counter[Place]]:
    """By board, how many learners were timed where; a device of one name is several where it was
    so on any of the boards."""
    there = places(row for board in boards for entry in board.entries for row in entry.done)
    return [
        Counter({p: n for p in there if (n := sum(bool(e.timings(p)) for e in board.entries))})
        for board in boards
    ]


def _costs(entry: Entry, place: Place | None, where: TrainedAt | None) -> dict[str, float]:
    """What is known of an entry: its times and memory at a place, the meta-training of its seeds at
    another."""
    seconds = [row.training_seconds for row in trained_there(entry, where)]
    known = [value for value in seconds if value is not None]
    found = {
        FIRST_ANSWER: entry.time(place, "first_answer") if place else None,
        TRAINING: 0.0 if entry.untrained else fmean(known) if known else None,
        MEMORY: entry.peak_memory(place) if place else None,
    }
    return {
        name: value
        for name, value in found.items()
        if value is not None and (value > 0 or name == TRAINING)
    }


def _mean(values: Sequence[float]) -> float:
    return geometric_mean(values) if min(values) > 0 else 0.0


@dataclass(frozen=True)
class Profiles:
    """Performance profiles: the learners' shares of settings within bounds; (bounds, learners)."""

    points: list[Point]
    behind: FloatArray
    """(settings, learners) behind the best, as fractions; NaN where there is no score."""
    times: FloatArray
    """(settings, learners) the time to the first answer over that of the cheapest; the same."""

    def within(self, fractions: ArrayLike) -> FloatArray:
        """Shares within so much of the best."""
        return profile(self.behind, fractions)

    def within_times(self, factors: ArrayLike) -> FloatArray:
        """Shares within so many times the cheapest."""
        return profile(self.times, factors)


def profiles(found: Tradeoff) -> Profiles:
    """Of all learners over the settings that they share."""
    names = joined(found.boards)
    scores, seconds = [], []
    for board, place, where in zip(found.boards, found.places, found.trained, strict=True):
        own = one_each(board, names, where)
        entries = [own.get(Joined(point.family, point.label)) for point in found.points]
        sign, metric = board.metric.sign, board.metric
        scored = [entry.score(metric) if entry else None for entry in entries]
        scores.append([np.nan if score is None else sign * score for score in scored])
        known = [_costs(entry, place, where) if entry else {} for entry in entries]
        seconds.append([costs.get(FIRST_ANSWER, np.nan) for costs in known])
    return Profiles(found.points, behind_best(scores), times_cheapest(seconds))
