"""Matching networks: a query takes the labels of the support set, by attention over it.

References:
    Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016, "Matching Networks for One Shot
    Learning", NeurIPS, arXiv:1606.04080. Equation numbers below are this paper's.

The paper's attention is a softmax over cosines, which lie in [-1, 1]: at 5 ways no class can get
more than e / (e + 4 / e) = 65 % and training stalls. Here the cosines are multiplied by a learned
scale (an inverse temperature).

In regression equation (1) is the kernel regression of Nadaraya and Watson: a query takes the
numbers of the support set, weighted by a Gaussian kernel in the learned space. Cosines would not
tell points of one direction apart.

Letters in shapes: B episodes, S support items, Q queries, T time steps, D features, N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from bench.api import (
    Episodes,
    Learner,
    MetaOptimizer,
    State,
    Stream,
    TaskSpec,
    answer_loss,
    in_regression,
    option,
)
from bench.nn import (
    EncoderName,
    NoveltyLogit,
    Schedule,
    adam,
    cosine_similarity,
    embed_together,
    encoder,
    kernel_logits,
    kernel_regression,
    squared_distance,
)


class Matching(Learner):
    """Softmax attention by cosine in a learned space; nearest neighbours, trained end to end.

    With full context embeddings (`fce`) the support items are read by a bidirectional LSTM, so the
    answers depend on the order of the support set; without, they do not.
    """

    family = "metric-based"
    contract = 2
    protocols = ("kshot", "online", "regression", "online-regression")
    references = (
        'Vinyals et al. 2016, "Matching Networks for One Shot Learning", arXiv:1606.04080',
    )
    presets = {
        "paper": {"training_ways": None, "training_queries": None, "episodes_per_update": 16}
    }
    protocol_defaults = in_regression(encoder="mlp", episodes_per_update=16)

    @dataclass(frozen=True)
    class Config:
        """As Prototypical, more ways in training than in the test; the paper trains as tested."""

        encoder: EncoderName = option(
            "conv4", "The embedding f' = g': conv4, or pixels; mlp for vectors."
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        fce: bool = option(False, "Full context embeddings: LSTMs over the support set.")
        steps: int = option(5, "Steps of the attention LSTM (K; the paper gives no number).")
        scale: float = option(10.0, "Logit per unit of cosine before training.")
        training_ways: int | None = option(
            60, "Classes of a k-shot training episode; none: as tested."
        )
        training_queries: int | None = option(
            5, "Queries per class of a k-shot training episode; none: as tested."
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
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)))
        if not task.regression:
            self.novelty = NoveltyLogit(config.scale / 2)
        features = cast(int, self.encoder.out_features)
        self.context = FullContext(features, config.steps) if config.fce else None

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The embedded support set: g(x_i, S) (B, S, D), and its labels (B, S) or numbers."""
        return self._remember(self.encoder(support_x), support_y, ways)

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N); in regression numbers (B, Q, E)."""
        return self._answer(state, self.encoder(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N): in one pass, by a causal mask. With full context embeddings every
        prefix is a support set of its own, but each image is still embedded once."""
        z = self.encoder(x)  # (B, T, D)
        if self.context is None:
            return self._logits(z, z, y, ways, causal=True)
        logits = [z.new_zeros(len(z), self.task.outputs or ways, dtype=torch.float32)]
        for t in range(1, x.shape[1]):
            state = self._remember(z[:, :t], y[:, :t], ways)
            logits.append(self._answer(state, z[:, t : t + 1])[:, 0])
        return torch.stack(logits, dim=1)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """Equation (2): the negative log-probability of the queries' labels; of numbers the squared
        error."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        state = self._remember(support, batch.support_y, batch.ways)
        logits = self._answer(state, query)  # (B, Q, N)
        return answer_loss(logits, batch.query_y)

    def _remember(self, z: Tensor, labels: Tensor, ways: int) -> State:
        g = z if self.context is None else self.context.support(z)  # (B, S, D)
        return {"g": g, "labels": labels, "ways": ways}

    def _answer(self, state: State, z: Tensor) -> Tensor:
        f = z if self.context is None else self.context.query(z, state["g"])  # (B, Q, D)
        return self._logits(f, state["g"], state["labels"], state["ways"])

    def _logits(
        self, f: Tensor, g: Tensor, labels: Tensor, ways: int, causal: bool = False
    ) -> Tensor:
        """Equation (1), with the attention of Section 2.1.1, before its softmax: (B, Q, N). Of
        numbers, behind it: (B, Q, E)."""
        if self.task.regression:
            kernel = -self.log_scale.exp() * squared_distance(f, g)  # (B, Q, S), its logarithm
            return kernel_regression(kernel, labels, causal=causal)
        similarity = self.log_scale.exp() * cosine_similarity(f, g)  # (B, Q, S)
        return self.novelty(*kernel_logits(similarity, labels, ways, causal=causal))

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """At the shots of the test, with more ways."""
        if task.online:
            return task.but(episodes_per_update=config.streams_per_update)
        if task.regression:
            return task.but(episodes_per_update=config.episodes_per_update)
        return task.but(
            ways=config.training_ways or task.ways,
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )


class FullContext(nn.Module):
    """Full context embeddings (Appendix A): f and g see the whole support set.

    In float32: LSTMs here are small beside the encoder.
    """

    def __init__(self, features: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.bidirectional = nn.LSTM(features, features, batch_first=True, bidirectional=True)
        self.input = nn.Linear(features, 4 * features)
        self.recurrent = nn.Linear(2 * features, 4 * features, bias=False)

    def support(self, z: Tensor) -> Tensor:
        """Appendix A.2: g(x_i, S) = h→_i + h←_i + g'(x_i).

        Args:
            z: (B, S, D), g'(x_i) in the order of the support set, which matters.

        Returns:
            (B, S, D).
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            forward, backward = self.bidirectional(z)[0].chunk(2, dim=-1)
            return forward + backward + z

    def query(self, z: Tensor, g: Tensor) -> Tensor:
        """Appendix A.1: f(x, S) = attLSTM(f'(x), g(S), K), from h_0 = c_0 = 0.

        Args:
            z: (B, Q, D), f'(x).
            g: (B, S, D).

        Returns:
            (B, Q, D), h_K.
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            projected = self.input(z)  # (B, Q, 4D), the same in every step
            h = c = torch.zeros_like(z)
            for _ in range(self.steps):
                attention = (h @ g.transpose(1, 2)).softmax(-1)  # (B, Q, S), equation (6)
                read = attention @ g  # (B, Q, D), equation (5)
                gates = projected + self.recurrent(torch.cat([h, read], dim=-1))  # equation (3)
                keep, write, out, candidate = gates.chunk(4, dim=-1)
                c = keep.sigmoid() * c + write.sigmoid() * candidate.tanh()
                h = out.sigmoid() * c.tanh() + z  # equation (4)
            return h
