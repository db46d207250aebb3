"""Prototypical networks: a class is the mean of its embedded support examples.

References:
    Snell, Swersky, Zemel 2017, "Prototypical Networks for Few-shot Learning", NeurIPS,
    arXiv:1703.05175. Equation numbers below are this paper's.

Letters in shapes: B episodes, S support items, Q queries, T time steps, D features, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Episodes, Learner, MetaOptimizer, Stream, TaskSpec, option
from bench.nn import (
    EncoderName,
    NoveltyLogit,
    Schedule,
    adam,
    class_means,
    embed_together,
    encoder,
    squared_distance,
    sum_before,
)


class Prototypical(Learner):
    """Softmax over negative squared Euclidean distances to class means in a learned space."""

    family = "metric-based"
    contract = 1
    references = (
        'Snell et al. 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175',
    )
    presets = {
        "paper": {
            "encoder": "conv4",
            "filters": 64,
            "training_ways": 60,
            "training_queries": 5,
            "episodes_per_update": 1,
            "lr": 1e-3,
            "halve_every": 2000,
        }
    }

    @dataclass(frozen=True)
    class Config:
        """The defaults are the paper's (Section 3.1), but for the learning rate, which the paper
        halves every 2,000 episodes: a budget of a million images has 1,700 with 5 shots."""

        encoder: EncoderName = option("conv4", "The embedding f_φ: conv4, or pixels (no network).")
        filters: int = option(64, "Channels of each convolution of conv4.")
        training_ways: int | None = option(
            60, "Classes of a k-shot training episode (N_C); none: as tested."
        )
        training_queries: int | None = option(
            5, "Queries per class of a k-shot training episode (N_Q); none: as tested."
        )
        episodes_per_update: int = option(1, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(16, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam at the start.")
        schedule: Schedule = option(
            "linear", "How the learning rate moves over the budget: linear, cosine, constant."
        )
        halve_every: int | None = option(
            None, "Updates after which the learning rate is halved, in place of the schedule."
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.encoder = encoder(config.encoder, task.input_shape, config.filters)
        self.novelty = NoveltyLogit()

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> dict[str, Tensor]:
        """Prototypes (B, N, D), and which classes have one: (B, N)."""
        return self._prototypes(self.encoder(support_x), support_y, ways)

    def predict(self, state: dict[str, Tensor], query_x: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        return self._logits(state, self.encoder(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N): the prototypes of every prefix at once, by an exclusive running sum."""
        z = self.encoder(x).float()  # (B, T, D)
        member = F.one_hot(y, ways).float()  # (B, T, N)
        sums = sum_before(member[..., None] * z[:, :, None])  # (B, T, N, D)
        counts = sum_before(member)  # (B, T, N)
        prototypes = sums / counts.clamp_min(1)[..., None]  # (B, T, N, D)
        distance = squared_distance(z[:, :, None], prototypes)[:, :, 0]  # (B, T, N)
        return self.novelty(-distance, counts > 0)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """Algorithm 1: the negative log-probability of the queries' classes, averaged."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        state = self._prototypes(support, batch.support_y, batch.ways)
        logits = self._logits(state, query)  # (B, Q, N)
        return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())

    def _prototypes(self, z: Tensor, labels: Tensor, ways: int) -> dict[str, Tensor]:
        """Equation (1): c_k is the mean of f_φ(x_i) over the support examples of class k."""
        prototypes, counts = class_means(z, labels, ways)  # (B, N, D), (B, N)
        return {"prototypes": prototypes, "seen": counts > 0}

    def _logits(self, state: dict[str, Tensor], z: Tensor) -> Tensor:
        """Equation (2): p(y = k | x) is proportional to exp(-d(f_φ(x), c_k))."""
        distance = squared_distance(z, state["prototypes"])  # (B, Q, N)
        return self.novelty(-distance, state["seen"][:, None])

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule, or is halved every so many updates."""
        if self.config.halve_every is None:
            return adam(self.parameters(), self.config.lr, updates, self.config.schedule)
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.lr, fused=True)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, self.config.halve_every, 0.5)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More classes than in the test, at the shots of the test (Section 3.1)."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.streams_per_update)
        return task.but(
            ways=config.training_ways or task.ways,
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int:
        """The paper trains until the validation loss stops falling and names no number. After ten
        halvings of the learning rate nothing moves any more."""
        return 10 * (config.halve_every or 2000)
