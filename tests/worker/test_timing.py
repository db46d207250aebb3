"""Phases: what is measured, how often, and what is left out."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from bench.api import Learner, SequenceLearner, TaskSpec
from bench.data.probes import Copy
from bench.episodes.banks import Bank, training_batch
from bench.episodes.classes import ClassPool
from bench.episodes.words import Purpose
from bench.protocols.kshot import EpisodePool
from bench.protocols.online import StreamPool
from bench.worker.devices import Device
from bench.worker.timing import REPEATS, WARM_UP, Stopwatch, measure, phase

CPU = Device.parse("cpu/1")
KSHOT = TaskSpec((1, 2, 2), ways=3, shots=1, queries=4, episodes_per_update=2)
ONLINE = TaskSpec((1, 2, 2), ways=3, protocol="online", length=6)
ADAPT, ANSWER = 4e-3, 1e-3


class Sleeper(Learner):
    """Takes 4 ms to adapt and 1 ms for each query."""

    family, contract = "test", 1

    @dataclass(frozen=True)
    class Config:
        pass

    def __init__(self, task: TaskSpec) -> None:
        super().__init__(self.Config(), task)
        self.weight = nn.Parameter(torch.ones(()))

    def adapt(self, support_x, support_y, ways):
        time.sleep(ADAPT)
        return {"ways": ways}

    def predict(self, state, query_x):
        time.sleep(ANSWER * query_x.shape[1])
        return self.weight * torch.zeros(*query_x.shape[:2], state["ways"])


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setattr("bench.worker.timing.SECONDS", 0.05)


def pool(kind: type[ClassPool] = EpisodePool) -> ClassPool:
    images = torch.zeros(50, 1, 2, 2, dtype=torch.uint8)
    return kind(images, np.arange(5) * 10, np.full(5, 10))


def bank(task: TaskSpec) -> Bank:
    kind = StreamPool if task.length else EpisodePool
    return Bank.drawn(pool(kind), task, 4, 0, Purpose.TEST)


def test_each_phase_of_the_kshot_protocol():
    watch = Stopwatch(Sleeper(KSHOT), CPU, "fp32")
    phases = watch.answers(bank(KSHOT))
    assert set(phases) == {"adapt", "first_answer", "further_query"}
    # sleeping takes a little longer than asked for, on a busy machine much
    assert ADAPT <= phases["adapt"].median < 10 * ADAPT
    assert phases["first_answer"].median >= ADAPT + ANSWER
    assert 0.5 * ANSWER < phases["further_query"].median < 10 * ANSWER
    for told in phases.values():
        assert told.low <= told.median <= told.high
        assert told.repeats >= REPEATS[0]


def test_the_online_protocol_has_a_step_too():
    phases = Stopwatch(Sleeper(ONLINE), CPU, "fp32").answers(bank(ONLINE))
    # five prefixes in a stream of six: five adaptations and answers
    assert phases["step"].median >= 5 / 6 * (ADAPT + ANSWER)


class Stepper(SequenceLearner):
    """Takes a millisecond a step."""

    family, contract = "test", 1
    Config = Sleeper.Config

    def __init__(self, task: TaskSpec) -> None:
        super().__init__(self.Config(), task)
        self.weight = nn.Parameter(torch.ones(()))

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 1)

    def step(self, state, z, label):
        time.sleep(ANSWER)
        return self.weight * torch.zeros(len(z), self.task.answer_size), state


def test_a_probe_has_steps_and_whole_sequences():
    task = TaskSpec((10,), ways=1, protocol="sequence", items=2, outputs=8, episodes_per_update=3)
    watch = Stopwatch(Stepper(task), CPU, "fp32")
    sequences = Bank.drawn(Copy(), task, 4, 0, Purpose.TEST)
    phases = watch.answers(sequences)
    assert set(phases) == {"step"}
    assert ANSWER <= phases["step"].median < 10 * ANSWER
    most = 4 / (6 * ANSWER)
    assert 0.1 * most < watch.throughput(sequences, 4) <= most
    phases = watch.meta_train(training_batch(Copy(), task, 0, 0), task.examples_per_update)
    assert phases["train_update"].median >= 6 * ANSWER
    assert phases["train_example"].median == pytest.approx(phases["train_update"].median / 3)


def test_throughput_counts_whole_episodes():
    throughput = Stopwatch(Sleeper(KSHOT), CPU, "fp32").throughput(bank(KSHOT), 4)
    most = 4 / (ADAPT + 12 * ANSWER)
    assert 0.1 * most < throughput <= most


def test_meta_training_per_update_and_per_image():
    batch = training_batch(pool(), KSHOT, 0, 0)
    phases = Stopwatch(Sleeper(KSHOT), CPU, "fp32").meta_train(batch, KSHOT.examples_per_update)
    assert phases["train_update"].median >= ADAPT + 12 * ANSWER
    per_image = phases["train_update"].median / (2 * 3 * 5)
    assert phases["train_example"].median == pytest.approx(per_image)


def test_warm_up_is_not_counted_and_repeats_are_bounded():
    calls = []

    def slow_at_first():
        calls.append(None)
        time.sleep(0.03 if len(calls) <= WARM_UP else 0)

    times = measure(slow_at_first, CPU)
    assert len(times) == REPEATS[1]
    assert len(calls) == WARM_UP + len(times)
    assert float(np.median(times)) < 0.01
    assert len(measure(lambda: time.sleep(0.02), CPU)) == REPEATS[0]
    assert len(measure(lambda: time.sleep(0.02), CPU, seconds=0.01)) < REPEATS[0]


def test_what_takes_longer_than_all_limits_is_called_twice():
    calls = []

    def slow():
        calls.append(None)
        time.sleep(0.02)

    assert len(measure(slow, CPU, seconds=0.001)) == 1
    assert len(calls) == 2


def test_a_phase_is_median_and_quartiles():
    told = phase([4.0, 1.0, 2.0, 3.0, 100.0], per=2)
    assert (told.low, told.median, told.high, told.repeats) == (1.0, 1.5, 2.0, 5)
