"""Random images in classes, as many as Omniglot has in meta-training, and what is asked of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from bench.api import Learner, TaskSpec
from bench.api.dataset import ImageClasses
from bench.episodes.classes import class_pool
from bench.episodes.words import Purpose
from bench.planning.plan import choose_suites, training_task
from bench.protocols.kshot import EpisodePool
from bench.registry.contestants import Contestant, contestants
from bench.registry.installed import learners, protocol

CLASSES, PER_CLASS = 1028, 20
"""Of the meta-training split of Vinyals et al. 2016, without rotations."""
SUITE, SETTING = "omniglot-5way", "5way1shot"


@cache
def characters(side: int = 28, classes: int = CLASSES) -> ImageClasses:
    """Noise: what costs time is its size."""
    random = torch.Generator().manual_seed(0)
    shape = (classes * PER_CLASS, 1, side, side)
    images = torch.randint(256, shape, generator=random, dtype=torch.uint8)
    names = tuple(f"class {number}" for number in range(classes))
    counts = np.full(classes, PER_CLASS)
    return ImageClasses(
        "noise", images, np.arange(classes) * PER_CLASS, counts, names, names, "noise"
    )


def episode_pool(
    device: torch.device, side: int = 28, classes: int = CLASSES, rotations: bool = True
) -> EpisodePool:
    """What k-shot episodes are drawn from, on a device."""
    data = characters(side, classes)
    return class_pool(data, np.arange(classes), rotations, EpisodePool).to(device)


def learner_names() -> list[str]:
    """All that are installed, whether they can be used or not."""
    return sorted(learners().names)


def planned(name: str, pool: EpisodePool) -> tuple[Contestant, TaskSpec]:
    """A learner by default, and what it is meta-trained on for 5-way 1-shot Omniglot.

    Raises:
        BenchError: it is not there, or lacks what it needs.
    """
    [suite] = choose_suites([SUITE])
    installed = learners(name)
    installed.get(name)
    [contestant] = contestants([name], installed)
    contestant = contestant.within(suite.protocol)
    own = protocol(suite.protocol)
    task = own.task(suite.settings[SETTING], pool, pool, suite.episodes_per_update)
    return contestant, training_task(contestant, task, pool, pool)


def built(contestant: Contestant, task: TaskSpec, device: torch.device) -> Learner:
    """A learner that is meta-training, always with the same weights."""
    torch.manual_seed(0)
    return contestant.learner(contestant.config, task).to(device).train()


def typical_batch(pool: EpisodePool, task: TaskSpec) -> tuple[TaskSpec, object]:
    """The task of an update with the middle of its range of shots, and such a batch."""
    task = task.but(shots=sum(task.shot_range) // 2)
    draw = pool.draw(task, task.episodes_per_update, 0, Purpose.TRAIN)
    return task, pool.build(task, draw, classes=True)
