"""Regression (Finn et al. 2017, Section 5.1): the values of a function at new points, from few.

The first points are told with their values, the others are asked for. See
`bench.protocols.online_regression` for one point at a time.

Letters in shapes: ``B`` functions, ``S`` points to learn from, ``Q`` points that are asked for,
``E`` numbers of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import Tensor

from bench.api import Episodes, Learner, TaskSpec
from bench.data.functions import Family, Functions
from bench.protocols.answers import Answer, Timed
from bench.protocols.kshot import answering
from bench.protocols.numbers import OfNumbers, RegressionKeys, lines, said, tiny
from bench.protocols.settings import Setting


class RegressionSetting(Setting):
    """Functions from some number of points."""

    shots: int = Field(ge=1)
    """Points to learn from."""
    queries: int = Field(default=10, ge=1)
    """Points that are asked for."""


class Regression(OfNumbers[RegressionSetting, Functions]):
    """The protocol of regression."""

    name = "regression"
    description = "regression: the values of a function at new points, learned from few"
    setting = RegressionSetting
    keys = RegressionKeys
    view = "predict"
    inputs = ("support_x", "query_x")
    trained_for = "for regression"

    def describe(self, setting: RegressionSetting) -> str:
        """Points to learn from and to answer."""
        return f"{setting.shots} points, {setting.queries} asked for"

    def describe_task(self, task: TaskSpec) -> str:
        """``10 points``, ``3-46 points``."""
        low, high = task.shot_range
        return f"{low} points" if low == high else f"{low}-{high} points"

    def describe_keys(self, keys: Any) -> dict[str, str]:
        """The range of meta-training."""
        if keys.training_shots is None:
            return {"training": "as tested"}
        fewest, most = keys.training_shots
        return {"training": f"{fewest} to {most} points, one number per update"}

    # -- tasks ------------------------------------------------------------------------------------

    def task(
        self, setting: RegressionSetting, train: Family, test: Family, episodes_per_update: int
    ) -> TaskSpec:
        """See `Protocol.task`."""
        return TaskSpec(
            input_shape=test.input_shape,
            ways=1,
            shots=setting.shots,
            queries=setting.queries,
            protocol=self.name,
            outputs=test.outputs,
            episodes_per_update=episodes_per_update,
        )

    def shared(self, test: TaskSpec, keys: Any) -> TaskSpec:
        """One training for all settings where the suite states a range of points."""
        return test if keys.training_shots is None else test.but(shots=keys.training_shots)

    def validation_task(self, task: TaskSpec, pool: Family) -> TaskSpec:
        """Of a range of points the middle: neither few of them nor many decide alone."""
        return task.but(shots=sum(task.shot_range) // 2)

    # -- answers ----------------------------------------------------------------------------------

    def ask(self, learner: Learner, batch: Episodes) -> Answer:
        """The points with their values, then the queries without."""
        state = learner.adapt(batch.support_x, batch.support_y, batch.ways)
        return said("predict", learner.predict(state, batch.query_x), batch.query_y)

    def mark(self, logits: Tensor, batch: Functions) -> dict[str, Tensor]:
        """Each query has an error."""
        return self.judged(logits, batch.query_y, batch)

    # -- cost -------------------------------------------------------------------------------------

    def timed(self, learner: Learner, batch: Functions) -> Iterator[tuple[str, Timed]]:
        """Adaptation, the first answer, each further query."""
        yield from answering(learner, batch.support_x, batch.support_y, batch.query_x, batch.ways)

    # -- audits and checks ------------------------------------------------------------------------

    def relabelled(self, batch: Functions, shift: int) -> Functions:
        """Other values of the queries."""
        return replace(batch, query_y=batch.query_y + shift)

    def support(self, learner: type[Learner], batch: Functions) -> Functions:
        """It is one."""
        return batch

    def tiny_task(self, ways: int = 5) -> TaskSpec:
        """Straight lines through six points."""
        return tiny(self.name, shots=6, queries=4)

    def tiny_batch(self, task: TaskSpec, episodes: int, seed: int, training: bool) -> Functions:
        """See `bench.protocols.numbers.lines`."""
        shots = task.shot_range[0]
        x, y = lines(episodes, shots + task.queries, seed)
        return Functions(1, x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:])

    def usual_tasks(self) -> list[TaskSpec]:
        """That of Finn et al. 2017."""
        return [tiny(self.name, shots=10, queries=10)]

    def other_sizes(self) -> list[tuple[TaskSpec, int]]:
        """Fewer and more points and functions."""
        return [
            (self.tiny_task().but(shots=shots, queries=queries), episodes)
            for shots, queries, episodes in ((9, 1, 4), (1, 7, 1))
        ]
