"""What each phase costs on a device. Measured alone on it, in a pass of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench.api import Learner
from bench.api.executor import Progress
from bench.episodes.banks import Bank, training_batch, typical
from bench.protocols.answers import answer
from bench.store.atomic import write_json
from bench.store.records import Phase, TimingResult
from bench.worker.assignment import Assignment
from bench.worker.captured import CapturedLoss
from bench.worker.compiled import CompiledLoss, compiled_loss
from bench.worker.devices import Device
from bench.worker.environment import environment, now
from bench.worker.evaluation import autocast, fitting, protocol_of
from bench.worker.loading import cell_of, load_bank, load_learner, load_pool, load_weights
from bench.worker.memory import Peak
from bench.worker.one_model import hold_model
from bench.worker.training_loop import examples
from bench.worker.updates import make_optimizer, update

SMOKE_SECONDS, SMOKE_BATCH = 0.2, 4
"""A smoke run shows that all works: no phase is timed for longer, no batch is larger."""


def time_phase(assignment: Assignment, device: Device, progress: Progress) -> None:
    cell, training = cell_of(assignment), assignment.training
    hold_model(assignment.results, device)
    learner, source = load_learner(training, device, assignment.source)
    load_weights(learner, training, assignment.results)
    bank = load_bank(cell, assignment.folders).to(device.torch)
    smoke = training.budget_name == "smoke"
    compiled = compiled_loss(training, learner)
    seconds = SMOKE_SECONDS if smoke else None
    watch, peak = Stopwatch(learner, device, training.precision, seconds, compiled), Peak(device)
    progress({"fraction": 0.1})
    with peak.watched():
        phases = watch.answers(bank)
        progress({"fraction": 0.4})
        wanted = SMOKE_BATCH if smoke else cell.timing_batch
        together = min(fitting(bank.task, wanted), len(bank))
        throughput = watch.throughput(bank, together)
    progress({"fraction": 0.7})
    if training.budget is not None:
        pool = load_pool(training, "train", training.train_rotations, assignment.folders)
        task = typical(training.task)
        batch = training_batch(pool.to(device.torch), task, training.seed, 0)
        with peak.watched():
            phases |= watch.meta_train(batch, examples(task, training.seed, 0))
    result = TimingResult(
        device=device.name,
        phases=phases,
        throughput_batch=together,
        throughput=throughput,
        memory=peak.bytes,
        environment=environment(device),
        source=source,
        finished=now(),
    )
    write_json(assignment.output, result)


WARM_UP = 2


REPEATS = (5, 50)
"""At least and at most so many measurements of a phase ..."""


SECONDS = 2.0
"""... and no further ones after this time."""


PATIENCE = 5
"""After so many times `SECONDS` fewer measurements have to do: one at least."""


def measure(
    function: Callable[[], object], device: Device, seconds: float | None = None
) -> list[float]:
    """Seconds that each call took, warm-up excluded, the device synchronised around each."""
    limit = SECONDS if seconds is None else seconds
    for _ in range(WARM_UP):
        started = time.perf_counter()
        function()
        device.synchronise()
        if time.perf_counter() - started > limit:
            break
    times: list[float] = []
    while (
        not times
        or (len(times) < REPEATS[0] and sum(times) < PATIENCE * limit)
        or (len(times) < REPEATS[1] and sum(times) < limit)
    ):
        device.synchronise()
        started = time.perf_counter()
        function()
        device.synchronise()
        times.append(time.perf_counter() - started)
    return times


def phase(times: list[float], per: float = 1.0) -> Phase:
    """Median and quartiles of some times, each divided by `per`."""
    low, median, high = np.quantile(np.asarray(times) / per, [0.25, 0.5, 0.75])
    return Phase(median=float(median), low=float(low), high=float(high), repeats=len(times))


@dataclass
class Stopwatch:
    """Times one learner on one device.

    Args:
        learner: with its meta-trained weights, on the device.
        device: the device.
        precision: ``fp32`` or ``bf16``.
        seconds: after so long a phase is measured no further; None: after `SECONDS`.
        compiled: its compiled loss, if its updates are compiled ones.
    """

    learner: Learner
    device: Device
    precision: str
    seconds: float | None = None
    compiled: CompiledLoss | CapturedLoss | None = None

    def meta_train(self, batch: Any, images: int) -> dict[str, Phase]:
        """One update (loss, backward, optimizer step) on a ready batch, and its share per image
        (of memory probes: per sequence).

        The weights change; time the other phases first.
        """
        self.learner.train()
        optimizer, _ = make_optimizer(self.learner, 1000)
        times = self._measure(
            lambda: update(self.learner, optimizer, batch, self.precision, self.compiled)
        )
        return {"train_update": phase(times), "train_example": phase(times, images)}

    @torch.no_grad()
    def answers(self, bank: Bank) -> dict[str, Phase]:
        """Latency at B = 1 of what the protocol lists, see `bench.protocols.base.Protocol.timed`;
        of what goes beyond something else the difference, in the order of their lengths."""
        self.learner.eval()
        batch, phases = next(bank.batches(1)), {}
        with autocast(self.device.torch, self.precision):
            for name, timed in protocol_of(bank).timed(self.learner, batch):
                times = self._measure(timed.call)
                if timed.beyond is not None:
                    less = self._measure(timed.beyond)
                    repeats = min(len(times), len(less))
                    added = np.sort(times)[:repeats] - np.sort(less)[:repeats]
                    times = list(added.clip(min=0))
                phases[name] = phase(times, timed.per)
        return phases

    @torch.no_grad()
    def throughput(self, bank: Bank, batch_size: int) -> float:
        """Episodes answered in full per second at that B; the bank has at least so many."""
        self.learner.eval()
        batch = next(bank.batches(batch_size))
        with autocast(self.device.torch, self.precision):
            own = protocol_of(bank)
            times = self._measure(lambda: answer(own, self.learner, batch))
        return batch_size / phase(times).median

    def _measure(self, function: Callable[[], object]) -> list[float]:
        return measure(function, self.device, self.seconds)
