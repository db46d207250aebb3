"""SNAIL: temporal convolutions gather the past, causal attention picks from it.

An episode is one sequence. A step of the support set holds an image and its label, (x_t, y_t); a
query stands behind the last one with its label missing, (x_q, 0), as in the paper (Section 3). No
step looks at a query, so all queries share what the support set leaves behind: for a convolution,
what it brings to the step after the last; for an attention, keys and values. `adapt` computes that
once, and a query costs `predict` one step: 75 queries behind 25 support items take 11 ms on a CPU
core, encoder aside, and 300 ms where each unrolls a sequence of its own.

Online the same holds at every step: (x_t, y_t) is what later steps see, while the answer for x_t
comes from (x_t, 0), standing behind the steps before t. Both are computed for all t at once. The
two views are thereby one function, and a stream trains every prefix in one pass.

Of classes each attention begins as a nearest-neighbour rule: keys and queries are the same
orthogonal projection of the images, a step with a label goes before the query itself, what is read
are labels, and the answer is what was read. Of numbers keys and queries begin as the same
projection of all that a step holds.

In meta-training what is embedded is answered as several times as many episodes, with other
classes, labels, order and shots (`mixed_episodes`): for less than twice the work, and no further
image, four times the answers, half of them with 1 shot.

Not as in the paper: dilations are 1, 2, 4, ..., as Figure 1 draws them. The pseudo-code (Section
3.1) begins with 2, and with a kernel of two taps a TC block would then see every second step only,
though the text says that its receptive field covers the sequence. And no linear layer stands behind
the encoder: all that reads the features is itself affine in them, so that it would add nothing.

References:
    Mishra, Rohaninejad, Chen, Abbeel 2018, "A Simple Neural Attentive Meta-Learner", ICLR,
    arXiv:1707.03141. Sections and figures below are this paper's.

Letters in shapes: B episodes, S support items, Q queries, T time steps, P steps that look back,
C channels, F filters, K key size, V value size, N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

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
from bench_plugins.model_based.mixed_episodes import Embedded, mixed_episodes

SIMILARITY = 8.0
"""The score of an image with itself at the start, and of having a label: e^8 to 1."""

ATTENTIONS = ((64, 32), (256, 128), (512, 256))
"""Key and value sizes; a TC block stands before the second and before the third."""


class DenseBlock(nn.Module):
    """A gated causal convolution of kernel size 2; its output joins its input (Figure 2a).

    The kernel's tap on the present step is `now`. The tap `dilation` steps back, `before`, is
    applied when that step is known, and is all that is kept of it.
    """

    def __init__(self, channels: int, filters: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.now = nn.Linear(channels, 2 * filters)
        self.before = nn.Linear(channels, 2 * filters, bias=False)

    def past(self, h: Tensor) -> Tensor:
        """What each step, and the one after the last, finds `dilation` steps back; zeros before the
        start. (B, T, C) to (B, T + 1, 2F)."""
        return F.pad(self.before(h), (0, 0, self.dilation, 0))[:, : h.shape[1] + 1]

    def forward(self, h: Tensor, past: Tensor, earlier: Tensor | None = None) -> Tensor:
        """(B, P, C) to (B, P, C + F), with ``past`` (B, P or 1, 2F)."""
        content, gate = (self.now(h) + past).chunk(2, dim=-1)  # (B, P, F)
        return torch.cat([h, content.tanh() * gate.sigmoid()], dim=-1)


class AttentionBlock(nn.Module):
    """Attention over the steps before and the step itself; what it reads joins its input (Figure
    2b)."""

    def __init__(self, channels: int, key_size: int, value_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, key_size)
        self.key = nn.Linear(channels, key_size)
        self.value = nn.Linear(channels, value_size)
        for linear, gain in ((self.query, 2.0), (self.value, 0.5)):
            nn.init.orthogonal_(linear.weight, gain)
            nn.init.zeros_(linear.bias)
        self.key.load_state_dict(self.query.state_dict())

    @torch.no_grad()
    def start_as_nearest_neighbour(self, features: int, ways: int) -> None:
        """Lets a step read the labels of the steps whose images are like its own, and not of itself
        if others have one. The first numbers of a step are its image's features, of variance 1, and
        behind them its label.

        Args:
            features: D.
            ways: N; of more labels than there are values the first are read.
        """
        size = self.query.out_features
        compared = min(size - 1, features)
        weight = 0.1 * nn.init.orthogonal_(torch.empty_like(self.query.weight))
        weight[:, features : features + ways] = 0
        weight[:compared] = 0
        weight[-1] = 0
        similar = nn.init.orthogonal_(torch.empty(compared, features))
        # A score is a product over sqrt(K); a row gives a product of 1 in the mean.
        weight[:compared, :features] = similar * math.sqrt(SIMILARITY * math.sqrt(size) / compared)
        self.query.weight.copy_(weight)
        self.key.weight.copy_(weight)
        labelled = math.sqrt(SIMILARITY * math.sqrt(size))
        self.query.bias[-1] = labelled
        self.key.weight[-1, features : features + ways] = labelled
        read = self.read_labels(ways)
        self.value.weight[:read] = 0
        self.value.weight[:read, features : features + read] = torch.eye(read)

    def read_labels(self, ways: int) -> int:
        """As many of the values begin as labels."""
        return min(ways, self.value.out_features)

    def past(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C) to keys (B, T, K) and values (B, T, V)."""
        return self.key(h), self.value(h)

    def forward(
        self, h: Tensor, past: tuple[Tensor, Tensor], earlier: Tensor | None = None
    ) -> Tensor:
        """(B, P, C) to (B, P, C + V). ``earlier`` (P, T): which steps come before; None: all."""
        read, _ = attend(self.query(h), self.key(h), self.value(h), *past, earlier)  # (B, P, V)
        return torch.cat([h, read.to(h.dtype)], dim=-1)


def attend(
    query: Tensor,
    own_key: Tensor,
    own_value: Tensor,
    keys: Tensor,
    values: Tensor,
    earlier: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention of each step over the earlier steps and itself, in float32.

    Args:
        query: (B, P, K).
        own_key: (B, P, K), of the steps that look back.
        own_value: (B, P, V).
        keys: (B, T, K), of the steps looked at.
        values: (B, T, V).
        earlier: (P, T), True where step t comes before step p; None: everywhere.

    Returns:
        Read vectors (B, P, V); weights (B, P, T + 1), each row sums to 1, the step itself last.
    """
    with torch.autocast(query.device.type, enabled=False):
        query = query.float() / math.sqrt(query.shape[-1])
        scores = query @ keys.float().transpose(1, 2)  # (B, P, T)
        if earlier is not None:
            scores = scores.masked_fill(~earlier, -math.inf)
        own_score = (query * own_key.float()).sum(-1, keepdim=True)  # (B, P, 1)
        weights = torch.cat([scores, own_score], dim=-1).softmax(-1)  # over the keys
        read = weights[..., :-1] @ values.float() + weights[..., -1:] * own_value.float()
        return read, weights


class SNAIL(Learner):
    """Attention, temporal convolutions, attention, temporal convolutions, attention, answer."""

    family = "model-based"
    contract = 2
    protocols = ("kshot", "online", "regression", "online-regression")
    references = (
        'Mishra et al. 2018, "A Simple Neural Attentive Meta-Learner", ICLR, arXiv:1707.03141',
    )
    presets = {
        "paper": {
            "dense_filters": 128,
            "max_shots": 5,
            "mixtures": None,
            "training_queries": 1,
            "episodes_per_update": 32,  # as public re-implementations have it
        }
    }
    protocol_defaults = in_regression(encoder="mlp", dense_filters=32, episodes_per_update=16)

    @dataclass(frozen=True)
    class Config:
        """The sizes of the network are the paper's for Omniglot."""

        encoder: EncoderName = option(
            "conv4", "What embeds the images: conv4, or pixels; mlp for vectors."
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        dense_filters: int = option(128, "Channels that each dense block adds (D).")
        max_shots: int = option(5, "Support examples per class in k-shot training: 1 to this many.")
        mixtures: int | None = option(
            4, "Episodes mixed from each embedded one of an update; none: the embedded ones."
        )
        training_queries: int | None = option(
            3, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(4, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(16, "Episodes per update in the online protocol.")
        lr: float = option(1e-3, "Learning rate of Adam at the start.")
        schedule: Schedule = option(
            "linear", "How the learning rate moves over the budget: linear, cosine, constant."
        )
        max_grad_norm: float | None = option(10.0, "Norm the gradient is clipped to; none: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm
        made = encoder(config.encoder, task.input_shape, config.filters)
        self.encoder = made if task.regression else Standardised(made)
        # The longest sequence: a stream, or the largest support set and a query.
        length = task.length or task.ways * task.shot_range[1] + 1
        dilations = [2**block for block in range(math.ceil(math.log2(length)))]  # a TC block
        features = cast(int, self.encoder.out_features)
        channels = features + task.answer_size
        self.layers = nn.ModuleList()
        for key_size, value_size in ATTENTIONS:
            for dilation in dilations if len(self.layers) else ():
                self.layers.append(DenseBlock(channels, config.dense_filters, dilation))
                channels += config.dense_filters
            self.layers.append(AttentionBlock(channels, key_size, value_size))
            channels += value_size
        # Of numbers a mean, and what makes a standard deviation.
        self.output = nn.Linear(channels, 2 * task.outputs if task.regression else task.ways)
        if not task.regression:
            self._start_as_nearest_neighbour(features, task.ways)

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """What each layer keeps of the support set for the step behind it: a tap (B, 1, 2F), or
        keys (B, S, K) and values (B, S, V).

        Raises:
            ValueError: for more ways than it was trained with.
        """
        self.check_ways(ways)
        pasts = self._remember(self.encoder(support_x), support_y)
        return {"pasts": [_at(past, slice(-1, None)) for past in pasts], "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Answered:
        """Logits (B, Q, N), or distributions of numbers (B, Q, E): one step per query."""
        return self._said(self._answer(self.encoder(query_x), state["pasts"]), state["ways"])

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Answered:
        """Logits (B, T, N), or distributions (B, T, E), all steps in parallel."""
        self.check_ways(ways)
        z, steps = self.encoder(x), x.shape[1]  # (B, T, D)
        pasts = [_at(past, slice(steps)) for past in self._remember(z, y)]
        return self._said(self._answer(z, pasts, _earlier(steps, z.device)), ways)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The cross-entropy of the last step only (Section 5.1), where each query is the last step
        of a sequence of its own; online, that of every step."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = embed_together(self.encoder, batch)  # (B, S, D), (B, Q, D)
        if self.task.regression or not self.config.mixtures:
            return self._loss((support, batch.support_y, query, batch.query_y), batch.ways)
        shots = support.shape[1] // batch.ways
        drawn = self.config.mixtures * len(support)
        parts = [(drawn, 1)] if shots == 1 else [(drawn - drawn // 2, shots), (drawn // 2, 1)]
        losses = [
            count * self._loss(mixed_episodes(batch, support, query, count, of), batch.ways)
            for count, of in parts
            if count
        ]
        return torch.stack(losses).sum() / drawn

    def _loss(self, episodes: Embedded, ways: int) -> Tensor:
        support, support_y, query, query_y = episodes
        pasts = self._remember(support, support_y)
        logits = self._answer(query, [_at(past, slice(-1, None)) for past in pasts])
        return answer_loss(self._said(logits, ways), query_y)

    @torch.no_grad()
    def _start_as_nearest_neighbour(self, features: int, ways: int) -> None:
        """Every attention begins as one, and the answer as the sum of what they read."""
        self.output.weight.mul_(0.1)
        self.output.bias.zero_()
        end = features + ways
        for layer in self.layers:
            if isinstance(layer, DenseBlock):
                end += layer.now.out_features // 2
            elif isinstance(layer, AttentionBlock):
                layer.start_as_nearest_neighbour(features, ways)
                read = layer.read_labels(ways)
                self.output.weight[:read, end : end + read] += 3 * torch.eye(read)
                end += layer.value.out_features

    def _said(self, outputs: Tensor, ways: int) -> Answered:
        """Logits of so many ways, or distributions."""
        return Normal.read(outputs) if self.task.regression else outputs[..., :ways]

    def _remember(self, z: Tensor, y: Tensor) -> list[Any]:
        """Runs the steps (x_t, y_t); what every layer keeps of them, for all places at once."""
        told = y if self.task.regression else F.one_hot(y, self.task.ways)
        h = torch.cat([z, told.to(z.dtype)], dim=-1)  # (B, T, C)
        steps = h.shape[1]
        earlier = _earlier(steps, h.device)
        pasts = [cast(Any, self.layers[0]).past(h)]
        for layer, following in pairwise(self.layers):
            h = layer(h, _at(pasts[-1], slice(steps)), earlier)
            pasts.append(cast(Any, following).past(h))
        return pasts

    def _answer(self, z: Tensor, pasts: list[Any], earlier: Tensor | None = None) -> Tensor:
        """Runs the steps (x_p, 0), each behind its own past: logits (B, P, task.ways)."""
        h = torch.cat([z, z.new_zeros(*z.shape[:2], self.task.answer_size)], dim=-1)  # (B, P, C)
        for layer, past in zip(self.layers, pasts, strict=True):
            h = layer(h, past, earlier)
        return self.output(h)

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """K is drawn for each update, so that one training serves 1 shot and 5 (Section 5.1)."""
        if task.online:
            return task.but(episodes_per_update=config.streams_per_update)
        if task.regression:
            return task.but(episodes_per_update=config.episodes_per_update)
        return task.but(
            shots=(1, max(config.max_shots, task.shot_range[1])),
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> None:
        """None: the paper gives no number of updates for few-shot classification."""
        return


def _at(past: Any, places: slice) -> Any:
    """What is found at some places: their taps; keys and values are for all."""
    return past[:, places] if isinstance(past, Tensor) else past


def _earlier(steps: int, device: torch.device) -> Tensor:
    """(T, T), True where the column's step comes before the row's."""
    return torch.ones(steps, steps, dtype=torch.bool, device=device).tril(-1)
