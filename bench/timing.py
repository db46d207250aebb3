"""What each phase costs on a device. Measured alone on it, in a pass of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bench.api import Episodes, Learner, Stream
from bench.environment import Device
from bench.episodes import Bank
from bench.evaluation import answer, autocast
from bench.records import Phase
from bench.training import make_optimizer, update

WARM_UP = 2
REPEATS = (5, 50)
"""At least and at most so many measurements of a phase ..."""
SECONDS = 2.0
"""... and no further ones after this time."""


def measure(function: Callable[[], object], device: Device) -> list[float]:
    """Seconds that each call took, warm-up excluded, the device synchronised around each."""
    for _ in range(WARM_UP):
        function()
    times: list[float] = []
    while len(times) < REPEATS[0] or (sum(times) < SECONDS and len(times) < REPEATS[1]):
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
    """

    learner: Learner
    device: Device
    precision: str

    def meta_train(self, batch: Episodes | Stream, images: int) -> dict[str, Phase]:
        """One update (loss, backward, optimizer step) on a ready batch, and its share per image.

        The weights change; time the other phases first.
        """
        self.learner.train()
        optimizer, _ = make_optimizer(self.learner, 1000)
        times = measure(lambda: update(self.learner, optimizer, batch, self.precision), self.device)
        return {"train_update": phase(times), "train_example": phase(times, images)}

    @torch.no_grad()
    def answers(self, bank: Bank) -> dict[str, Phase]:
        """Latency at B = 1: adaptation, the first answer (adapt and one query), each further query;
        online also a step of `unroll`. In the online protocol the support set is all but the last
        example."""
        self.learner.eval()
        batch = next(bank.batches(1))
        if isinstance(batch, Stream):
            x, y, queries = batch.x[:, :-1], batch.y[:, :-1], batch.x
        else:
            x, y, queries = batch.support_x, batch.support_y, batch.query_x
        learner, device, ways, count = self.learner, self.device, batch.ways, queries.shape[1]
        with autocast(device.torch, self.precision):
            state = learner.adapt(x, y, ways)
            phases = {
                "adapt": phase(measure(lambda: learner.adapt(x, y, ways), device)),
                "first_answer": phase(
                    measure(
                        lambda: learner.predict(learner.adapt(x, y, ways), queries[:, :1]), device
                    )
                ),
            }
            one = measure(lambda: learner.predict(state, queries[:, :1]), device)
            # a second query set that is only longer: what the further queries add
            every = measure(lambda: learner.predict(state, queries), device)
            repeats = min(len(one), len(every))
            added = np.sort(every)[:repeats] - np.sort(one)[:repeats]
            phases["further_query"] = phase(list(added.clip(min=0)), max(count - 1, 1))
            if isinstance(batch, Stream):
                times = measure(lambda: learner.unroll(batch.x, batch.y, ways), device)
                phases["step"] = phase(times, batch.x.shape[1])
        return phases

    @torch.no_grad()
    def throughput(self, bank: Bank, batch_size: int) -> float:
        """Episodes answered in full (adapt and all queries, or unroll) per second at that B; the
        bank has at least so many."""
        self.learner.eval()
        batch = next(bank.batches(batch_size))
        with autocast(self.device.torch, self.precision):
            times = measure(lambda: answer(self.learner, batch), self.device)
        return batch_size / phase(times).median


def peak_memory(device: Device) -> int:
    """Bytes: the most that torch had allocated on a GPU, or that this process had resident."""
    if device.kind == "cuda":
        return int(torch.cuda.max_memory_allocated(device.torch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
