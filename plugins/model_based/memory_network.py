"""End-to-end memory network, read as a few-shot classifier.

The paper's network answers questions from stored sentences. Its use for few-shot classification is
this project's design: what is stored is a support example, the question is a query image, and the
answer its label. Input memory is made of images, output memory of labels; with f the encoder and
y_i one-hot

    m_i = A f(x_i),    c_i = C y_i,    u¹ = B f(x_q),    answer softmax(W u^(K+1)).

Weights are tied over the hops (the paper's layer-wise tying), and as in its adjacent tying the
question is embedded like the memory, B = A, and the answer read off by the output embedding,
W = C^T. So an answer needs no learning where labels are shuffled in every episode: the label that
was read comes out. There is no temporal encoding; the order of the support set does not matter.

Three things are added to the paper. Input embeddings are unit vectors and their products
multiplied by a learned β: plain products of Conv4 features attend to whatever is large. The
embeddings begin orthogonal, images and labels apart, so that at first what a hop reads does not
disturb where the next one looks. And an empty slot, with a learned key and nothing to read, takes
the attention of an image that is like none in memory; online that is what a new class looks like.

References:
    Sukhbaatar, Szlam, Weston, Fergus 2015, "End-To-End Memory Networks", NeurIPS, arXiv:1503.08895.
    Equation numbers below are this paper's.

Letters in shapes: B episodes, S support items, Q queries, T time steps, D features, W width,
N ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, MetaOptimizer, State, Stream, TaskSpec, option
from bench.nn import EncoderName, NoveltyLogit, Schedule, adam, embed_together, encoder


class MemoryNetwork(Learner):
    """Several hops of attention over images that carry labels."""

    family = "model-based"
    contract = 1
    references = (
        'Sukhbaatar et al. 2015, "End-To-End Memory Networks", NeurIPS, arXiv:1503.08895',
    )
    presets = {"paper": {"hops": 3, "training_ways": None}}

    @dataclass(frozen=True)
    class Config:
        """The paper has no images; its preset stands for three hops, and training as many ways as
        tested."""

        encoder: EncoderName = option("conv4", "What embeds the images (f): conv4, or pixels.")
        filters: int = option(64, "Channels of each convolution of conv4.")
        width: int = option(128, "Size of the memory's vectors (d).")
        hops: int = option(2, "Times the memory is read for an answer (K).")
        scale: float = option(10.0, "Before training: β, and the logit of a certain answer.")
        max_shots: int = option(5, "Support examples per class in k-shot training: 1 to this many.")
        training_ways: int | None = option(
            20, "Classes of a k-shot training episode; none: as tested."
        )
        training_queries: int | None = option(
            3, "Queries per class of a k-shot training episode; none: as tested."
        )
        episodes_per_update: int = option(4, "Episodes per update in the k-shot protocol.")
        streams_per_update: int = option(16, "Episodes per update in the online protocol.")
        lr: float = option(2e-3, "Learning rate of Adam at the start.")
        schedule: Schedule = option(
            "linear", "How the learning rate moves over the budget: linear, cosine, constant."
        )
        max_grad_norm: float | None = option(10.0, "Norm the gradient is clipped to; none: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm
        self.encoder = encoder(config.encoder, task.input_shape, config.filters)
        features = cast(int, self.encoder.out_features)
        start = nn.init.orthogonal_(torch.empty(config.width, features + task.ways))
        images, labels = start.split([features, task.ways], dim=1)  # (W, D), (W, N)
        self.A = nn.Parameter(images.clone())
        self.C = nn.Parameter(labels * math.sqrt(config.scale / config.hops))  # |c|² in each hop
        self.H = nn.Parameter(torch.eye(config.width))
        self.log_beta = nn.Parameter(torch.tensor(math.log(config.scale)))
        self.empty = nn.Parameter(torch.zeros(config.width))
        self.novelty = NoveltyLogit(config.scale / 2)

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Input memory (B, S, W), output memory (B, S, W), and which classes are there (B, 1, N).

        Raises:
            ValueError: for more ways than it was trained with.
        """
        self.check_ways(ways)
        return {**self._memory(self._embed(self.encoder(support_x)), support_y), "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        logits = self._answer(self._embed(self.encoder(query_x)), state)  # (B, Q, task.ways)
        return logits[..., : state["ways"]]

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N), all steps at once: step t reads the slots before t."""
        self.check_ways(ways)
        m = self._embed(self.encoder(x))  # (B, T, W)
        member = F.one_hot(y, self.task.ways)  # (B, T, N)
        state = {**self._memory(m, y), "seen": member.cumsum(1) > member}
        earlier = torch.ones(2 * x.shape[1:2], dtype=torch.bool, device=x.device).tril(-1)
        return self._answer(m, state, earlier)[..., :ways]

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The cross-entropy of the queries."""
        if isinstance(batch, Stream):
            return super().loss(batch)
        support, query = map(self._embed, embed_together(self.encoder, batch))  # (B, S or Q, W)
        logits = self._answer(query, self._memory(support, batch.support_y))
        return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())

    def _embed(self, z: Tensor) -> Tensor:
        """A f(x), of length 1 and in float32: (B, S, D) to (B, S, W)."""
        with torch.autocast(z.device.type, enabled=False):
            m = z.float() @ self.A.T  # (B, S, W)
            return m * torch.rsqrt(m.square().sum(-1, keepdim=True) + 1e-6)

    def _memory(self, m: Tensor, y: Tensor) -> dict[str, Tensor]:
        seen = F.one_hot(y, self.task.ways).any(1, keepdim=True)  # (B, 1, N)
        return {"input": m, "output": F.embedding(y, self.C.T), "seen": seen}

    def _answer(self, u: Tensor, state: State, earlier: Tensor | None = None) -> Tensor:
        """Logits (B, Q, task.ways) of the questions ``u`` (B, Q, W).

        ``earlier`` (Q, S) says which slots a question may read; None: all.
        """
        with torch.autocast(u.device.type, enabled=False):
            empty = self.empty.expand(len(u), 1, -1)
            keys = self.log_beta.exp() * torch.cat([state["input"], empty], dim=1)  # (B, S + 1, W)
            for _ in range(self.config.hops):
                p = attention(u, keys, earlier)  # (B, Q, S + 1)
                o = p[..., :-1] @ state["output"]  # (B, Q, W), equation (2); the last slot is empty
                u = u @ self.H.T + o  # equation (4), with the H of layer-wise tying
            return self.novelty(u @ self.C, state["seen"])  # W u^(K+1), W = C^T

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam; the learning rate follows the schedule."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More ways than in the test, and shots drawn for each update: one training for 1 and 5."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.streams_per_update)
        return task.but(
            ways=max(config.training_ways or 0, task.ways),
            shots=(1, max(config.max_shots, task.shot_range[1])),
            queries=config.training_queries or task.queries,
            episodes_per_update=config.episodes_per_update,
        )


def attention(u: Tensor, keys: Tensor, earlier: Tensor | None = None) -> Tensor:
    """Equation (1): softmax over the slots of the products with the question.

    Args:
        u: (B, Q, W).
        keys: (B, S + 1, W), the empty slot last.
        earlier: (Q, S), which slots a question may read, the empty one always; None: all.

    Returns:
        (B, Q, S + 1), each row sums to 1.
    """
    scores = u @ keys.transpose(1, 2)  # (B, Q, S + 1)
    if earlier is not None:
        scores = scores.masked_fill(~F.pad(earlier, (0, 1), value=True), -math.inf)
    return scores.softmax(-1)
