"""CNP: what is known of a task is one vector, the mean of what its examples say.

Three networks: an encoder h of pairs (x_i, y_i) gives representations r_i, an aggregator makes one
r of them, and a decoder g answers for x from r and x (Section 2). It costs O(S + Q).

A classification of N classes is here N questions, "is it class c, or another?", which share the
three networks: for class c the label of an example is y_i = 1 where it is of class c, else 0.
Renaming classes thereby renames answers and nothing more, and the number of ways is free.

For classification the paper aggregates each class on its own (Section 4.3): what is known of class
c is the mean of its own examples, and the others do not enter. With ``attention`` the mean becomes
an attention of the query over all examples.

In regression (Section 4.1) there is one question, y_i is the number, and the decoder says a mean
and how sure it is.

References:
    Garnelo, Rosenbaum, Maddison, Ramalho, Saxton, Shanahan, Teh, Rezende, Eslami 2018,
    "Conditional Neural Processes", ICML, arXiv:1807.01613. Sections are this paper's.
    Kim, Mnih, Schwarz, Garnelo, Eslami, Rosenbaum, Vinyals, Teh 2019, "Attentive Neural
    Processes", ICLR, arXiv:1901.05761. The attention.

Letters in shapes: B episodes, S support items, Q queries, T time steps, D features, R size of a
representation, H heads, N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import (
    Answered,
    Episodes,
    Learner,
    MetaOptimizer,
    Normal,
    Stream,
    TaskSpec,
    answer_loss,
    in_regression,
    option,
)
from bench.nn import (
    MLP,
    EncoderName,
    Schedule,
    Standardised,
    adam,
    embed_together,
    encoder,
    sum_before,
)


class CNP(Learner):
    """Encoder, aggregator, decoder."""

    family = "model-based"
    contract = 2
    protocols = ("kshot", "online", "regression", "online-regression")
    order_invariant = True
    label_equivariant = True
    references = (
        'Garnelo et al. 2018, "Conditional Neural Processes", ICML, arXiv:1807.01613',
        'Kim et al. 2019, "Attentive Neural Processes", ICLR, arXiv:1901.05761',
    )
    presets = {"paper": {"training_ways": None}, "attentive": {"attention": True}}
    protocol_defaults = in_regression(
        encoder="mlp", filters=128, heads=8, episodes_per_update=16, streams_per_update=16
    )

    @dataclass(frozen=True)
    class Config:
        """The paper gives no sizes for classification."""

        encoder: EncoderName = option(
            "conv4", "What embeds the images: conv4, or pixels; mlp for vectors."
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        attention: bool = option(False, "A query attends to the examples; else their mean.")
        width: int = option(128, "Size of a representation (R) and of the hidden layers.")
        heads: int = option(4, "Heads of the attention (H).")
        max_shots: int = option(5, "Support examples per class in k-shot training: 1 to this many.")
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
        made = encoder(config.encoder, task.input_shape, config.filters)
        self.encoder = made if task.regression else Standardised(made)
        features = cast(int, self.encoder.out_features)
        self.h: Encoder | MLP
        if task.regression:
            self.h = MLP(features + task.outputs, config.width, outputs=config.width)
            # One of many inputs, and what it is all about: an ordinary start hardly hears it.
            first = cast(nn.Linear, self.h.layers[0])
            nn.init.uniform_(first.weight[:, features:], -1, 1)
        else:
            self.h = Encoder(features, 1, config.width)
        self.aggregator: Mean | CrossAttention = (
            CrossAttention(features, config.width, config.heads, deep=task.regression)
            if config.attention
            else Mean()
        )
        # Of numbers a mean, and what makes a standard deviation.
        outputs = 2 * task.outputs if task.regression else 1
        self.g = Decoder(config.width, features, config.width, outputs)
        if isinstance(self.h, Encoder):
            self.g.start_as_difference(self.h.slope())

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> dict[str, Tensor]:
        """What the aggregator keeps of the examples, for each class."""
        return self._remember(self.encoder(support_x), support_y, ways)

    def predict(self, state: dict[str, Tensor], query_x: Tensor) -> Answered:
        """Logits (B, Q, N); of numbers distributions (B, Q, E)."""
        return self._answer(state, self.encoder(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Answered:
        """Logits (B, T, N), or distributions (B, T, E), every prefix aggregated at once."""
        z = self.encoder(x)  # (B, T, D)
        r = self.aggregator.of_prefixes(z, *self._represent(z, y, ways))  # (B, T, N, R)
        return self._said(r, z)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The negative log-probability of the queries' labels or numbers; online, of every
        step's."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        answers = self._answer(self._remember(support, batch.support_y, batch.ways), query)
        return answer_loss(answers, batch.query_y)

    def _represent(self, z: Tensor, labels: Tensor, ways: int) -> tuple[Tensor, Tensor]:
        """r_i = h(x_i, y_i), for each class's y_i: (B, S, N or 1, R); and y_i (B, S, N), which is 0
        or 1, so that h is applied at most twice to each example: once for the mean, which is of
        those with y_i = 1. Of numbers there is one question, which every example is about."""
        if self.task.regression:
            r = self.h(torch.cat([z, labels], dim=-1)).float()[:, :, None]  # (B, S, 1, R)
            return r, torch.ones(r.shape[:-1], dtype=torch.bool, device=r.device)
        y = F.one_hot(labels, ways).bool()  # (B, S, N)
        yes = self.h(z, z.new_ones((*z.shape[:-1], 1)))[:, :, None]  # (B, S, 1, R)
        if isinstance(self.aggregator, Mean):
            return yes, y
        no = self.h(z, z.new_zeros((*z.shape[:-1], 1)))[:, :, None]
        return torch.where(y[..., None], yes, no), y

    def _remember(self, z: Tensor, labels: Tensor, ways: int) -> dict[str, Tensor]:
        return self.aggregator.keep(z, *self._represent(z, labels, ways))

    def _answer(self, kept: dict[str, Tensor], z: Tensor) -> Answered:
        return self._said(self.aggregator(kept, z), z)  # from (B, Q or 1, N, R)

    def _said(self, r: Tensor, z: Tensor) -> Answered:
        """g(r, x): logits (B, Q, N), or distributions (B, Q, E)."""
        outputs = self.g(r, z[:, :, None])  # (B, Q, N, 1 or 2 E)
        return Normal.read(outputs[:, :, 0]) if self.task.regression else outputs[..., 0]

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam with a scheduled learning rate."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More classes than in the test, and a random number of shots, so that one training serves
        all; online, as tested."""
        if task.online:
            return task.but(episodes_per_update=config.streams_per_update)
        if task.regression:
            return task.but(episodes_per_update=config.episodes_per_update)
        return task.but(
            ways=max(config.training_ways or task.ways, task.ways),
            shots=(1, max(config.max_shots, task.shot_range[1])),
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )


class Encoder(nn.Module):
    """h, of a pair (x, y).

    Begins as linear in x, for ReLU(a) - ReLU(-a) = a: the hidden layer holds directions of x and
    their opposites.

    Args:
        inputs: features of x (D).
        outputs: numbers of y (E): 1 for an indicator.
        width: of the hidden layer and of the representation (R).
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.hidden, self.out = nn.Linear(inputs + outputs, width), nn.Linear(width, width)
        half = width // 2
        directions = nn.init.orthogonal_(torch.empty(half, inputs))
        back = nn.init.orthogonal_(torch.empty(width, half))
        with torch.no_grad():
            self.hidden.bias.zero_()
            self.hidden.weight[: 2 * half, :inputs] = torch.cat([directions, -directions])
            self.out.weight[:, : 2 * half] = torch.cat([back, -back], dim=1)

    def slope(self) -> Tensor:
        """(R, D), by which a representation follows x at the start."""
        half = self.hidden.out_features // 2
        return self.out.weight[:, :half] @ self.hidden.weight[:half, : self.inputs]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(..., D) and (..., E) to (..., R), in float32."""
        return self.out(self.hidden(torch.cat([x, y], dim=-1)).relu()).float()


class Decoder(nn.Module):
    """g, of what is known and of x. The first layer on both is the sum of its halves on each, so
    that r is computed for a class once, and x for a query.

    Args:
        known: size of what the aggregator gives.
        inputs: features of x (D).
        width: of the hidden layers.
        outputs: numbers of an answer: 1 for the logit of a class.
    """

    def __init__(self, known: int, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.of_r = nn.Linear(known, width)
        self.of_x = nn.Linear(inputs, width, bias=False)
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
        )

    @torch.no_grad()
    def start_as_difference(self, slope: Tensor) -> None:
        """Lets the first layer begin as one of the difference between an x and the one that a
        representation was made of, of which `slope` (R, D) is the derivative. Two independent
        halves find out late that they look at the same kind of thing."""
        self.of_x.weight.copy_(-self.of_r.weight[:, : len(slope)] @ slope)

    def forward(self, r: Tensor, x: Tensor) -> Tensor:
        """Two tensors that broadcast together, (..., known) and (..., D), to (..., outputs), in
        float32."""
        return self.layers(self.of_r(r) + self.of_x(x)).float()


class Mean(nn.Module):
    """The mean representation of the examples that are of a class; zero where there are none.

    The mean of the others says how many classes there are before it says anything else: laid beside
    this one it was no help at the ways of the training, and did harm at others.
    """

    def keep(self, z: Tensor, r: Tensor, y: Tensor) -> dict[str, Tensor]:
        """From features (B, S, D), representations (B, S, N or 1, R) and y (B, S, N), r:
        (B, N, R)."""
        total = (r * y[..., None]).sum(1)  # (B, N, R)
        return {"r": total / y.sum(1).clamp_min(1)[..., None]}

    def forward(self, kept: dict[str, Tensor], z: Tensor) -> Tensor:
        """(B, 1, N, R): the same for every query."""
        return kept["r"][:, None]

    def of_prefixes(self, z: Tensor, r: Tensor, y: Tensor) -> Tensor:
        """Of the examples before each step: (B, T, N, R)."""
        total = sum_before(r * y[..., None])  # (B, T, N, R)
        return total / sum_before(y.float()).clamp_min(1)[..., None]


class CrossAttention(nn.Module):
    """Multi-head attention of a query over the examples: keys are made of their x, values are their
    representations (Kim et al. 2019).

    Args:
        inputs: features of x (D).
        width: of keys and representations (R).
        heads: H, a divisor of R.
        deep: keys come from a layer with ReLU and another one. Where a function bends within a
            twentieth of the inputs' range, a linear map of their features finds no near ones.
    """

    def __init__(self, inputs: int, width: int, heads: int, deep: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} is no multiple of heads={heads}")
        self.heads = heads
        self.key: nn.Linear | MLP  # of queries as well: what is alike attends
        if deep:
            self.key = MLP(inputs, width, hidden=1, outputs=width)
        else:
            self.key = nn.Linear(inputs, width)
            nn.init.orthogonal_(self.key.weight)

    def keep(self, z: Tensor, r: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Keys (B, H, S, R / H) and values (B, S, N, R)."""
        return {"keys": self._split(z), "values": r}

    def forward(self, kept: dict[str, Tensor], z: Tensor, earlier: Tensor | None = None) -> Tensor:
        """(B, Q, N, R), zero where nothing is seen. ``earlier`` (Q, S): the examples that a query
        sees; None: all."""
        with torch.autocast(z.device.type, enabled=False):
            keys = kept["keys"]
            scores = self._split(z) @ keys.mT / math.sqrt(keys.shape[-1])  # (B, H, Q, S)
            if earlier is not None:
                scores = scores.masked_fill(~earlier, torch.finfo(scores.dtype).min)
            weights = scores.softmax(-1)
            if earlier is not None:
                weights = weights * earlier
            values = kept["values"].unflatten(-1, (self.heads, -1))  # (B, S, N, H, R / H)
            return torch.einsum("bhqs,bsnhr->bqnhr", weights, values).flatten(-2)

    def of_prefixes(self, z: Tensor, r: Tensor, y: Tensor) -> Tensor:
        """Of the examples before each step: (B, T, N, R)."""
        steps = z.shape[1]
        earlier = torch.ones(steps, steps, dtype=torch.bool, device=z.device).tril(-1)
        return self(self.keep(z, r, y), z, earlier)

    def _split(self, z: Tensor) -> Tensor:
        return self.key(z.float()).float().unflatten(-1, (self.heads, -1)).transpose(1, 2)
