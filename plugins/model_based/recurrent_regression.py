"""What the step-wise learners of this folder that also take part in regression have in common.

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065, Section 4.3: a function's values, predicted with how
    sure the network is of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from bench.api import (
    Episodes,
    Protocol,
    Sequences,
    Stream,
    TaskSpec,
    answer_loss,
    in_regression,
)
from bench.nn import embed_together
from bench_plugins.model_based.recurrent_learner import RecurrentLearner


class RecurrentRegressor(RecurrentLearner):
    """A `RecurrentLearner` of labels and of numbers; see `bench.api.SequenceLearner`."""

    contract = 2
    protocols: ClassVar[tuple[Protocol, ...]] = (
        "kshot", "online", "sequence", "regression", "online-regression",
    )  # fmt: skip
    protocol_defaults: ClassVar[Mapping[Protocol, Mapping[str, Any]]] = in_regression(
        encoder="mlp", episodes_per_update=16, lr=1e-3
    )

    def loss(self, batch: Episodes | Stream | Sequences) -> Tensor:
        """Of numbers the negative log-likelihood."""
        if not (self.task.regression and isinstance(batch, Episodes)):
            return super().loss(batch)
        support, query = embed_together(self.encode, batch)  # (B, S, D), (B, Q, D)
        state = self.remember(batch.support_x, support, batch.support_y, batch.ways)
        return answer_loss(self.answer(state, query), batch.query_y)

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """In regression as tested."""
        if task.protocol == "regression":
            return task.but(episodes_per_update=config.episodes_per_update)
        return super().training_task(config, task)
