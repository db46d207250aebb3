"""How a learner's figures on a board are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.results.formats import duration
from bench.results.training_times import TrainedAt, training_seconds

if TYPE_CHECKING:
    from bench.results.boards import Board, Entry, Setting


def board_title(board: Board) -> str:
    """Suite, setting and budget."""
    budget = "nothing to train" if board.budget == "none" else f"budget {board.budget}"
    return f"{board.suite}  {board.setting}  ({budget})"


def score(board: Board, entry: Entry) -> str:
    """What the board ranks by, as `Metric.write` has it; the status of a learner that has none."""
    if not entry.done:
        return entry.status
    return board.metric.write(entry.score(board.metric), entry.half_width(board.metric))


def sharing(board: Board, entry: Entry) -> list[Entry]:
    """All that have its score: it, and those that share its place."""
    metric = board.metric
    return [own for own in board.scored if own.score(metric) == entry.score(metric)]


def suite_names(settings: Iterable[Board | Setting]) -> dict[tuple[str, int | None], str]:
    """Suites by name and version, in words: with the version where there are several, so that no
    two versions have one name."""
    found = {(of.suite, of.suite_version) for of in settings}
    versions = Counter(suite for suite, _ in found)
    return {
        (suite, version): f"{suite} v{version}" if version and versions[suite] > 1 else suite
        for suite, version in found
    }


def training_time(entry: Entry, usual: TrainedAt | None) -> str:
    """Meta-training time of one seed, of those that `training_seconds` takes; missing for a learner
    with nothing to train."""
    return duration(training_seconds(entry, usual))


def seeds(entry: Entry) -> str:
    """How many seeds are finished: ``3``, or ``2 of 3``."""
    done = len(entry.done)
    return str(done) if entry.complete else f"{done} of {len(entry.cells)}"


def listed(labels: Iterable[str]) -> str:
    """``a, b and c``."""
    found = list(labels)
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))
