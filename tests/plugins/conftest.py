"""Tiny tasks for the tests of single learners: those of `bench.testing`, with more patterns and a
third presentation."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from bench.api import Episodes, Learner, Protocol, Stream, TaskSpec
from bench.testing.subject import train
from bench.testing.tasks import draw, tiny_task

CLASSES = 30


def task(protocol: Protocol = "kshot", ways: int = 5) -> TaskSpec:
    """A task of 20x20 images; online, every class comes three times."""
    made = tiny_task(protocol, ways).but(classes=CLASSES)
    return made.but(length=3 * ways) if protocol == "online" else made


def episodes(
    ways: int = 5, shots: int = 1, queries: int = 2, batch: int = 4, seed: int = 1
) -> Episodes:
    """B k-shot episodes of 20x20 images."""
    drawn = draw(task("kshot", ways).but(shots=shots, queries=queries), batch, seed, training=True)
    assert isinstance(drawn, Episodes)
    return drawn


def stream(ways: int = 5, length: int = 15, batch: int = 4, seed: int = 1) -> Stream:
    """B online episodes of 20x20 images."""
    drawn = draw(task("online", ways).but(length=length), batch, seed, training=True)
    assert isinstance(drawn, Stream)
    return drawn


@torch.enable_grad()
def trained(learner: Learner, updates: int) -> float:
    """Meta-trains on tiny tasks; returns the mean loss of the last 20 updates."""
    losses = list(train(learner, updates))[-20:]
    learner.eval()
    return sum(losses) / len(losses)


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """``tiny.task``, ``tiny.episodes``, ``tiny.stream`` and ``tiny.train``, see above."""
    return SimpleNamespace(task=task, episodes=episodes, stream=stream, train=trained)
