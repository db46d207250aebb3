"""Relation networks: the similarity of two images is a network of its own, and is learned too.

The feature maps of a query and of a class lie one upon the other, and the relation module, two
convolutional blocks and two linear layers, says how much they have to do with each other.

The first convolution is linear: on two maps that lie one upon the other it is the sum of one half
of it on the one and of the other half on the other. Each half is applied once for each class and
once for each query, and not for each of their pairs.

References:
    Sung, Yang, Zhang, Xiang, Torr, Hospedales 2018, "Learning to Compare: Relation Network for
    Few-Shot Learning", CVPR, arXiv:1711.06025. Equation numbers below are this paper's.

Letters in shapes: B episodes, S support items, Q queries, T time steps, F filters, H and W height
and width of a feature map, N ways, M pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, MetaOptimizer, Stream, TaskSpec, option
from bench.nn import Conv4, NoveltyLogit, Schedule, adam, class_means, embed_together, sum_before


class Relation(Learner):
    """An embedding to feature maps, and a network that compares them.

    Logits are relation scores before their sigmoid: where exactly one class is right and each score
    is the probability that its pair belongs together, the softmax over them is the posterior.
    """

    family = "metric-based"
    contract = 1
    order_invariant = True
    label_equivariant = True
    references = (
        'Sung et al. 2018, "Learning to Compare: Relation Network for Few-Shot Learning", CVPR, '
        "arXiv:1711.06025",
    )
    presets = {
        "paper": {
            "shots": "sum",
            "training_ways": None,
            "training_queries": 15,
            "max_shots": None,
            "schedule": "constant",
            "max_grad_norm": 0.5,
        }
    }

    @dataclass(frozen=True)
    class Config:
        """The network is the paper's; it is trained on more ways than tested."""

        encoder: Literal["conv4"] = option("conv4", "The embedding f_φ; it pools two times only.")
        filters: int = option(64, "Channels of each convolution (F).")
        hidden: int = option(8, "Width of the first linear layer of the relation module.")
        shots: Literal["mean", "sum"] = option(
            "mean", "What stands for a class of several shots: mean or sum of their feature maps."
        )
        max_shots: int | None = option(
            5, "Support examples per class in k-shot training: 1 to this many; none: as tested."
        )
        training_ways: int | None = option(20, "Classes of a training episode; none: as tested.")
        training_queries: int | None = option(
            5, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(1, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(8, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam.")
        schedule: Schedule = option("linear", "How the learning rate falls over the budget.")
        max_grad_norm: float | None = option(10.0, "Norm the gradient is clipped to; none: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm
        self.encoder = Conv4(task.input_shape, config.filters, halvings=2)
        height, width = task.input_shape[1] // 4, task.input_shape[2] // 4
        self.relation = RelationModule((config.filters, height, width), config.hidden)
        self.novelty = NoveltyLogit()

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> dict[str, Tensor]:
        """What each class brings to the first convolution (B, N, F, H, W), and which classes have
        support: (B, N)."""
        return self._classes(self.encoder.maps(support_x), support_y, ways)

    def predict(self, state: dict[str, Tensor], query_x: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        return self._compare(state, self.encoder.maps(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N): the classes of every prefix at once, by an exclusive running sum."""
        maps = self.encoder.maps(x)  # (B, T, F, H, W)
        member = F.one_hot(y, ways).float()  # (B, T, N)
        brought = self.relation.from_class(maps).float()  # (B, T, F, H, W)
        sums = sum_before(member[..., None, None, None] * brought[:, :, None])
        counts = sum_before(member)  # (B, T, N)
        divisor = counts.clamp_min(1) if self.config.shots == "mean" else torch.ones_like(counts)
        classes = sums / divisor[..., None, None, None]  # (B, T, N, F, H, W)
        queries = self.relation.from_query(maps)[:, :, None]  # (B, T, 1, F, H, W)
        return self.novelty(self.relation(classes, queries), counts > 0)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """Equation (2): the squared error of the relation scores, 1 for the right class and 0 for
        the others; online, of every step."""
        if isinstance(batch, Stream):
            logits, target = self.unroll(batch.x, batch.y, batch.ways), batch.y
        else:
            support, query = embed_together(self.encoder.maps, batch)
            state = self._classes(support, batch.support_y, batch.ways)
            logits, target = self._compare(state, query), batch.query_y
        return F.mse_loss(logits.sigmoid(), F.one_hot(target, batch.ways).float())

    def _classes(self, maps: Tensor, labels: Tensor, ways: int) -> dict[str, Tensor]:
        brought = self.relation.from_class(maps)  # (B, S, F, H, W)
        classes, counts = class_means(brought.flatten(2), labels, ways)  # (B, N, F H W), (B, N)
        if self.config.shots == "sum":
            classes = classes * counts[..., None]
        return {"classes": classes.unflatten(2, brought.shape[2:]), "seen": counts > 0}

    def _compare(self, state: dict[str, Tensor], maps: Tensor) -> Tensor:
        """Equation (1): the scores r_ij of queries j and classes i, before their sigmoid."""
        queries = self.relation.from_query(maps)[:, :, None]  # (B, Q, 1, F, H, W)
        scores = self.relation(state["classes"][:, None], queries)  # (B, Q, N)
        return self.novelty(scores, state["seen"][:, None])

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam with a scheduled learning rate."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More classes than in the test, and a random number of shots, so that one training serves
        all; online, as tested."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.streams_per_update)
        most = max(config.max_shots, task.shot_range[1]) if config.max_shots else None
        return task.but(
            ways=max(config.training_ways or task.ways, task.ways),
            shots=(1, most) if most else task.shots,
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int:
        """1,000,000 episodes in the authors' code."""
        return 1_000_000 // config.episodes_per_update


class RelationModule(nn.Module):
    """g_φ: from two feature maps, one upon the other, to how much they have to do with each other
    (Figure 2).

    Args:
        shape: (F, H, W) of each map.
        hidden: width of the first linear layer.
    """

    def __init__(self, shape: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        filters, height, width = shape
        self.first = nn.Conv2d(2 * filters, filters, 3, padding=1)
        with torch.no_grad():  # begins as the difference of both maps
            self.first.weight[:, filters:] = -self.first.weight[:, :filters]
        self.second = nn.Conv2d(filters, filters, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(filters) for _ in range(2))
        # A map of one pixel cannot be halved any more.
        self.pools = [min(2, height, width), min(2, height // 2 or 1, width // 2 or 1)]
        kept = math.prod(size // math.prod(self.pools) for size in (height, width))
        self.hidden = nn.Linear(filters * kept, hidden)
        self.score = nn.Linear(hidden, 1)

    def from_class(self, maps: Tensor) -> Tensor:
        """The half of the first convolution that lies on a class; linear. (..., F, H, W)."""
        return _convolved(maps, self.first.weight[:, : maps.shape[-3]])

    def from_query(self, maps: Tensor) -> Tensor:
        """The half that lies on a query, and the bias. (..., F, H, W)."""
        return _convolved(maps, self.first.weight[:, maps.shape[-3] :], self.first.bias)

    def forward(self, classes: Tensor, queries: Tensor) -> Tensor:
        """What both bring to the first convolution, each broadcastable to (..., F, H, W), to scores
        before their sigmoid (...), in float32."""
        both = classes.to(queries.dtype) + queries  # (..., F, H, W)
        leading = both.shape[:-3]
        h = both.flatten(0, -4)  # (M, F, H, W)
        h = F.max_pool2d(self.norms[0](h), self.pools[0]).relu()
        h = F.max_pool2d(self.norms[1](self.second(h)), self.pools[1]).relu()
        scores: Tensor = self.score(self.hidden(h.flatten(1)).relu())  # (M, 1)
        return scores.float().view(leading)


def _convolved(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3x3 convolution with any number of leading dimensions."""
    leading = maps.shape[:-3]
    return F.conv2d(maps.flatten(0, -4), weight, bias, padding=1).unflatten(0, leading)
