"""What a run shows while it works: live bars on a terminal, plain lines in a pipe."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from bench.running.runner import Event, Runner
    from bench.worker.assignment import Assignment

PLAIN_SECONDS = 30.0
"""A line per assignment at most so often when piped."""


class Display:
    """Shows events. Used as a context manager; may be called from any thread."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._lock = threading.Lock()
        self._tasks: dict[Path, TaskID] = {}  # by the assignment's output
        self._told: dict[Path, float] = {}
        self._live: Progress | None = None
        self._all: TaskID | None = None
        if self._console.is_terminal:
            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[details]}"),
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
        cells, trainings = len(runner.plan.cells), len(runner.plan.trainings)
        timings = cells * len(runner.places)
        self.note(f"{trainings} trainings and their audits, {cells} cells, {timings} timings")
        if self._live:
            total = 2 * trainings + cells + timings
            self._all = self._live.add_task("everything", total=total, details="")

    def listen(self, event: Event) -> None:
        """A `bench.running.runner.Listener`."""
        with self._lock:
            if self._live:
                self._update_bars(self._live, event)
            else:
                self._print_line(event)

    def _update_bars(self, live: Progress, event: Event) -> None:
        assignment, key = event.assignment, event.assignment.output
        if event.kind == "start":
            name = title(assignment)
            self._tasks[key] = live.add_task(name, total=1.0, details="")
        elif event.kind == "progress":
            done = event.details.get("fraction", 0.0)
            live.update(self._tasks[key], completed=done, details=details(event.details))
        else:
            if key in self._tasks:
                live.remove_task(self._tasks.pop(key))
            if event.kind == "failed":
                self.note(f"FAILED {title(assignment)}: {event.details['reason']}")
            if self._all is not None:
                live.advance(self._all)

    def _print_line(self, event: Event) -> None:
        assignment, now = event.assignment, time.monotonic()
        key = assignment.output
        if event.kind == "progress":
            if now - self._told.get(key, 0.0) < PLAIN_SECONDS:
                return
            fraction = event.details.get("fraction", 0.0)
            self.note(f"{title(assignment)}: {fraction:.0%} {details(event.details)}")
        elif event.kind == "failed":
            self.note(f"FAILED {title(assignment)}: {event.details['reason']}")
        elif event.kind in {"start", "done"}:
            self.note(f"{event.kind} {title(assignment)}")
        self._told[key] = now


def title(assignment: Assignment) -> str:
    """``train prototypical 60-way 1-shot seed 0``, ``test maml omniglot-5way 5way1shot seed 0``."""
    training, cell = assignment.training, assignment.cell
    if cell is not None:
        where = f"{cell.suite} {cell.setting}"
        if assignment.phase == "time":
            where += f" on {assignment.device}"
    else:
        from bench.registry.installed import protocol

        words = protocol(training.task.protocol).describe_task(training.task)
        where = f"{training.dataset} {words}"
    return f"{assignment.phase} {training.learner} {where} seed {training.seed}"


def details(progress: dict[str, Any]) -> str:
    """``update 120  loss 0.41  val 93.2 %  812 examples/s  3:20 left``, as far as known."""
    told = []
    if progress.get("updates") is not None:
        told.append(f"update {progress['updates']}")
    if progress.get("loss") is not None:
        told.append(f"loss {progress['loss']:.3f}")
    best = progress.get("val") or {}
    if best.get("value") is not None:
        percent = best["unit"] == "percent"
        told.append(
            f"val {best['value']:.1%}" if percent else f"val {best['value']:.3g} {best['heading']}"
        )
    if progress.get("rate") is not None:
        told.append(f"{progress['rate']:.0f} examples/s")
    if progress.get("seconds_left") is not None:
        minutes, seconds = divmod(int(progress["seconds_left"]), 60)
        told.append(f"{minutes}:{seconds:02d} left")
    return "  ".join(told)
