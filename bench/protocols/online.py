"""Online (Santoro et al. 2016, Section 2.2): each example is answered before its label is given.

Letters in shapes: ``B`` episodes, ``T`` time steps, ``N`` ways, ``K`` presentations of a class,
``E`` episodes of a bank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench.episodes.classes import ClassPool, Draw
from bench.protocols.answers import Answer, Summary, Timed, interval
from bench.protocols.classification import Classified, chosen, judged
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
from bench.protocols.kshot import KShot, answering
from bench.protocols.settings import Setting
from bench.statistics.intervals import LEAK_P, first_presentation_ceiling, first_presentation_p

AUDIT_PRESENTATIONS = 2
"""That an audited task is cut down to where a learner conditions on every prefix."""


class OnlineSetting(Setting):
    """A stream that presents each of its classes equally often."""

    ways: int = Field(ge=2)
    presentations: int = Field(ge=1)
    """How often each class is presented."""


class StreamPool(ClassPool):
    """Classes that streams are drawn from."""

    def per_class(self, task: TaskSpec) -> tuple[int, int]:
        """All images of a class are presented, none is a query."""
        return task.presentations, 0

    def build(self, task: TaskSpec, draw: Draw, classes: bool = False) -> Stream:
        """See `bench.episodes.pools.Pool.build`."""
        [images] = self.gather(draw.support)
        return Stream(
            task.ways,
            images,
            self.tensor(draw.support_y),
            self.tensor(draw.classes) if classes else None,
        )


class Online(ImageProtocol[OnlineSetting, Stream]):
    """The online protocol."""

    name = "online"
    description = "examples one at a time, each answered before its label is given"
    setting = OnlineSetting
    classes = StreamPool
    view = "unroll"
    inputs = ("x",)
    in_time = True
    trained_for = "online"
    revealed = ("y",)

    def describe(self, setting: OnlineSetting) -> str:
        """Ways and presentations."""
        return f"{setting.ways}-way, each class presented {setting.presentations} times"

    def describe_task(self, task: TaskSpec) -> str:
        """``5-way online, 50 steps``."""
        return f"{task.ways}-way online, {task.length} steps"

    def ways(self, setting: OnlineSetting) -> int:
        """Classes of an episode."""
        return setting.ways

    def images_per_class(self, setting: OnlineSetting) -> int:
        """One for each presentation."""
        return setting.presentations

    # -- tasks ------------------------------------------------------------------------------------

    def task(
        self, setting: OnlineSetting, train: ClassPool, test: ClassPool, episodes_per_update: int
    ) -> TaskSpec:
        """See `Protocol.task`."""
        return TaskSpec(
            input_shape=test.input_shape,
            ways=setting.ways,
            protocol=self.name,
            length=setting.ways * setting.presentations,
            episodes_per_update=episodes_per_update,
            classes=len(train),
        )

    def cut_down(self, asked: TaskSpec, train: ClassPool, val: ClassPool) -> TaskSpec:
        """To the classes that meta-training has, as often presented as it and meta-validation have
        images."""
        most = int(min(train.counts.min(), val.counts.min()))
        ways = min(asked.ways, len(train))
        length = min(asked.presentations, most) * ways
        return asked.but(ways=ways, classes=len(train), length=length)

    def validation_task(self, task: TaskSpec, pool: ClassPool) -> TaskSpec:
        """As many ways as there are classes, each as often presented."""
        ways = min(task.ways, len(pool))
        return task.but(ways=ways, length=ways * task.presentations)

    def check_task(self, task: TaskSpec) -> None:
        """Raises a `ValueError` for a task without steps."""
        if task.length < 1:
            raise ValueError(f"an online task needs a length, got {task.length}")

    def examples(self, task: TaskSpec) -> int:
        """Images."""
        return task.length

    # -- answers ----------------------------------------------------------------------------------

    def ask(self, learner: Learner, batch: Stream) -> Answer:
        """The whole stream: `unroll` promises to answer each step before it reads its label."""
        expected = (*batch.y.shape, batch.ways)
        logits = learner.unroll(batch.x, batch.y, batch.ways)
        return Answer("unroll", logits, expected, "(episodes, answers, ways)")

    def mark(self, logits: Tensor, batch: Stream) -> dict[str, Tensor]:
        """Each step is right or wrong, and some presentation of its class."""
        times = presentation(batch.y, batch.ways)
        return {**judged(logits, batch.y), "presentation": times}

    def scores(self, marks: Mapping[str, Tensor], task: TaskSpec) -> Classified:
        """Those of all steps, and the accuracy at each presentation."""
        scores = super().scores(marks, task)
        columns = by_presentation(marks["correct"], marks["presentation"], task.presentations)
        return replace(scores, values={**scores.values, "by_presentation": columns.numpy()})

    def summarise(self, scores: Classified, task: TaskSpec) -> Summary:
        """Also the accuracy at each presentation, the ceiling at the first, and a warning where it
        is exceeded."""
        summary, columns = super().summarise(scores, task), scores.by_presentation
        assert columns is not None, "made by scores"
        ceiling, first = first_presentation_ceiling(task.ways), columns[:, 0]
        p, warnings = first_presentation_p(first, task.ways), list(summary.warnings)
        if p < LEAK_P:
            warnings.append(
                f"LEAK: {first.mean():.1%} at the first presentation, and an honest learner cannot "
                f"be above {ceiling:.1%} (p = {p:.1e}): it sees labels that it should not"
            )
        curve = [interval(column) for column in columns.T]
        fields = {**summary.fields, "by_presentation": curve, "ceiling": ceiling}
        return Summary(summary.metrics, fields, warnings)

    def kept(self, logits: Tensor, batch: Stream) -> dict[str, Tensor]:
        """The answer at each step."""
        return chosen(logits, batch.y)

    def shown(self, batch: Stream) -> dict[str, Tensor]:
        """The stream; there is no support set."""
        return {"support_x": batch.x[:, :0], "support_y": batch.y[:, :0], "query_x": batch.x}

    # -- cost -------------------------------------------------------------------------------------

    def timed(self, learner: Learner, batch: Stream) -> Iterator[tuple[str, Timed]]:
        """As k-shot, the support set being all but the last example; and a step of `unroll`."""
        x, y = batch.x[:, :-1], batch.y[:, :-1]
        yield from answering(learner, x, y, batch.x, batch.ways)
        unroll = learner.unroll
        yield "step", Timed(lambda: unroll(batch.x, batch.y, batch.ways), per=batch.x.shape[1])

    def stand_in(self, source: Any, task: TaskSpec, seed: int) -> Stream:
        """Random images."""
        return Stream(task.ways, *random_images(task, task.presentations), random_classes(task))

    # -- audits and checks ------------------------------------------------------------------------

    def audit_task(
        self, task: TaskSpec, pool: ClassPool, learner: type[Learner]
    ) -> tuple[TaskSpec, int]:
        """Few ways, and of a learner that conditions on every prefix few presentations."""
        ways = min(task.ways, len(pool), AUDIT_WAYS)
        if learner.unroll is Learner.unroll:  # T (T - 1) / 2 images, and as many times what adapts
            length = ways * min(task.presentations, AUDIT_PRESENTATIONS)
            return task.but(ways=ways, length=length), max(1, length * (length - 1) // 2)
        length = ways * task.presentations
        return task.but(ways=ways, length=length), length

    def relabelled(self, batch: Stream, shift: int) -> Stream:
        """Other labels all along."""
        return replace(batch, y=(batch.y + shift) % batch.ways)

    def support(self, learner: type[Learner], batch: Stream) -> Episodes | None:
        """The first half of a stream is one, the second asks; of a learner with a k-shot view."""
        if KShot.name not in learner.protocols:
            return None
        half = batch.y.shape[1] // 2
        first, second = slice(half), slice(half, None)
        return Episodes(
            batch.ways,
            batch.x[:, first],
            batch.y[:, first],
            batch.x[:, second],
            batch.y[:, second],
        )

    def knowable(self, batch: Stream) -> tuple[Tensor, Tensor]:
        """Steps whose class was presented before."""
        return batch.y, (batch.y[:, :, None] == batch.y[:, None]).tril(-1).any(2)  # (B, T)

    def tiny_task(self, ways: int = 5) -> TaskSpec:
        """Two presentations of a class."""
        return TaskSpec(
            INPUT_SHAPE, ways, queries=2, length=2 * ways, episodes_per_update=8, classes=PATTERNS,
            protocol=self.name,
        )  # fmt: skip

    def tiny_batch(self, task: TaskSpec, episodes: int, seed: int, training: bool) -> Stream:
        """Streams of random patterns."""
        random = torch.Generator().manual_seed(seed)
        images, chosen = tiny_images(task, task.presentations, episodes, random)
        return Stream(task.ways, *shuffled(images, random), chosen if training else None)

    def usual_tasks(self) -> list[TaskSpec]:
        """Omniglot's (Santoro et al. 2016, Section 4.1), with 15 classes."""
        return [TaskSpec((1, 28, 28), 15, length=150, classes=1000, protocol=self.name)]

    def other_sizes(self) -> list[tuple[TaskSpec, int]]:
        """Fewer ways, more and fewer presentations and episodes."""
        return [
            (self.tiny_task(ways).but(length=ways * times), episodes)
            for ways, times, episodes in ((2, 3, 4), (3, 1, 1))
        ]


def presentation(y: Tensor, ways: int) -> Tensor:
    """How often the class of each step was presented before that step.

    Args:
        y: (B, T) labels in [0, ways).
        ways: classes.

    Returns:
        (B, T) int64: 0 at the first presentation of a class, 1 at the second, ...
    """
    member = torch.nn.functional.one_hot(y, ways)  # (B, T, N)
    return (member.cumsum(1) - 1).gather(2, y[..., None])[..., 0]


def by_presentation(correct: Tensor, times: Tensor, presentations: int) -> Tensor:
    """(E, T) to (E, K): per episode, the accuracy at each presentation; each occurs N times."""
    sums = torch.zeros(len(correct), presentations, dtype=torch.float64)
    sums.scatter_add_(1, times, correct.double())
    return sums / (correct.shape[1] // presentations)
