"""Tiny tasks: a class is a fixed pattern of 4x4 tiles, an example has some pixels flipped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from bench.api import Episodes, Learner, Stream, TaskSpec

SHAPE = (1, 20, 20)
CLASSES = 30
FLIPPED = 0.05


def _draw(batch: int, ways: int, per_class: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (batch, ways, per_class, 1, 20, 20), and the classes (batch, ways) they show."""
    tiles = torch.rand(CLASSES, 1, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    codes = tiles.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)  # (classes, 1, 20, 20)
    random = torch.Generator().manual_seed(seed)
    chosen = torch.rand(batch, CLASSES, generator=random).topk(ways).indices  # (B, N)
    images = codes[chosen][:, :, None].expand(-1, -1, per_class, *SHAPE)
    noise = torch.rand(images.shape, generator=random) < FLIPPED
    return (images ^ noise).float(), chosen


def _shuffled(images: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    batch, ways, per_class = images.shape[:3]
    y = torch.arange(ways).repeat_interleave(per_class).expand(batch, -1)
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(y.shape, generator=random).argsort(1)
    x = images.flatten(1, 2)[torch.arange(batch)[:, None], order]
    return x, y.gather(1, order)


def draw_episodes(
    ways: int = 5, shots: int = 1, queries: int = 2, batch: int = 4, seed: int = 1
) -> Episodes:
    """B k-shot episodes of 20x20 images."""
    images, classes = _draw(batch, ways, shots + queries, seed)
    support = _shuffled(images[:, :, :shots], seed)
    return Episodes(ways, *support, *_shuffled(images[:, :, shots:], seed + 1), classes)


def draw_stream(ways: int = 5, length: int = 15, batch: int = 4, seed: int = 1) -> Stream:
    """B online episodes of 20x20 images."""
    images, classes = _draw(batch, ways, length // ways, seed)
    return Stream(ways, *_shuffled(images, seed), classes)


@torch.enable_grad()
def train(learner: Learner, updates: int) -> tuple[float, float]:
    """Meta-trains on tiny tasks; returns the first loss and the mean of the last 20."""
    task = learner.task
    optimizer = learner.optimizer(updates)
    optimizer, schedule = optimizer if isinstance(optimizer, tuple) else (optimizer, None)
    losses = []
    learner.train()
    for update in range(updates):
        torch.manual_seed(update)
        seed = 1000 + 2 * update
        if task.protocol == "online":
            batch = draw_stream(task.ways, task.length, task.episodes_per_update, seed)
        else:
            shots = task.shot_range[0]
            batch = draw_episodes(task.ways, shots, task.queries, task.episodes_per_update, seed)
        loss = learner.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        if learner.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(learner.parameters(), learner.max_grad_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(loss.item())
    learner.eval()
    return losses[0], sum(losses[-20:]) / len(losses[-20:])


def tiny_task(protocol: str = "kshot", ways: int = 5) -> TaskSpec:
    """A task of 20x20 images; online, every class comes three times."""
    if protocol == "online":
        task = TaskSpec(SHAPE, ways, protocol="online", length=3 * ways, episodes_per_update=8)
    else:
        task = TaskSpec(SHAPE, ways, queries=2, episodes_per_update=8)
    return task.but(classes=CLASSES)


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """``tiny.task``, ``tiny.episodes``, ``tiny.stream`` and ``tiny.train``, see above."""
    return SimpleNamespace(task=tiny_task, episodes=draw_episodes, stream=draw_stream, train=train)
