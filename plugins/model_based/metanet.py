"""Meta Networks: fast weights made from loss gradients, added to slow weights layer by layer.

Two small networks stand on one convolutional encoder, whose weights are slow only. u makes the keys
by which examples are compared, b the answers; both have layers that are *augmented*, a slow weight
beside a fast one:

* task-level fast weights Q* of u, from the gradients of the embedding loss on the support set;
* example-level fast weights W*_i of b, one for each support example, from the gradient of its own
  task loss. They are a memory: a query takes the average of them that its key asks for.

A support example's gradient with respect to a linear layer is an outer product, written out here,
so that all of them are computed at once. Meta-gradients go through it (the authors' code cuts them
off there; `second_order`).

Not as in the paper: u and b share their convolutions, which are not augmented; d reads the mean of
the gradients, not one after the other with an LSTM, and so the order of the support set is no
matter; the embedding loss is the cross-entropy, the paper's choice for one shot, at all shots; the
cosines are sharpened before the softmax (`sharpness`); a fast weight is a multiple of the sign of
its gradient (`Generator`).

References:
    Munkhdalai, Yu 2017, "Meta Networks", ICML, arXiv:1703.00837. Line numbers are Algorithm 1's.
    Andrychowicz et al. 2016, "Learning to learn by gradient descent by gradient descent", NeurIPS,
    arXiv:1606.04474, Appendix A: how gradients are presented to a network.

Letters in shapes: B episodes, S support items, Q queries, T time steps, D features, K units of a
key, H hidden units, N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, MetaOptimizer, Stream, TaskSpec, option
from bench.nn import (
    EncoderName,
    Schedule,
    adam,
    cosine_similarity,
    embed_together,
    encoder,
    sum_before,
)

P = 7
"""Gradients below e^-P are presented as they are, larger ones by logarithm and sign."""


class Fast(NamedTuple):
    """Example-level fast weights of b."""

    hidden: Tensor
    """(..., H, D)"""
    output: Tensor
    """(..., N, H)"""


class State(NamedTuple):
    """What is known of a support set."""

    keys: Tensor
    """(B, S, K), R of line 13."""
    memory: Fast
    """With (B, S) in front, M of line 11."""
    task: Tensor
    """(B, K, D), Q* of line 6."""


class Generator(nn.Module):
    """Fast weights from gradients, each from its own: m and d, on every weight of a layer alike.

    A fast weight is its gradient's sign times what the network says of the size. A network that
    also chooses the sign starts, by chance, with all fast weights of a layer negative: behind
    features that are not negative its ReLU is dead, and stays so.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        last = nn.Linear(units, 1)
        self.layers = nn.Sequential(
            nn.Linear(2, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), last
        )
        # Fast weights start small beside the slow ones.
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()

    def forward(self, gradient: Tensor) -> Tensor:
        """Of any shape, which it keeps."""
        size, sign = present(gradient)
        return sign * self.layers(torch.stack([size, sign.abs()], dim=-1)).squeeze(-1)


class MetaNet(Learner):
    """Answers with slow weights plus the fast weights of the support examples it resembles."""

    family = "model-based"
    contract = 1
    references = ('Munkhdalai and Yu 2017, "Meta Networks", ICML, arXiv:1703.00837',)
    presets = {
        "paper": {
            "sharpness": None,
            "second_order": False,
            "episodes_per_update": 1,
            "schedule": "constant",
        }
    }

    @dataclass(frozen=True)
    class Config:
        """Sizes as in the authors' code."""

        encoder: EncoderName = option("conv4", "What u and b stand on: conv4, or pixels.")
        filters: int = option(64, "Channels of each convolution of conv4.")
        key: int = option(64, "Units of a key.")
        hidden: int = option(64, "Hidden units of b.")
        generator: int = option(20, "Units in both layers of m and of d.")
        sharpness: float | None = option(10.0, "Start of the learned factor of the cosines.")
        second_order: bool = option(True, "Meta-gradients go through the gradients, too.")
        training_ways: int | None = option(
            None, "Classes of a k-shot training episode; none: as tested."
        )
        training_queries: int | None = option(
            None, "Queries per class of a k-shot training episode; none: as many as shots."
        )
        episodes_per_update: int = option(16, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(16, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam at the start.")
        schedule: Schedule = option(
            "cosine", "How the learning rate moves over the budget: linear, cosine, constant."
        )
        max_grad_norm: float | None = option(10.0, "Norm the gradient is clipped to; none: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm
        self.encoder = encoder(config.encoder, task.input_shape, config.filters)
        features = cast(int, self.encoder.out_features)
        self.key = nn.Linear(features, config.key, bias=False)  # Q
        self.key_output = nn.Linear(config.key, task.ways, bias=False)  # for the embedding loss
        self.hidden = nn.Linear(features, config.hidden, bias=False)  # W, two layers
        self.output = nn.Linear(config.hidden, task.ways, bias=False)
        self.task_generator = Generator(config.generator)  # d, with G
        self.example_generators = nn.ModuleList(Generator(config.generator) for _ in range(2))  # m
        if config.sharpness is not None:
            self.sharpness = nn.Parameter(torch.tensor(config.sharpness).log())

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Lines 1 to 14, with all support examples in place of T sampled ones."""
        self.check_ways(ways)
        return self._learn(self.encoder(support_x), support_y, ways)

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        return self._recall(state, self.encoder(query_x))

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """Line 20: the cross-entropy of the queries."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        state = self._learn(support, batch.support_y, batch.ways)
        logits = self._recall(state, query)  # (B, Q, N)
        return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())

    def _learn(self, z: Tensor, y: Tensor, ways: int) -> State:
        with torch.autocast(z.device.type, enabled=False):  # small gradients count
            z = z.float()
            task = self.task_generator(self._key_gradients(z, y, ways).mean(1))  # (B, K, D), line 6
            return State(self._keys(z, task), self._memory(z, y, ways), task)

    def _recall(self, state: State, z: Tensor) -> Tensor:
        """Lines 17 to 20."""
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            cosine = cosine_similarity(self._keys(z, state.task), state.keys)  # (B, Q, S)
            return self._answer(z, self._sharpened(cosine).softmax(-1), state.memory)

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N) in one pass. Q* of every prefix comes from a running mean, and makes
        other keys of the same examples; W*_i is the example's own, and so a mask is enough."""
        self.check_ways(ways)
        z = self.encoder(x)  # (B, T, D)
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            steps = torch.arange(z.shape[1], device=z.device)
            total = sum_before(self._key_gradients(z, y, ways))  # (B, T, K, D)
            task = self.task_generator(total / steps.clamp_min(1)[:, None, None])  # (B, T, K, D)
            keys = self._keys(z[:, None], task)  # (B, T, T, K): at each step, of each example
            own = keys.diagonal(dim1=1, dim2=2).movedim(-1, 1)  # (B, T, K)
            cosine = cosine_similarity(own[:, :, None], keys)[:, :, 0]  # (B, T, T)
            before = steps < steps[:, None]  # (T, T)
            attention = self._sharpened(cosine).masked_fill(~before, -1e9).softmax(-1) * before
            return self._answer(z, attention, self._memory(z, y, ways))

    # -- the two networks -------------------------------------------------------------------------

    def _keys(self, z: Tensor, task: Tensor) -> Tensor:
        """u(Q, Q*, x): (..., M, D) and (..., K, D) to (..., M, K)."""
        return F.relu(self.key(z)) + F.relu(z @ task.transpose(-2, -1))

    def _answer(self, z: Tensor, attention: Tensor, memory: Fast) -> Tensor:
        """b(W, W*, x) with a W* for each query, line 19.

        Args:
            z: (B, Q, D).
            attention: (B, Q, S).
            memory: M.

        Returns:
            Logits (B, Q, N).
        """
        fast = Fast(
            *((attention @ w.flatten(2)).unflatten(2, w.shape[2:]) for w in memory)
        )  # (B, Q, H, D), (B, Q, N, H)
        hidden = F.relu(self.hidden(z)) + F.relu((fast.hidden @ z[..., None])[..., 0])  # (B, Q, H)
        slow = hidden @ self.output.weight[: fast.output.shape[2]].T  # (B, Q, N)
        return slow + (fast.output @ hidden[..., None])[..., 0]

    def _sharpened(self, cosine: Tensor) -> Tensor:
        return self.sharpness.exp() * cosine if self.config.sharpness is not None else cosine

    # -- meta information and what is made from it ------------------------------------------------

    def _key_gradients(self, z: Tensor, y: Tensor, ways: int) -> Tensor:
        """Line 4: of each example's embedding loss, with respect to Q, (B, S, K, D)."""
        return self._gradients(self.key, self.key_output, z, y, ways)[0]

    def _memory(self, z: Tensor, y: Tensor, ways: int) -> Fast:
        """Lines 8 to 11."""
        gradients = self._gradients(self.hidden, self.output, z, y, ways)
        made = zip(self.example_generators, gradients, strict=True)
        return Fast(*(generator(gradient) for generator, gradient in made))

    def _gradients(
        self, first: nn.Linear, second: nn.Linear, z: Tensor, y: Tensor, ways: int
    ) -> tuple[Tensor, Tensor]:
        gradients = example_gradients(first.weight, second.weight[:ways], z, y)
        if self.config.second_order:
            return gradients
        return gradients[0].detach(), gradients[1].detach()

    # -- meta-training ----------------------------------------------------------------------------

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """As tested, with the ways, queries and episodes of the configuration."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.streams_per_update)
        return task.but(
            ways=max(config.training_ways or 0, task.ways),
            queries=config.training_queries or task.shot_range[1],
            episodes_per_update=config.episodes_per_update,
        )

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """The authors' code: 100,000 updates of one episode."""
        return 100_000


def example_gradients(first: Tensor, second: Tensor, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """∇ of the cross-entropy of ``second · relu(first · z)``, of each example for itself.

    Args:
        first: (H, D).
        second: (N, H).
        z: (..., D).
        y: (...) in [0, N).

    Returns:
        With respect to `first` (..., H, D), and to `second` (..., N, H).
    """
    hidden = F.relu(z @ first.T)  # (..., H)
    error = (hidden @ second.T).softmax(-1) - F.one_hot(y, len(second))  # (..., N), p - y
    back = (error @ second) * (hidden > 0)  # (..., H)
    return back[..., None] * z[..., None, :], error[..., None] * hidden[..., None, :]


def present(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Andrychowicz et al.'s two inputs: (log |g| / p, sign g), or (-1, e^p g) for small g."""
    size = gradient.abs().clamp_min(math.exp(-P)).log() / P  # clamped first: log 0 has no gradient
    return size, (gradient * math.exp(P)).clamp(-1, 1)
