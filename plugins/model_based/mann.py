"""MANN: an LSTM controller with an external memory, addressed by content and by use (LRUA).

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065. Equation numbers below are this paper's.
    Graves, Wayne, Danihelka 2014, "Neural Turing Machines", arXiv:1410.5401: key strengths β.

Equations (2) to (8), read literally, write and then read M_t. Here the heads read M_t-1 and then
write: what is asked for was stored before.

The paper gives all heads the same n least used rows, so that an unused memory gets n equal rows,
and empties one of them. Here each head has a row of its own, and all of them are emptied; the
`paper` preset has the paper's form.

Letters in shapes: B episodes, T time steps, L label, H controller units, R heads, M memory rows,
W width of a row, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import TaskSpec, option
from bench.nn import cosine_similarity
from bench_plugins.model_based import label_strings
from bench_plugins.model_based.recurrent_learner import (
    PAPER,
    image_encoder,
    keep_for_a_step,
    per_update,
)
from bench_plugins.model_based.recurrent_regression import RecurrentRegressor

INITIAL_MEMORY = 1e-6


class Memory(NamedTuple):
    """All that a step leaves to the next one."""

    hidden: Tensor
    """(B, H)"""
    cell: Tensor
    """(B, H)"""
    matrix: Tensor
    """(B, M, W), M_t."""
    read: Tensor
    """(B, R W), r_t of all heads: goes back to the controller."""
    read_weights: Tensor
    """(B, R, M), w^r_t."""
    usage: Tensor
    """(B, M), w^u_t."""
    codes: Tensor
    """(B, N, 25), the strings that name this episode's classes; (B, 0, 25): one-hot labels."""


class MANN(RecurrentRegressor):
    """Each head writes to rows that were least used or just read, and reads by similarity."""

    family = "model-based"
    contract = 2
    references = (
        'Santoro et al. 2016, "Meta-Learning with Memory-Augmented Neural Networks", ICML, '
        "arXiv:1605.06065",
    )
    presets = {"paper": {**PAPER, "own_rows": False, "write_vectors": False, "start": "plain"}}

    @dataclass(frozen=True)
    class Config(RecurrentRegressor.Config):
        """The sizes are the paper's (Section 4.1)."""

        hidden: int = option(200, "Units of the LSTM controller.")
        rows: int = option(128, "Rows of the memory.")
        width: int = option(40, "Width of a row.")
        heads: int = option(4, "Read heads; each also writes.")
        usage_decay: float = option(0.99, "Share of a row's usage that is left after a step (γ).")
        own_rows: bool = option(
            True, "Each head has a least used row of its own; False: all have the same ones."
        )
        write_vectors: bool | None = option(
            None,
            "Write vectors of their own; False: the keys (eq. 8); none: where labels come late.",
        )
        strength: float = option(5.0, "Key strength before training (β).")
        start: Literal["associative", "plain"] = option(
            "associative",
            "Before training, of images: associative (rows of their own, and keys that find them), "
            "or plain.",
        )
        label: Literal["one-hot", "strings"] = option(
            "one-hot", "How labels are told: one-hot, or as strings of five characters."
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.encoder = image_encoder(config, task)
        features = cast(int, self.encoder.out_features)
        units, reads = config.hidden, config.heads * config.width
        self.input = nn.Linear(features, 4 * units)
        self.strings = config.label == "strings" and not task.outputs
        self.label_width = label_strings.SIZE if self.strings else self.label_size
        self.recurrent = nn.Linear(self.label_width + reads + units, 4 * units, bias=False)
        # Of all heads: strengths β, gates α, keys k and, where they are separate, write vectors.
        # With an offset a step asks for its image while it stores the label of the one before.
        own = config.write_vectors
        self.write_vectors = self.offset_labels if own is None else own
        self.sizes = [config.heads, config.heads, reads] + [reads] * self.write_vectors
        self.interface = nn.Linear(units, sum(self.sizes))
        output_size = label_strings.SIZE if self.strings else self.output_size
        self.output = nn.Linear(units + reads, output_size)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        units = self.config.hidden
        for linear in (self.input, self.recurrent, self.interface, self.output):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                linear.bias.zero_()
        for gate in range(4):  # each a matrix of its own
            rows = slice(gate * units, (gate + 1) * units)
            nn.init.xavier_uniform_(self.input.weight[rows], gain=2)  # ink is sparse
            nn.init.xavier_uniform_(self.recurrent.weight[rows, :-units])
            nn.init.orthogonal_(self.recurrent.weight[rows, -units:])
        # One entry of a one-hot label weighs as much as an image.
        nn.init.uniform_(self.recurrent.weight[:, : self.label_width], -1, 1)
        self.interface.bias[: self.config.heads] = self.config.strength
        if self.config.start == "associative" and self.task.protocol != "sequence":
            self._begin_associative()

    def _begin_associative(self) -> None:
        """Heads write to rows of their own, and look for what is written about such an example."""
        weights = self.interface.weight.split(self.sizes)  # strengths, gates, keys, write vectors
        self.interface.bias.split(self.sizes)[1].fill_(-3.0)
        if not self.write_vectors:
            return
        keys, vectors = weights[2], weights[3]
        keys.copy_(vectors)
        if self.offset_labels:
            now, before = keep_for_a_step(self.input, self.recurrent)
            vectors[:, now] = 0
            keys[:, now] = keys[:, before]
            keys[:, now.stop :] = 0

    def encode(self, x: Tensor) -> Tensor:
        """The input's share of the four gates, for all steps at once: (B, T, 4H)."""
        return self.input(self.encoder(x))

    def initial_state(self, batch_size: int) -> Memory:
        """The same for every episode: a small constant in all rows, nothing used."""
        config, zeros = self.config, self.output.weight.new_zeros
        return Memory(
            hidden=zeros(batch_size, config.hidden),
            cell=zeros(batch_size, config.hidden),
            matrix=zeros(batch_size, config.rows, config.width) + INITIAL_MEMORY,
            read=zeros(batch_size, config.heads * config.width),
            read_weights=zeros(batch_size, config.heads, config.rows),
            usage=zeros(batch_size, config.rows),
            codes=zeros(batch_size, 0, label_strings.SIZE),
        )

    def begin(self, first_x: Tensor) -> Memory:
        """The initial state, and with it the strings that name this episode's classes."""
        state = self.initial_state(len(first_x))
        if not self.strings:
            return state
        return state._replace(codes=label_strings.strings(first_x, self.task.ways))

    def step(self, state: Memory, z: Tensor, label: Tensor) -> tuple[Tensor, Memory]:
        """Controller, read, write. ``label`` (B, L) is what is told."""
        if self.strings:
            label = (label[:, None] @ state.codes)[:, 0]  # (B, 25)
        config, shape = self.config, (self.config.heads, self.config.width)
        hidden, cell = self._controller(state, z, label)  # (B, H)
        heads = self.interface(hidden).float().split(self.sizes, dim=1)
        strengths, gate = F.softplus(heads[0]), heads[1].sigmoid()  # (B, R)
        keys = heads[2].unflatten(1, shape).tanh()  # (B, R, W)
        vectors = heads[3].unflatten(1, shape).tanh() if self.write_vectors else keys

        with torch.autocast(z.device.type, enabled=False):  # a memory of 8 bits forgets
            read_weights = address(keys, strengths, state.matrix)  # (B, R, M)
            read = (read_weights @ state.matrix).flatten(1)  # (B, R W), equation (4)
            least = least_used(state.usage, config.heads)  # (B, R, M)
            emptied = least if config.own_rows else least[:, :1]
            if not config.own_rows:
                least = least.sum(1, keepdim=True)  # (B, 1, M)
            # Equation (7): the rows just read, or those least used.
            write_weights = torch.lerp(least, state.read_weights, gate[..., None])  # (B, R, M)
            matrix = write(state.matrix, emptied, write_weights, vectors)  # (B, M, W)
            # Equation (5). Only its order matters, which has no gradient.
            used = (read_weights + write_weights).detach().sum(1)  # (B, M)
            usage = config.usage_decay * state.usage + used

        logits = self.output(torch.cat([hidden, read], dim=1))  # (B, N)
        if self.strings:
            logits = label_strings.scores(logits, state.codes)
        return logits, Memory(hidden, cell, matrix, read, read_weights, usage, state.codes)

    def _controller(self, state: Memory, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """An LSTM of the input, the label before, and what was read before."""
        past = torch.cat([label, state.read, state.hidden], dim=1)  # (B, L + R W + H)
        gates, candidate = (z + self.recurrent(past)).split(
            [3 * self.config.hidden, self.config.hidden], dim=1
        )
        forget, write, out = gates.sigmoid().chunk(3, dim=1)  # (B, H)
        cell = forget * state.cell + write * candidate.tanh()
        return out * cell.tanh(), cell

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """100,000 episodes (Table 1); none for regression."""
        return None if task.regression else 100_000 // per_update(config, task)


def address(keys: Tensor, strengths: Tensor, matrix: Tensor) -> Tensor:
    """Equations (2) and (3): softmax over the rows, once, of their cosines with the key.

    Args:
        keys: (B, R, W).
        strengths: (B, R).
        matrix: (B, M, W).

    Returns:
        Read weights (B, R, M), each row sums to 1.
    """
    # A row hardly written to looks like nothing, not like its direction: cosines fade below 1e-3.
    cosine = cosine_similarity(keys, matrix, eps=1e-3)  # (B, R, M)
    return (strengths[..., None] * cosine).softmax(-1)


def least_used(usage: Tensor, n: int) -> Tensor:
    """Equation (6), in order of use: of (B, M) the least used row, the next one, up to n.

    Returns:
        (B, n, M), each a one-hot vector; n different rows under ties too.
    """
    rows = usage.topk(n, dim=1, largest=False).indices  # (B, n)
    return F.one_hot(rows, usage.shape[1]).to(usage.dtype)


def write(matrix: Tensor, emptied: Tensor, weights: Tensor, vectors: Tensor) -> Tensor:
    """Equation (8), after least used rows were set to zero.

    Args:
        matrix: (B, M, W).
        emptied: (B, n, M), one-hot vectors of the rows to set to zero.
        weights: (B, R, M).
        vectors: (B, R, W).

    Returns:
        (B, M, W).
    """
    keep = 1 - emptied.sum(1)  # (B, M)
    return torch.baddbmm(matrix * keep[..., None], weights.transpose(1, 2), vectors)
