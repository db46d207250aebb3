"""How long a plan will take, measured rather than guessed: two updates of each training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.apart.call import apart
from bench.planning.jobs import Cell, Plan, Training
from bench.worker.devices import Device

SECONDS = 300.0
"""So long may it take to measure a learner."""


def estimate_cells(
    plan: Plan, results: Path, device: Device, threads: int | None = None, *, here: bool = False
) -> list[dict[str, Any]]:
    """One row per cell: what it is, its status, and the seconds it still needs on that device.

    A training counts with the first of its cells, and so does compiling it, which is also told
    apart. Seconds are None where the learner fails. One seed is measured for all of them.

    Args:
        plan: has the cells.
        results: the results folder.
        device: where they are to be carried out.
        threads: CPU threads; None: those of the device.
        here: the learners are called in this process, else each in one of its own.
    """
    measure = seconds_of if here else apart(seconds_of, seconds=SECONDS)
    rows = []
    trained: set[str] = set()
    measured: dict[str, tuple[float, float, float] | None] = {}
    for cell in plan.cells:
        training, status = cell.training, cell.status(results)
        seconds: float | None = 0.0
        told: dict[str, float] = {"compiling": 0.0} if training.compiles else {}
        if status == "unfinished":
            like = _but_for_seed(cell)
            if like not in measured:
                try:
                    measured[like] = measure(training, cell, device, threads)
                except (Exception, SystemExit):  # a learner may raise anything; a run will say what
                    measured[like] = None
            seconds = None
            if taken := measured[like]:
                of_training, seconds, compiling = taken
                if training.id not in trained and training.status(results) == "unfinished":
                    seconds += of_training + compiling
                    told = {"compiling": round(compiling, 1)} if training.compiles else {}
        trained.add(training.id)
        rows.append(
            {
                "suite": cell.suite,
                "setting": cell.setting,
                "learner": training.learner,
                "seed": training.seed,
                "budget": training.budget_name,
                "training": training.id,
                "status": status,
                "seconds": None if seconds is None else round(seconds, 1),
                **told,
            }
        )
    return rows


def _but_for_seed(cell: Cell) -> str:
    """What cells share that take as long as each other."""
    training = cell.training.identity()
    del training["seed"]
    return json.dumps([cell.identity() | {"training": training}], sort_keys=True)


def seconds_of(
    training: Training, cell: Cell, device: Device, threads: int | None
) -> tuple[float, float, float]:
    """Seconds of a whole meta-training, of its meta-test on a cell, and of compiling, by what a
    part of them takes in this process."""
    from bench.running.trial import time_once, training_seconds

    device.use(threads)
    per_update, per_episode, compiling = time_once(training, cell, device)
    return training_seconds(training, per_update), per_episode * cell.episodes, compiling
