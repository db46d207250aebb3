"""Regression online: each value is predicted before it is told.

Letters in shapes: ``B`` functions, ``T`` points of a stream, ``E`` numbers of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import Field
from torch import Tensor

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench.data.functions import Family, FunctionStream
from bench.protocols.answers import Answer, Scores, Timed
from bench.protocols.kshot import answering
from bench.protocols.numbers import OfNumbers, lines, said, tiny
from bench.protocols.regression import Regression
from bench.protocols.settings import Setting


class OnlineRegressionSetting(Setting):
    """A stream of points."""

    length: int = Field(ge=2)
    """Points in it (T)."""


class OnlineRegression(OfNumbers[OnlineRegressionSetting, FunctionStream]):
    """The online protocol of regression."""

    name = "online-regression"
    description = "regression one point at a time, each value predicted before it is told"
    setting = OnlineRegressionSetting
    view = "unroll"
    inputs = ("x",)
    in_time = True
    revealed = ("y",)
    trained_for = "for online regression"

    def describe(self, setting: OnlineRegressionSetting) -> str:
        """Points."""
        return f"{setting.length} points, one at a time"

    def describe_task(self, task: TaskSpec) -> str:
        """``20 points online``."""
        return f"{task.length} points online"

    # -- tasks ------------------------------------------------------------------------------------

    def task(
        self,
        setting: OnlineRegressionSetting,
        train: Family,
        test: Family,
        episodes_per_update: int,
    ) -> TaskSpec:
        """See `Protocol.task`."""
        return TaskSpec(
            input_shape=test.input_shape,
            ways=1,
            protocol=self.name,
            length=setting.length,
            outputs=test.outputs,
            episodes_per_update=episodes_per_update,
        )

    def check_task(self, task: TaskSpec) -> None:
        """Raises a `ValueError` for a task without steps."""
        if not task.online:
            raise ValueError(f"an online task needs a length, got {task.length}")

    # -- answers ----------------------------------------------------------------------------------

    def ask(self, learner: Learner, batch: Stream) -> Answer:
        """The whole stream: `unroll` promises to answer each step before it reads its value."""
        return said("unroll", learner.unroll(batch.x, batch.y, batch.ways), batch.y)

    def mark(self, logits: Tensor, batch: FunctionStream) -> dict[str, Tensor]:
        """Each step has an error."""
        return self.judged(logits, batch.y, batch)

    def scores(self, marks: Mapping[str, Tensor], task: TaskSpec) -> Scores:
        """Also the squared error at each step: (E, T)."""
        scores = super().scores(marks, task)
        by_step = marks["mse"].double().numpy()
        return replace(scores, values={**scores.values, "mse_by_step": by_step})

    # -- cost -------------------------------------------------------------------------------------

    def timed(self, learner: Learner, batch: FunctionStream) -> Iterator[tuple[str, Timed]]:
        """As in `Regression`, learning from all points but the last; and a step of `unroll`."""
        yield from answering(learner, batch.x[:, :-1], batch.y[:, :-1], batch.x, batch.ways)
        unroll = learner.unroll
        yield "step", Timed(lambda: unroll(batch.x, batch.y, batch.ways), per=batch.x.shape[1])

    # -- audits and checks ------------------------------------------------------------------------

    def relabelled(self, batch: FunctionStream, shift: int) -> FunctionStream:
        """Other values all along."""
        return replace(batch, y=batch.y + shift)

    def support(self, learner: type[Learner], batch: FunctionStream) -> Episodes | None:
        """The first half of a stream is one, the second asks; of a learner that is asked so in
        `Regression`."""
        if Regression.name not in learner.protocols:
            return None
        half = batch.y.shape[1] // 2
        first, second = slice(half), slice(half, None)
        return Episodes(
            1, batch.x[:, first], batch.y[:, first], batch.x[:, second], batch.y[:, second]
        )

    def tiny_task(self, ways: int = 5) -> TaskSpec:
        """Straight lines of eight points."""
        return tiny(self.name, length=8)

    def tiny_batch(
        self, task: TaskSpec, episodes: int, seed: int, training: bool
    ) -> FunctionStream:
        """See `bench.protocols.numbers.lines`."""
        return FunctionStream(1, *lines(episodes, task.length, seed))

    def usual_tasks(self) -> list[TaskSpec]:
        """A stream of 20 points."""
        return [tiny(self.name, length=20)]

    def other_sizes(self) -> list[tuple[TaskSpec, int]]:
        """Fewer and more points and functions."""
        return [(self.tiny_task().but(length=length), count) for length, count in ((3, 4), (12, 1))]
