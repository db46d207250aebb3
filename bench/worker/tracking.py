"""Tells a tracker how a training goes. Whatever it raises ends the tracking and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.tracker import Tracked, Tracker
from bench.planning.jobs import Training
from bench.registry.installed import trackers

if TYPE_CHECKING:
    from bench.worker.training_loop import History


class Watch:
    """One tracker of one training.

    Args:
        name: of the tracker; empty: nothing is tracked.
        training: what is trained.
        folder: of the training.
        note: is told why there is no tracking, or no longer.
    """

    def __init__(
        self, name: str, training: Training, folder: Path, note: Callable[[str], object]
    ) -> None:
        self.name, self.note = name, note
        self.training, self.folder = training, folder
        self.tracker: Tracker | None = None
        self.points = self.updates = 0

    def begin(self, history: History) -> None:
        """The training begins, or goes on."""
        self.points, self.updates = len(history.curve), history.updates
        if self.name:
            self._attempt(lambda: self._open(history))

    def see(self, history: History) -> None:
        """Something has happened: what is new of it is logged."""
        new, self.points = history.curve[self.points :], len(history.curve)
        for point in new:
            self._log(point["updates"], _flat(point))
        if not new and history.updates > self.updates and history.losses:
            spent = {"examples": history.examples, "seconds": history.seconds}
            self._log(history.updates, {"loss": history.losses[-1], **spent})
        self.updates = history.updates

    def end(self) -> None:
        """The training has ended."""
        if tracker := self.tracker:
            self._attempt(tracker.close)

    def _open(self, history: History) -> None:
        asked = self.training.model_dump(mode="json")
        kind = trackers(self.name).get(self.name)
        self.tracker = kind(
            Tracked(
                folder=self.folder,
                id=self.training.id,
                updates=history.updates,
                budget=self.training.budget_name,
                **{key: asked[key] for key in ("learner", "family", "dataset", "seed")},
                config=asked["config"],
            )
        )

    def _log(self, update: int, values: dict[str, float]) -> None:
        if tracker := self.tracker:
            self._attempt(lambda: tracker.log(update, values))

    def _attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:
            self.tracker = None
            why = str(error).partition("\n")[0] or type(error).__name__
            self.note(f"{self.name}: {why}; the training goes on and is not tracked")


def _flat(point: dict[str, Any]) -> dict[str, float]:
    """The numbers of a point of a learning curve."""
    scores = {f"val_{name}": value for name, value in (point.get("val_scores") or {}).items()}
    return {
        name: float(value)
        for name, value in (point | scores).items()
        if isinstance(value, int | float) and name != "updates"
    }
