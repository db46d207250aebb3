"""ICL: a Transformer that learns a task in context, from the examples it reads.

An example of the support set is one token, its image beside its label; a query is a token whose
label is missing. Support tokens look at each other and never at a query: what all queries share,
the keys and values of the support set, is computed once by `adapt`, and a query costs `predict` one
token. Online the same holds at every step: (x_t, y_t) is what later steps see, while the answer for
x_t comes from (x_t, blank), standing behind the steps before t. Both are computed for all t at
once, so that the two views are one function, and a stream trains every prefix in one pass.

Nothing says at which place a token stands: only in the causal form does a token know how many came
before. A support set may thereby be longer than any that was trained with.

Such a learner stays at chance for long and leaves it suddenly (Kirsch et al.). Here it
starts as a rough nearest-neighbour rule: keys equal queries, so that attention compares images;
what is read is added where it came from, so that labels arrive as labels; the answer is compared
with the label vectors.

References:
    Kirsch, Harrison, Sohl-Dickstein, Metz 2022, "General-Purpose In-Context Learning by
    Meta-Learning Transformers", arXiv:2212.04458. Causal.
    Fifty, Duan, Junkins, Amid, Leskovec, Re, Thrun 2024, "Context-Aware Meta-Learning", ICLR,
    arXiv:2310.10971. A set (``form="set"``), and fixed equiangular label vectors.
    Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", arXiv:2002.04745.

Letters in shapes: B episodes, S support items, Q queries, T tokens, P tokens that look back, D
features, C channels of a token, H heads, K size of a head, N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import (
    Answered,
    Episodes,
    Learner,
    MetaOptimizer,
    Normal,
    State,
    Stream,
    TaskSpec,
    answer_loss,
    in_regression,
    option,
)
from bench.nn import EncoderName, Schedule, Standardised, adam, embed_together, encoder

Past = tuple[Tensor, Tensor]
"""Keys and values of a layer, (B, H, T, K) each."""


class ICL(Learner):
    """Tokens of image and label, layers of attention and feed-forward, an answer per query."""

    family = "model-based"
    contract = 2
    protocols = ("kshot", "online", "regression", "online-regression")
    references = (
        'Kirsch et al. 2022, "General-Purpose In-Context Learning by Meta-Learning Transformers", '
        "arXiv:2212.04458",
        'Fifty et al. 2024, "Context-Aware Meta-Learning", ICLR, arXiv:2310.10971',
    )
    presets = {
        "paper": {"encoder": "pixels", "layers": 4, "width": 256, "heads": 8},
        "caml": {"form": "set"},
    }
    protocol_defaults = in_regression(encoder="mlp", width=64, episodes_per_update=16)

    @dataclass(frozen=True)
    class Config:
        """Small beside the papers' models, as the images are."""

        encoder: EncoderName = option(
            "conv4", "What embeds the images: conv4, or pixels; mlp for vectors."
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        form: Literal["causal", "set"] = option(
            "causal", "A support token sees those before it (Kirsch), or all of them (Fifty)."
        )
        layers: int = option(4, "Layers of attention and feed-forward.")
        width: int = option(128, "Channels of a token (C): half for the image, half for the label.")
        heads: int = option(4, "Heads of each attention (H).")
        max_shots: int = option(5, "Support examples per class in k-shot training: 1 to this many.")
        training_ways: int | None = option(None, "Classes of a training episode; none: as tested.")
        training_queries: int | None = option(
            3, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(4, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(8, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam.")
        schedule: Schedule = option("linear", "How the learning rate falls over the budget.")
        max_grad_norm: float | None = option(1.0, "Norm the gradient is clipped to; none: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm
        half = config.width // 2
        if config.width % (2 * config.heads):
            raise ValueError(f"width={config.width} is no multiple of 2 heads={config.heads}")
        if half < task.ways:
            raise ValueError(
                f"half of width={config.width} has room for {half} label vectors, and {task.ways} "
                "ways need one each; give it more width"
            )
        made = encoder(config.encoder, task.input_shape, config.filters)
        self.encoder = made if task.regression else Standardised(made)
        self.image = nn.Linear(cast(int, self.encoder.out_features), half)
        nn.init.orthogonal_(self.image.weight)
        if task.regression:
            self.numbers = nn.Linear(task.outputs, half)
        else:
            self.register_buffer("labels", equiangular(task.ways, half))  # (N, C / 2)
        self.blank = nn.Parameter(torch.zeros(half))  # the label of a query
        self.layers = nn.ModuleList(Layer(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        if task.regression:  # a mean, and what makes a standard deviation
            self.output = nn.Linear(config.width, 2 * task.outputs)
            return
        self.output = nn.Linear(config.width, task.ways)
        with torch.no_grad():  # the answer begins as the label vector that is most alike
            labels = cast(Tensor, self.labels)
            self.output.weight.copy_(F.pad(labels, (half, 0)) / math.sqrt(half))

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Keys and values (B, H, S, K) of the support set, for each layer.

        Raises:
            ValueError: for more ways than it was trained with.
        """
        self.check_ways(ways)
        return {"pasts": self._read(self.encoder(support_x), support_y), "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Answered:
        """Logits (B, Q, N), or distributions of numbers (B, Q, E): one token per query."""
        return self._said(self._answer(self.encoder(query_x), state["pasts"]), state["ways"])

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Answered:
        """Logits (B, T, N), or distributions (B, T, E): all steps in parallel in the
        causal form. As a set, every prefix is a support set of its own, but each image is still
        embedded once."""
        self.check_ways(ways)
        z, steps = self.encoder(x), x.shape[1]  # (B, T, D)
        if self.config.form == "causal":
            earlier = torch.ones(steps, steps, dtype=torch.bool, device=x.device).tril(-1)
            return self._said(self._answer(z, self._read(z, y), earlier), ways)
        prefixes = [self._read(z[:, :t], y[:, :t]) for t in range(steps)]
        answers = [self._answer(z[:, t : t + 1], past) for t, past in enumerate(prefixes)]
        return self._said(torch.cat(answers, dim=1), ways)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The cross-entropy of the queries, none of which sees another; online, of every step."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        logits = self._answer(query, self._read(support, batch.support_y))  # (B, Q, N)
        return answer_loss(self._said(logits, batch.ways), batch.query_y)

    def _said(self, outputs: Tensor, ways: int) -> Answered:
        """Logits of so many ways, or distributions."""
        return Normal.read(outputs) if self.task.regression else outputs[..., :ways]

    def _read(self, z: Tensor, y: Tensor) -> list[Past]:
        """Runs the tokens (x_t, y_t); what every layer keeps of them."""
        told = self.numbers(y) if self.task.regression else cast(Tensor, self.labels)[y]
        h = torch.cat([self.image(z), told.to(z.dtype)], dim=-1)  # (B, T, C)
        steps = h.shape[1]
        others = torch.ones(steps, steps, dtype=torch.bool, device=h.device)
        others = others.tril(-1) if self.config.form == "causal" else ~others.tril().triu()
        pasts = []
        for layer in self.layers:
            pasts.append(cast(Layer, layer).past(h))
            h = layer(h, pasts[-1], others)
        return pasts

    def _answer(self, z: Tensor, pasts: list[Past], earlier: Tensor | None = None) -> Tensor:
        """Runs the tokens (x_p, blank), each behind what it may see: outputs (B, P, ...)."""
        blank = self.blank.to(z.dtype).expand(*z.shape[:2], -1)  # (B, P, C / 2)
        h = torch.cat([self.image(z), blank], dim=-1)  # (B, P, C)
        for layer, past in zip(self.layers, pasts, strict=True):
            h = layer(h, past, earlier)
        return self.output(self.norm(h))

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam with a scheduled learning rate."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """K is drawn for each update, so that one training serves 1 shot and 5."""
        if task.regression:
            episodes = config.streams_per_update if task.online else config.episodes_per_update
            return task.but(episodes_per_update=episodes)
        ways = config.training_ways or task.ways
        if task.online:
            length = task.presentations * ways
            return task.but(ways=ways, length=length, episodes_per_update=config.streams_per_update)
        return task.but(
            ways=ways,
            shots=(1, max(config.max_shots, task.shot_range[1])),
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )


class Layer(nn.Module):
    """Attention, then a feed-forward network; each reads a normalised token and adds to it.

    Keys and queries begin as the same orthogonal map. Values begin as an orthogonal map, and
    `merge` as its inverse: what is read arrives in the channels that it came from.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.merge = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        nn.init.orthogonal_(self.query.weight)
        nn.init.orthogonal_(self.value.weight)
        self.key.load_state_dict(self.query.state_dict())
        with torch.no_grad():
            self.merge.weight.copy_(self.value.weight.T)
            self.narrow.weight.mul_(0.1)

    def past(self, h: Tensor) -> Past:
        """(B, T, C) to keys and values, (B, H, T, K) each."""
        h = self.attention_norm(h)
        return self._split(self.key(h)), self._split(self.value(h))

    def forward(self, h: Tensor, past: Past, seen: Tensor | None = None) -> Tensor:
        """Tokens (B, P, C) to (B, P, C). ``seen`` (P, T): which of the past each sees; None: all of
        it. Itself a token always sees."""
        query = self._split(self.query(self.attention_norm(h)))  # (B, H, P, K)
        read = attend(query, self.past(h), past, seen)[0]  # (B, H, P, K)
        h = h + self.merge(read.transpose(1, 2).flatten(2).to(h.dtype))
        return h + self.narrow(F.gelu(self.wide(self.norm(h))))

    def _split(self, h: Tensor) -> Tensor:
        return h.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, K)


def attend(
    query: Tensor, own: Past, past: Past, seen: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention of each token over the past and itself, in float32.

    Args:
        query: (B, H, P, K).
        own: keys and values of the tokens that look, (B, H, P, K) each.
        past: those of the tokens looked at, (B, H, T, K) each.
        seen: (P, T), True where token p sees token t; None: everywhere.

    Returns:
        Read vectors (B, H, P, K); weights (B, H, P, T + 1), each row sums to 1, itself last.
    """
    with torch.autocast(query.device.type, enabled=False):
        query = query.float() / math.sqrt(query.shape[-1])
        (own_key, own_value), (keys, values) = own, past
        scores = query @ keys.float().mT  # (B, H, P, T)
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        own_score = (query * own_key.float()).sum(-1, keepdim=True)  # (B, H, P, 1)
        weights = torch.cat([scores, own_score], dim=-1).softmax(-1)  # over the keys
        read = weights[..., :-1] @ values.float() + weights[..., -1:] * own_value.float()
        return read, weights


def equiangular(count: int, size: int) -> Tensor:
    """Label vectors of one length and with one angle between any two: the corners of a simplex
    around 0 (Fifty et al. 2024), turned at random. Fixed: nothing trains them.

    Args:
        count: vectors (N).
        size: their channels, at least N; their length is its root, so that an entry is about 1.

    Returns:
        (N, size); products of two are ``size``, or ``-size / (N - 1)`` for different ones.
    """
    corners = torch.eye(count) - 1 / max(count, 2)  # a single class has a vector too
    turned = corners @ nn.init.orthogonal_(torch.empty(count, size))
    return turned * math.sqrt(size) / turned.norm(dim=-1, keepdim=True)
