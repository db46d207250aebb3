"""Siamese networks: are these two images of the same class?

References:
    Koch, Zemel, Salakhutdinov 2015, "Siamese Neural Networks for One-shot Image Recognition", ICML
    Deep Learning Workshop, https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf.
    Vinyals et al. 2016, "Matching Networks for One Shot Learning", arXiv:1606.04080, Table 1: the
    same with the encoder of the field, which is what this file builds.

Letters in shapes: B episodes, S support items, Q queries, T time steps, I images of an episode,
D features, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, MetaOptimizer, State, Stream, TaskSpec, option
from bench.nn import EncoderName, Schedule, adam, encoder, kernel_logits


class Siamese(Learner):
    """A twin encoder trained on pairs; a query takes the class of its best match.

    Same and different pairs count equally in training. The log-odds of "same" are then a
    log-likelihood ratio, log p(pair | same) - log p(pair | different), which is 0 for an image that
    says nothing either way: the logit of a class not seen yet. Nothing more is to be learned for
    the online view.
    """

    family = "metric-based"
    contract = 1
    references = (
        'Koch et al. 2015, "Siamese Neural Networks for One-shot Image Recognition", ICML Deep '
        "Learning Workshop",
    )
    presets = {"paper": {"units": 4096, "training_ways": 64, "training_queries": 1}}

    @dataclass(frozen=True)
    class Config:
        """Conv4 in place of the paper's larger network on 105x105 pixels.

        A k-shot training episode has one support image per class; in pairs it counts like a query.
        """

        encoder: EncoderName = option("conv4", "The twin: conv4, or pixels.")
        filters: int = option(64, "Channels of each convolution of conv4.")
        units: int | None = option(None, "Sigmoid units behind the encoder, as in the paper.")
        training_ways: int | None = option(
            32, "Classes of a k-shot training episode; none: as tested."
        )
        training_queries: int | None = option(
            3, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(1, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(16, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam at the start.")
        schedule: Schedule = option(
            "linear", "How the learning rate moves over the budget: linear, cosine, constant."
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.encoder = encoder(config.encoder, task.input_shape, config.filters)
        features = cast(int, self.encoder.out_features)
        self.top: nn.Module = nn.Identity()
        if config.units is not None:
            self.top = nn.Sequential(nn.Linear(features, config.units), nn.Sigmoid())
            features = config.units
        self.compare = nn.Linear(features, 1)  # the weights α_j
        # Alike is "same" from the start, far apart is "different".
        nn.init.constant_(self.compare.weight, -10 / features)
        nn.init.constant_(self.compare.bias, 4)

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The embedded support set (B, S, D), and its labels (B, S)."""
        return {"z": self._embed(support_x), "labels": support_y, "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N): the best match of each class."""
        odds = self._log_odds(self._embed(query_x), state["z"])  # (B, Q, S)
        return kernel_logits(odds, state["labels"], state["ways"], hard=True)[0]

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N), in one pass: every step is compared with the steps before it."""
        z = self._embed(x)  # (B, T, D)
        return kernel_logits(self._log_odds(z, z), y, ways, hard=True, causal=True)[0]

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """Binary cross-entropy (Section 3.2) over all pairs of images of an episode.

        The mean over the same pairs and the mean over the different pairs count half each.
        """
        if isinstance(batch, Stream):
            x, y = batch.x, batch.y
        else:
            x = torch.cat([batch.support_x, batch.query_x], dim=1)  # (B, I, ...)
            y = torch.cat([batch.support_y, batch.query_y], dim=1)  # (B, I)
        z = self._embed(x)  # (B, I, D)
        i, j = torch.triu_indices(y.shape[1], y.shape[1], offset=1, device=y.device)
        same = (y[:, i] == y[:, j]).float()  # (B, pairs)
        cost = F.binary_cross_entropy_with_logits(
            self._log_odds(z, z)[:, i, j], same, reduction="none"
        )
        return ((cost * same).sum() / same.sum() + (cost * (1 - same)).sum() / (1 - same).sum()) / 2

    def _embed(self, x: Tensor) -> Tensor:
        return self.top(self.encoder(x))

    def _log_odds(self, a: Tensor, b: Tensor) -> Tensor:
        """Section 3.1, before the sigmoid: Σ_j α_j |a_j - b_j| and a threshold, for all pairs.

        Args:
            a: (B, Q, D).
            b: (B, S, D).

        Returns:
            (B, Q, S), positive for "the same class".
        """
        with torch.autocast(a.device.type, enabled=False):
            apart = (a.float()[:, :, None] - b.float()[:, None]).abs()  # (B, Q, S, D)
            return self.compare(apart)[..., 0]

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """Pairs know neither ways nor shots: one k-shot training serves every setting."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.streams_per_update)
        return task.but(
            ways=config.training_ways or task.ways,
            shots=1,
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int:
        """At most 200 epochs of 150,000 pairs, 128 pairs at a time (Sections 3.2 and 4.2)."""
        return 200 * 150_000 // 128
