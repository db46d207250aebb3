"""Baseline: an ordinary classifier, then the nearest centroid. No meta-learning.

References:
    Chen, Liu, Kira, Wang, Huang 2019, "A Closer Look at Few-shot Classification", ICLR,
    arXiv:1904.04232: Baseline (a linear classifier) and Baseline++ (a cosine classifier). The paper
    fine-tunes a classifier of the new classes on the support set; here their centroids serve, as in
    Wang, Chao, Weinberger, van der Maaten 2019, "SimpleShot", arXiv:1911.04623.

Letters in shapes: B episodes, S support items, Q queries, T time steps, I images of an episode,
D features, N ways, C meta-training classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, MetaOptimizer, State, Stream, TaskSpec, option
from bench.nn import (
    EncoderName,
    NoveltyLogit,
    Schedule,
    adam,
    class_means,
    cosine_similarity,
    encoder,
    squared_distance,
    sum_before,
)

PAPER = {"training_ways": 8, "training_queries": 1, "schedule": "constant"}
"""Both networks are trained with batches of 16 images and Adam at 1e-3 (Section 4.1)."""


class Baseline(Learner):
    """Is meta-learning worth it? The encoder is pretrained to tell all meta-training classes apart.

    One training serves every number of ways and shots.
    """

    family = "metric-based"
    contract = 1
    references = (
        'Chen et al. 2019, "A Closer Look at Few-shot Classification", arXiv:1904.04232',
        'Wang et al. 2019, "SimpleShot", arXiv:1911.04623',
    )
    presets = {
        "paper": {"classifier": "linear", **PAPER},
        "paper-cosine": {"classifier": "cosine", **PAPER},
    }

    @dataclass(frozen=True)
    class Config:
        """Baseline++ with nearest centroids.

        A k-shot training batch is an episode with one support image per class; the classifier sees
        it like a query.
        """

        encoder: EncoderName = option("conv4", "The embedding: conv4, or pixels.")
        filters: int = option(64, "Channels of each convolution of conv4.")
        classifier: Literal["cosine", "linear"] = option("cosine", "Head of the pretraining.")
        metric: Literal["cosine", "euclidean"] = option("cosine", "How centroids are compared.")
        scale: float = option(10.0, "Logit per unit of similarity before training.")
        training_ways: int | None = option(
            64, "Classes of a k-shot training batch; none: as tested."
        )
        training_queries: int | None = option(
            1, "Queries per class of a k-shot training batch; none: as tested."
        )
        episodes_per_update: int = option(1, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(8, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam at the start.")
        schedule: Schedule = option(
            "linear", "How the learning rate moves over the budget: linear, cosine, constant."
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        if not task.classes:
            raise ValueError("a classifier needs the number of meta-training classes, got 0")
        self.encoder = encoder(config.encoder, task.input_shape, config.filters)
        classifier = nn.Linear if config.classifier == "linear" else CosineClassifier
        self.classifier = classifier(cast(int, self.encoder.out_features), task.classes)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)))
        self.novelty = NoveltyLogit()

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Centroids (B, N, D), and which classes have one: (B, N)."""
        return self._centroids(self.encoder(support_x), support_y, ways)

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        return self._nearest(state, self.encoder(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N), in one pass."""
        return self._online(self.encoder(x), y, ways)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The classifier's cross-entropy over all images, support and query alike.

        Beside it the episode's own, which has no gradient for the encoder: scale and novelty, and
        with them the calibration, are learned on its features as they are.
        """
        if isinstance(batch, Stream):
            x, y = batch.x, batch.y
        else:
            x = torch.cat([batch.support_x, batch.query_x], dim=1)  # (B, I, ...)
            y = torch.cat([batch.support_y, batch.query_y], dim=1)  # (B, I)
        assert batch.classes is not None, "meta-training batches say which classes they show"
        z = self.encoder(x)  # (B, I, D)
        classes = batch.classes.gather(1, y)  # (B, I) in [0, C)
        pretraining = F.cross_entropy(self.classifier(z).float().flatten(0, 1), classes.flatten())
        z = z.detach()
        if isinstance(batch, Stream):
            logits = self._online(z, y, batch.ways)  # (B, T, N)
        else:
            support = batch.support_y.shape[1]
            state = self._centroids(z[:, :support], batch.support_y, batch.ways)
            logits, y = self._nearest(state, z[:, support:]), batch.query_y  # (B, Q, N)
        return pretraining + F.cross_entropy(logits.flatten(0, 1), y.flatten())

    def _centroids(self, z: Tensor, labels: Tensor, ways: int) -> State:
        centroids, counts = class_means(self._normalised(z), labels, ways)  # (B, N, D), (B, N)
        return {"centroids": centroids, "seen": counts > 0}

    def _nearest(self, state: State, z: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        return self._logits(self._normalised(z), state["centroids"], state["seen"][:, None])

    def _online(self, z: Tensor, labels: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N): the centroids of every prefix at once."""
        with torch.autocast(z.device.type, enabled=False):
            z = self._normalised(z)  # (B, T, D)
            member = F.one_hot(labels, ways).float()  # (B, T, N)
            counts = sum_before(member)  # (B, T, N)
            sums = sum_before(member[..., None] * z[:, :, None])  # (B, T, N, D)
            centroids = sums / counts.clamp_min(1)[..., None]  # (B, T, N, D)
            return self._logits(z[:, :, None], centroids, counts[:, :, None] > 0)[:, :, 0]

    def _normalised(self, z: Tensor) -> Tensor:
        return F.normalize(z.float(), dim=-1) if self.config.metric == "cosine" else z.float()

    def _logits(self, z: Tensor, centroids: Tensor, seen: Tensor) -> Tensor:
        if self.config.metric == "cosine":
            similarity = cosine_similarity(z, centroids)
        else:
            similarity = -squared_distance(z, centroids)
        return self.novelty(self.log_scale.exp() * similarity, seen)

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """A batch of many classes, whatever the ways and shots of the test."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.streams_per_update)
        return task.but(
            ways=config.training_ways or task.ways,
            shots=1,
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )


class CosineClassifier(nn.Module):
    """Baseline++ (Section 3.2): the scaled cosine with one vector per class."""

    def __init__(self, features: int, classes: int, scale: float = 10.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features) / math.sqrt(features))
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, z: Tensor) -> Tensor:
        """(..., D) to (..., C), float32."""
        return self.log_scale.exp() * cosine_similarity(z, self.weight)
