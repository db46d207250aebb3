"""How long a plan will take, measured rather than guessed: two updates of each training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from bench.api import TaskSpec
from bench.planning.jobs import Cell, Training
from bench.planning.plan import Plan
from bench.protocols.answers import answer
from bench.registry.contestants import configure
from bench.registry.installed import learners, protocol
from bench.worker.devices import Device
from bench.worker.evaluation import autocast
from bench.worker.loading import training_source
from bench.worker.training_loop import build_learner, make_optimizer, planned_updates, update

TEST_BATCH = 16


def estimate_cells(
    plan: Plan, results: Path, device: Device, threads: int | None = None
) -> list[dict[str, Any]]:
    """One row per cell: what it is, its status, and the seconds it still needs on that device.

    A training counts with the first of its cells. Seconds are None where the learner fails.
    """
    device.use(threads)
    rows = []
    trained: set[str] = set()
    for cell in plan.cells:
        training, status = cell.training, cell.status(results)
        seconds: float | None = 0.0
        if status == "unfinished":
            try:
                per_update, per_episode = time_once(training, cell, device)
                seconds = per_episode * cell.episodes
                if training.id not in trained and training.status(results) == "unfinished":
                    seconds += training_seconds(training, per_update)
            except Exception:  # a learner may raise anything; running it will say what
                seconds = None
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
            }
        )
    return rows


def training_seconds(training: Training, per_update: float) -> float:
    """Seconds of a whole meta-training, if it is not stopped early."""
    if training.budget is None:
        return 0.0
    if training.budget.minutes is not None:
        return 60 * training.budget.minutes
    return per_update * planned_updates(training.task, training.budget)


def time_once(training: Training, cell: Cell, device: Device) -> tuple[float, float]:
    """Seconds of one update and of one test episode, on random inputs, after one of each."""
    plugin = learners().get(training.learner_name)
    config = configure(training.learner_name, plugin, training.config).config
    learner = build_learner(training, plugin, config).to(device.torch)
    batch = any_batch(training, training.task).to(device.torch)
    test = any_batch(training, cell.task.but(episodes_per_update=TEST_BATCH)).to(device.torch)

    def train() -> None:
        if training.budget is not None:
            update(learner, optimizer, batch, training.precision)

    def test_once() -> None:
        with torch.no_grad(), autocast(device.torch, training.precision):
            answer(protocol(cell.task.protocol), learner, test)

    seconds = []
    if training.budget is not None:
        optimizer, _ = make_optimizer(learner, 1)
    for function in (train, test_once):
        learner.train(function is train)
        function()
        device.synchronise()
        started = time.perf_counter()
        function()
        device.synchronise()
        seconds.append(time.perf_counter() - started)
    return seconds[0], seconds[1] / TEST_BATCH


def any_batch(training: Training, task: TaskSpec) -> Any:
    """A batch of that task's shape, without reading the data."""
    source = training_source(training)
    return protocol(task.protocol).stand_in(source, task, training.seed)
