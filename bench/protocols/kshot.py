"""N-way K-shot (Vinyals et al. 2016): learn from a labelled support set, answer queries.

Letters in shapes: ``B`` episodes, ``Q`` queries of an episode, ``N`` ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from bench.api import Episodes, Learner, TaskSpec
from bench.episodes.classes import ClassPool, Draw
from bench.protocols.answers import Answer, Timed
from bench.protocols.classification import chosen, judged
from bench.protocols.images import (
    AUDIT_WAYS,
    INPUT_SHAPE,
    PATTERNS,
    ImageProtocol,
    random_classes,
    random_images,
    shuffled,
    tiny_images,
)
from bench.protocols.settings import Setting

AUDIT_QUERIES = 2
"""Per class, that an audited task is cut down to."""


class KShotSetting(Setting):
    """N-way, K-shot."""

    ways: int = Field(ge=2)
    shots: int = Field(ge=1)
    queries: int = Field(default=15, ge=1)
    """Query images per class."""


class EpisodePool(ClassPool):
    """Classes that k-shot episodes are drawn from."""

    def per_class(self, task: TaskSpec) -> tuple[int, int]:
        """Support and query images of a class."""
        return task.shot_range[0], task.queries

    def build(self, task: TaskSpec, draw: Draw, classes: bool = False) -> Episodes:
        """See `bench.episodes.pools.Pool.build`."""
        support_x, query_x = self.gather(draw.support, draw.query)
        return Episodes(
            task.ways,
            support_x,
            self.tensor(draw.support_y),
            query_x,
            self.tensor(draw.query_y),
            self.tensor(draw.classes) if classes else None,
        )


class KShot(ImageProtocol[KShotSetting, Episodes]):
    """The k-shot protocol."""

    name = "kshot"
    description = "N-way K-shot: learn from a labelled support set, answer queries"
    setting = KShotSetting
    classes = EpisodePool
    view = "predict"
    inputs = ("support_x", "query_x")
    trained_for = "k-shot"

    def describe(self, setting: KShotSetting) -> str:
        """Ways, shots and queries."""
        return f"{setting.ways}-way, {setting.shots}-shot, {setting.queries} queries per class"

    def describe_task(self, task: TaskSpec) -> str:
        """``5-way 1-shot``, ``20-way 1-5-shot``."""
        low, high = task.shot_range
        return f"{task.ways}-way " + (f"{low}-shot" if low == high else f"{low}-{high}-shot")

    def ways(self, setting: KShotSetting) -> int:
        """Classes of an episode."""
        return setting.ways

    def images_per_class(self, setting: KShotSetting) -> int:
        """Support and query images."""
        return setting.shots + setting.queries

    # -- tasks ------------------------------------------------------------------------------------

    def task(
        self, setting: KShotSetting, train: ClassPool, test: ClassPool, episodes_per_update: int
    ) -> TaskSpec:
        """See `Protocol.task`."""
        return TaskSpec(
            input_shape=test.input_shape,
            ways=setting.ways,
            shots=setting.shots,
            queries=setting.queries,
            protocol=self.name,
            episodes_per_update=episodes_per_update,
            classes=len(train),
        )

    def cut_down(self, asked: TaskSpec, train: ClassPool, val: ClassPool) -> TaskSpec:
        """To the classes that meta-training has, and to the images of a class that it and
        meta-validation have: first fewer queries, then fewer shots."""
        most = int(min(train.counts.min(), val.counts.min()))
        low, high = (max(1, min(shots, most - 1)) for shots in asked.shot_range)
        return asked.but(
            ways=min(asked.ways, len(train)),
            classes=len(train),
            shots=(low, high) if isinstance(asked.shots, tuple) else high,
            queries=max(1, min(asked.queries, most - high)),
        )

    def examples(self, task: TaskSpec) -> int:
        """Images, support and query."""
        return task.ways * (task.shot_range[1] + task.queries)

    # -- answers ----------------------------------------------------------------------------------

    def ask(self, learner: Learner, batch: Episodes) -> Answer:
        """The support set with its labels, then the queries without."""
        state = learner.adapt(batch.support_x, batch.support_y, batch.ways)
        expected = (*batch.query_y.shape, batch.ways)
        logits = learner.predict(state, batch.query_x)
        return Answer("predict", logits, expected, "(episodes, answers, ways)")

    def mark(self, logits: Tensor, batch: Episodes) -> dict[str, Tensor]:
        """Each query is right or wrong."""
        return judged(logits, batch.query_y)

    def kept(self, logits: Tensor, batch: Episodes) -> dict[str, Tensor]:
        """The answer to each query."""
        return chosen(logits, batch.query_y)

    def shown(self, batch: Episodes) -> dict[str, Tensor]:
        """The support set and the queries."""
        return {
            "support_x": batch.support_x,
            "support_y": batch.support_y,
            "query_x": batch.query_x,
        }

    # -- cost -------------------------------------------------------------------------------------

    def timed(self, learner: Learner, batch: Episodes) -> Iterator[tuple[str, Timed]]:
        """Adaptation, the first answer, each further query."""
        yield from answering(learner, batch.support_x, batch.support_y, batch.query_x, batch.ways)

    def stand_in(self, source: Any, task: TaskSpec, seed: int) -> Episodes:
        """Random images."""
        support = random_images(task, task.shot_range[1])
        queries = random_images(task, task.queries)
        return Episodes(task.ways, *support, *queries, random_classes(task))

    # -- audits and checks ------------------------------------------------------------------------

    def audit_task(
        self, task: TaskSpec, pool: ClassPool, learner: type[Learner]
    ) -> tuple[TaskSpec, int]:
        """Few ways and queries; of a range of shots the middle."""
        task = task.but(
            ways=min(task.ways, len(pool), AUDIT_WAYS),
            shots=sum(task.shot_range) // 2,
            queries=min(task.queries, AUDIT_QUERIES),
        )
        return task, pool.inputs(task)

    def relabelled(self, batch: Episodes, shift: int) -> Episodes:
        """Other labels of the queries."""
        return replace(batch, query_y=(batch.query_y + shift) % batch.ways)

    def support(self, learner: type[Learner], batch: Episodes) -> Episodes:
        """It is one."""
        return batch

    def knowable(self, batch: Episodes) -> tuple[Tensor, Tensor]:
        """All queries are of classes that the support set has."""
        return batch.query_y, torch.ones_like(batch.query_y, dtype=torch.bool)

    def tiny_task(self, ways: int = 5) -> TaskSpec:
        """1-shot with two queries per class."""
        return TaskSpec(
            INPUT_SHAPE, ways, queries=2, episodes_per_update=8, classes=PATTERNS,
            protocol=self.name,
        )  # fmt: skip

    def tiny_batch(self, task: TaskSpec, episodes: int, seed: int, training: bool) -> Episodes:
        """Episodes of random patterns."""
        random, shots = torch.Generator().manual_seed(seed), task.shot_range[0]
        images, chosen = tiny_images(task, shots + task.queries, episodes, random)
        support = shuffled(images[:, :, :shots], random)
        queries = shuffled(images[:, :, shots:], random)
        return Episodes(task.ways, *support, *queries, chosen if training else None)

    def usual_tasks(self) -> list[TaskSpec]:
        """Omniglot's (Vinyals et al. 2016, Section 4.1)."""
        image = (1, 28, 28)
        return [
            TaskSpec(image, ways, shots, classes=1000, protocol=self.name)
            for ways, shots in ((5, 1), (20, 5))
        ]

    def other_sizes(self) -> list[tuple[TaskSpec, int]]:
        """Fewer ways, more and fewer shots, queries and episodes."""
        return [
            (self.tiny_task(ways).but(shots=shots, queries=queries), episodes)
            for ways, shots, queries, episodes in ((2, 3, 1, 4), (3, 1, 7, 1))
        ]


def answering(
    learner: Learner, x: Tensor, y: Tensor, queries: Tensor, ways: int
) -> Iterator[tuple[str, Timed]]:
    """The phases of `adapt` and `predict`: adaptation; the first answer, which is adaptation and
    one query; each further query, by what a second query set takes that is only longer.

    Args:
        learner: in ``eval()``.
        x: (1, S, *input_shape), with the labels y (1, S).
        queries: (1, Q, *input_shape).
        ways: N.
    """
    state, first = learner.adapt(x, y, ways), queries[:, :1]
    yield "adapt", Timed(lambda: learner.adapt(x, y, ways))
    yield "first_answer", Timed(lambda: learner.predict(learner.adapt(x, y, ways), first))
    further = max(queries.shape[1] - 1, 1)
    yield (
        "further_query",
        Timed(
            lambda: learner.predict(state, queries),
            per=further,
            beyond=lambda: learner.predict(state, first),
        ),
    )
