"""Ridge (R2-D2): the last layer is ridge regression, solved in closed form for each task.

The inner loop of other learners takes steps of gradient descent; here it takes one linear system,
and meta-training differentiates through its solution. The paper counts itself among the learners
whose adaptation is an optimization, and so does `family`.

Online, the answers behind all prefixes of a stream need one Cholesky factor: see `unroll`.

References:
    Bertinetto, Henriques, Torr, Vedaldi 2019, "Meta-learning with Differentiable Closed-form
    Solvers", ICLR, arXiv:1805.08136.

Letters in shapes: B episodes, S support items, Q queries, T time steps, D features, N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import (
    Episodes,
    Learner,
    MetaOptimizer,
    Stream,
    TaskSpec,
    answer_loss,
    in_regression,
    option,
)
from bench.nn import EncoderName, NoveltyLogit, Schedule, adam, embed_together, encoder


class Ridge(Learner):
    """A learned embedding, and a linear map from it to the labels that a formula gives.

    The prediction is α X' W + β. A softmax does not see β where all classes have it:
    here the classes of the support set do, and those without support, whose column of W is zero,
    do not. β is thereby minus the logit of a class not seen yet, which is how it is kept.

    In regression the map is to the numbers themselves, without α and β; one feature more is
    always 1.
    """

    family = "optimization-based"
    contract = 2
    protocols = ("kshot", "online", "regression", "online-regression")
    order_invariant = True
    label_equivariant = True
    references = (
        'Bertinetto et al. 2019, "Meta-learning with Differentiable Closed-form Solvers", ICLR, '
        "arXiv:1805.08136",
    )
    presets = {
        "paper": {
            "training_ways": 60,
            "training_queries": 5,
            "max_shots": 5,
            "lr": 5e-3,
            "schedule": "constant",
        }
    }
    protocol_defaults = in_regression(
        encoder="mlp", penalty=0.1, episodes_per_update=16, max_grad_norm=10.0
    )

    @dataclass(frozen=True)
    class Config:
        """More ways in training than in the test, as in the paper, but not its 60: conv4 gives 64
        features, of which a regression hardly tells 60 classes apart. One shot, whatever the test
        has: a harder task, and one training for all settings."""

        encoder: EncoderName = option(
            "conv4", "The embedding φ: conv4, or pixels (no network); mlp for vectors."
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        penalty: float = option(1.0, "Weight of the squared norm of W before training (λ).")
        scale: float = option(10.0, "Logit per unit of the regression before training (α).")
        max_shots: int | None = option(
            1, "k-shot training has 1 to this many shots, drawn per update; none: as tested."
        )
        training_ways: int | None = option(20, "Classes of a training episode; none: as tested.")
        training_queries: int | None = option(
            5, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(3, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(16, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam.")
        schedule: Schedule = option("linear", "How the learning rate falls over the budget.")
        max_grad_norm: float | None = option(None, "Norm the gradient is clipped to; none: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm
        self.encoder = encoder(config.encoder, task.input_shape, config.filters)
        self.log_penalty = nn.Parameter(torch.tensor(math.log(config.penalty)))  # λ > 0
        if not task.regression:
            self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)))  # α > 0
            self.novelty = NoveltyLogit()  # -β

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> dict[str, Tensor]:
        """The weights W (B, D, N), and which classes have support: (B, N)."""
        return self._solve(self.encoder(support_x), support_y, ways)

    def predict(self, state: dict[str, Tensor], query_x: Tensor) -> Tensor:
        """Logits (B, Q, N); in regression numbers (B, Q, E)."""
        return self._logits(state, self.encoder(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N): all prefixes by one Cholesky factor, Z Zᵀ + λ I = L Lᵀ.

        The factor of a prefix of t items is the leading block L_t. With k_t the products of item t
        with the items before, its regression is k_tᵀ (L_t L_tᵀ)⁻¹ Y_t = (L_t⁻¹ k_t)ᵀ (L_t⁻¹ Y_t).
        The first factor is row t of L without its diagonal, the second the first t rows of L⁻¹ Y.
        """
        z = self.encoder(x)  # (B, T, D)
        with torch.autocast(x.device.type, enabled=False):
            z, member = self._targets(z, y, ways)  # (B, T, D), (B, T, N)
            factor = torch.linalg.cholesky(self._penalised(z @ z.mT))  # (B, T, T)
            solved = torch.linalg.solve_triangular(factor, member, upper=False)  # (B, T, N)
            regression = factor.tril(-1) @ solved  # (B, T, N)
            if self.task.regression:
                return regression
            seen = member.cumsum(1) - member > 0
            return self.novelty(self.log_scale.exp() * regression, seen)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The cross-entropy of the queries, of numbers the squared error; online, of every step."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        logits = self._logits(self._solve(support, batch.support_y, batch.ways), query)
        return answer_loss(logits, batch.query_y)

    def _solve(self, z: Tensor, labels: Tensor, ways: int) -> dict[str, Tensor]:
        """W = (Zᵀ Z + λ I)⁻¹ Zᵀ Y, or where the items are fewer than the features W = Zᵀ (Z Zᵀ +
        λ I)⁻¹ Y, the same by Woodbury's identity. In float32."""
        with torch.autocast(z.device.type, enabled=False):
            z, member = self._targets(z, labels, ways)  # (B, S, D), (B, S, N)
            if z.shape[1] < z.shape[2]:
                weights = z.mT @ _solve_positive(self._penalised(z @ z.mT), member)
            else:
                weights = _solve_positive(self._penalised(z.mT @ z), z.mT @ member)
            return {"weights": weights, "seen": (member != 0).any(1)}  # (B, D, N), (B, N)

    def _targets(self, z: Tensor, labels: Tensor, ways: int) -> tuple[Tensor, Tensor]:
        """Features, and what W is to make of them: one-hot labels, or numbers."""
        if self.task.regression:
            return self._with_one(z), labels
        return z.float(), F.one_hot(labels, ways).float()

    def _with_one(self, z: Tensor) -> Tensor:
        """One feature more, which is 1."""
        return F.pad(z.float(), (0, 1), value=1.0)

    def _penalised(self, gram: Tensor) -> Tensor:
        """Adds λ to the diagonal."""
        return gram + self.log_penalty.exp() * torch.eye(gram.shape[-1], device=gram.device)

    def _logits(self, state: dict[str, Tensor], z: Tensor) -> Tensor:
        """α X' W + β: (B, Q, N)."""
        with torch.autocast(z.device.type, enabled=False):
            if self.task.regression:
                return self._with_one(z) @ state["weights"]  # (B, Q, E)
            regression = z.float() @ state["weights"]  # (B, Q, N)
            return self.novelty(self.log_scale.exp() * regression, state["seen"][:, None])

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam with a scheduled learning rate."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More classes than in the test, and shots of its own, so that one training serves all, as
        in the paper; online, as tested."""
        if task.online:
            return task.but(episodes_per_update=config.streams_per_update)
        if task.regression:
            return task.but(episodes_per_update=config.episodes_per_update)
        most = config.max_shots
        return task.but(
            ways=max(config.training_ways or task.ways, task.ways),
            shots=task.shots if most is None else 1 if most == 1 else (1, most),
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )


def _solve_positive(a: Tensor, b: Tensor) -> Tensor:
    """A⁻¹ B for symmetric positive definite A."""
    return torch.cholesky_solve(b, torch.linalg.cholesky(a))
