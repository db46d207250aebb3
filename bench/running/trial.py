"""One update and one test episode of a learner, to know how long all of them will take."""

from __future__ import annotations

import time
from typing import Any

import torch

from bench.api import TaskSpec
from bench.planning.jobs import Cell, Training
from bench.protocols.answers import answer
from bench.registry.installed import protocol
from bench.worker.compiled import compiled_loss
from bench.worker.devices import Device
from bench.worker.evaluation import autocast
from bench.worker.loading import load_learner, training_source
from bench.worker.training_loop import planned_updates
from bench.worker.updates import make_optimizer, update

TEST_BATCH = 16


def training_seconds(training: Training, per_update: float) -> float:
    """Seconds of a whole meta-training, if it is not stopped early."""
    if training.budget is None:
        return 0.0
    if training.budget.minutes is not None:
        return 60 * training.budget.minutes
    return per_update * planned_updates(training.task, training.budget)


def time_once(training: Training, cell: Cell, device: Device) -> tuple[float, float, float]:
    """Seconds of one update and of one test episode, on random inputs, after one of each; and of
    compiling the update, less than in a first run where it lies in the cache."""
    learner, _ = load_learner(training, device)
    compiled = compiled_loss(training, learner)
    batch = any_batch(training, training.task).to(device.torch)
    test = any_batch(training, cell.task.but(episodes_per_update=TEST_BATCH)).to(device.torch)

    def train() -> None:
        if training.budget is not None:
            update(learner, optimizer, batch, training.precision, compiled)

    def test_once() -> None:
        with torch.no_grad(), autocast(device.torch, training.precision):
            answer(protocol(cell.task.protocol), learner, test)

    seconds = []
    if training.budget is not None:
        optimizer, _ = make_optimizer(learner, 1)
    for function in (train, test_once):
        learner.train(function is train)
        for _ in range(compiled.warm_up if compiled and function is train else 1):
            function()
        device.synchronise()
        started = time.perf_counter()
        function()
        device.synchronise()
        seconds.append(time.perf_counter() - started)
    compiling = compiled.seconds if compiled else 0.0
    return seconds[0], seconds[1] / TEST_BATCH, compiling


def any_batch(training: Training, task: TaskSpec) -> Any:
    """A batch of that task's shape, without reading the data."""
    source = training_source(training)
    return protocol(task.protocol).stand_in(source, task, training.seed)
