"""What the learners of this folder that read an episode step by step have in common: how they see
images, and how they are meta-trained.

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065, Section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, MetaOptimizer, SequenceLearner, Sequences, Stream, TaskSpec, option
from bench.nn import Conv4, EncoderName, Schedule, Standardised, embed_together, encoder, scheduled

PAPER: Mapping[str, Any] = {
    "encoder": "pixels",
    "offset_labels": True,
    "max_shots": None,
    "training_queries": 1,
    "episodes_per_update": 16,
    "optimizer": "rmsprop",
    "lr": 1e-4,
    "schedule": "constant",
}
"""Section 4.1, of every learner that the paper compares; it knows no k-shot episodes, and they are
read as its streams are."""


class RecurrentLearner(SequenceLearner):
    """A step-wise learner with the options below."""

    @dataclass(frozen=True)
    class Config:
        """Options of every recurrent learner."""

        encoder: EncoderName = option("conv4", "What the controller sees: conv4, or pixels.")
        filters: int = option(64, "Filters of the encoder's convolutions.")
        offset_labels: bool = option(
            False, "k-shot: a label comes with the image after its own, as online."
        )
        max_shots: int | None = option(
            5, "k-shot training has 1 to this many shots, drawn per update; none: as tested."
        )
        training_queries: int | None = option(
            3, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(8, "k-shot episodes in a meta-training update.")
        streams_per_update: int = option(16, "Streams, or memory probes, in an update.")
        optimizer: Literal["adam", "rmsprop"] = option("adam", "adam, or rmsprop with momentum.")
        lr: float = option(3e-3, "Learning rate at the start.")
        schedule: Schedule = option("linear", "How the learning rate falls over the budget.")
        max_grad_norm: float | None = option(
            10.0, "Norm that the gradient is clipped to; none: never."
        )

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm

    @property
    def offset_labels(self) -> bool:
        """See `SequenceLearner.offset_labels`."""
        return self.config.offset_labels or super().offset_labels

    def loss(self, batch: Episodes | Stream | Sequences) -> Tensor:
        """Of k-shot episodes the cross-entropy of the queries, encoded with the support set."""
        if not isinstance(batch, Episodes):
            return super().loss(batch)
        support, query = embed_together(self.encode, batch)  # (B, S, D), (B, Q, D)
        state = self.remember(batch.support_x, support, batch.support_y, batch.ways)
        logits = self.answer(state, query).float()  # type: ignore[union-attr]  # (B, Q, N)
        return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam, or RMSprop with momentum as in the paper."""
        config = self.config
        optimizer: torch.optim.Optimizer
        if config.optimizer == "rmsprop":
            optimizer = torch.optim.RMSprop(self.parameters(), config.lr, alpha=0.95, momentum=0.9)
        else:
            optimizer = torch.optim.Adam(self.parameters(), config.lr)
        return scheduled(optimizer, updates, config.schedule)

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """k-shot: any number of shots, so that one training serves all, and few queries: what there
        is to learn lies in the support set."""
        if task.protocol != "kshot":
            return task.but(episodes_per_update=config.streams_per_update)
        shots, queries = task.shots, config.training_queries or task.queries
        if config.max_shots is not None:
            shots = (1, max(config.max_shots, task.shot_range[1]))
        return task.but(
            shots=shots, queries=queries, episodes_per_update=config.episodes_per_update
        )


def image_encoder(config: Any, task: TaskSpec) -> nn.Module:
    """The encoder that a `RecurrentLearner.Config` asks for, with its features standardised."""
    made = encoder(config.encoder, task.input_shape, config.filters)
    return Standardised(made) if isinstance(made, Conv4) else made


def per_update(config: Any, task: TaskSpec) -> int:
    """Episodes, streams or memory probes in a meta-training update."""
    kshot = task.protocol == "kshot"
    return int(config.episodes_per_update if kshot else config.streams_per_update)


@torch.no_grad()
def keep_for_a_step(input: nn.Linear, recurrent: nn.Linear) -> tuple[slice, slice]:
    """Starts an LSTM controller so that a quarter of its units shows the example of this step, and
    another one that of the step before, whose label is told now.

    What is written can then be about the same example as its label, before anything is learned.

    Args:
        input: D to 4 H: forget, write and output gates, and candidate.
        recurrent: what is known from the step before to 4 H; its last H inputs are hidden units.

    Returns:
        The units of this example, and as many of the one before, feature by feature.
    """
    units, quarter = len(input.weight) // 4, len(input.weight) // 16
    now, before = slice(quarter), slice(quarter, 2 * quarter)
    seen, known = (layer.weight.view(4, units, -1) for layer in (input, recurrent))
    open_for_a_step = torch.tensor([-3.0, 3.0, 3.0, 0.0])[:, None]
    for part in (now, before):
        seen[:3, part] = 0
        known[:, part] = 0
        input.bias.view(4, units)[:, part] = open_for_a_step
    seen[3, before] = 0
    hidden = known[3, :, -units:]  # (H, H)
    hidden[before, now] = 2 * torch.eye(quarter)
    return now, before
