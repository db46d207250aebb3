"""What a run shows while it works: live bars on a terminal, plain lines in a pipe."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.cli.output import literal

if TYPE_CHECKING:
    from bench.groups.events import Event
    from bench.running.runner import Runner
    from bench.worker.assignment import Assignment

PLAIN_SECONDS = 30.0
"""A line per assignment at most so often when piped."""

MOST_TITLE, MOST_REASON = 200, 500
"""Characters shown of what comes from a learner."""


class Display:
    """Shows events. Used as a context manager; may be called from any thread."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._lock = threading.Lock()
        self._tasks: dict[Path, TaskID] = {}  # by the assignment's output
        self._told: dict[Path, float] = {}
        self._live: Progress | None = None
        self._all: TaskID | None = None
        self._words: dict[str, str] = {}  # what trainings learn, by id
        if self._console.is_terminal:
            self._live = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[details]}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
            )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes the bars off the terminal."""
        if self._live:
            self._live.stop()
            self._live = None

    def note(self, message: str) -> None:
        """A sentence above the bars."""
        self._console.print(message, markup=False, soft_wrap=True)

    def expect(self, runner: Runner) -> None:
        """Says how much there is to do."""
        self._words = runner.plan.words
        cells, trainings = len(runner.plan.cells), len(runner.plan.trainings)
        timings = cells * len(runner.places)
        self.note(f"{trainings} trainings and their audits, {cells} cells, {timings} timings")
        if self._live:
            total = 2 * trainings + cells + timings
            self._all = self._live.add_task("everything", total=total, details="")

    def listen(self, event: Event) -> None:
        """A `bench.groups.events.Listener`."""
        with self._lock:
            if event.kind == "progress" and "note" in event.details:
                self.note(str(event.details["note"]))
            elif event.kind == "progress" and "state" in event.details:
                if event.details["state"] == "waiting":
                    self.note(
                        f"waiting for another process: {title(event.assignment, self._words)}"
                    )
            elif self._live:
                self._update_bars(self._live, event)
            else:
                self._print_line(event)

    def _update_bars(self, live: Progress, event: Event) -> None:
        assignment, key = event.assignment, event.assignment.output
        if event.kind == "start":
            name = title(assignment, self._words)
            self._tasks[key] = live.add_task(name, total=1.0, details="")
        elif event.kind == "progress":
            done = fraction(event.details)
            live.update(self._tasks[key], completed=done, details=details(event.details))
        else:
            if key in self._tasks:
                live.remove_task(self._tasks.pop(key))
            if event.kind == "failed":
                self.note(failed(event, self._words))
            if self._all is not None:
                live.advance(self._all)

    def _print_line(self, event: Event) -> None:
        assignment, now = event.assignment, time.monotonic()
        key = assignment.output
        if event.kind == "progress":
            if now - self._told.get(key, 0.0) < PLAIN_SECONDS:
                return
            done = fraction(event.details)
            self.note(f"{title(assignment, self._words)}: {done:.0%} {details(event.details)}")
        elif event.kind == "failed":
            self.note(failed(event, self._words))
        elif event.kind in {"start", "done"}:
            self.note(f"{event.kind} {title(assignment, self._words)}")
        self._told[key] = now


def title(assignment: Assignment, words: Mapping[str, str]) -> str:
    """``train prototypical omniglot 60-way 1-shot seed 0``, ``test maml omniglot-5way 5way1shot
    seed 0``.

    Args:
        assignment: what is carried out.
        words: see `bench.planning.plan.Plan`.
    """
    training, cell = assignment.training, assignment.cell
    if cell is not None:
        where = f"{cell.suite} {cell.setting}"
        if assignment.phase == "time":
            where += f" on {assignment.device}"
    else:
        where = f"{training.dataset} {words.get(training.id, '')}".strip()
    told = f"{assignment.phase} {training.learner} {where} seed {training.seed}"
    return literal(told, MOST_TITLE)


def failed(event: Event, words: Mapping[str, str]) -> str:
    """``FAILED test maml omniglot-5way 5way1shot seed 0: ValueError: ...``, in one line."""
    reason = literal(event.details["reason"], MOST_REASON)
    return f"FAILED {title(event.assignment, words)}: {reason}"


def fraction(progress: dict[str, Any]) -> float:
    """How much of an assignment is done, 0 to 1, as far as known."""
    done = progress.get("fraction")
    if not isinstance(done, int | float) or not math.isfinite(done):
        return 0.0
    return min(max(done, 0.0), 1.0)


def details(progress: dict[str, Any]) -> str:
    """``update 120  loss 0.41  val 93.2 %  812 examples/s  3:20 left``, as far as known."""
    told = []
    numbers = {key: n for key, n in progress.items() if isinstance(n, int | float)}
    if "updates" in numbers:
        told.append(f"update {numbers['updates']:.0f}")
    if "loss" in numbers:
        told.append(f"loss {numbers['loss']:.3f}")
    if "val" in numbers:
        value, heading = numbers["val"], progress.get("val_heading")
        told.append(f"val {value:.3g} {heading}" if heading else f"val {value:.1%}")
    if "rate" in numbers:
        told.append(f"{numbers['rate']:.0f} examples/s")
    left = numbers.get("seconds_left", math.inf)
    if math.isfinite(left):
        minutes, seconds = divmod(max(0, int(left)), 60)
        told.append(f"{minutes}:{seconds:02d} left")
    return "  ".join(told)
