"""NTM: a controller whose heads read and write an external memory, by content and by location.

References:
    Graves, Wayne, Danihelka 2014, "Neural Turing Machines", arXiv:1410.5401. Equation numbers below
    are this paper's.
    Collier, Beel 2018, "Implementing Neural Turing Machines", ICANN, arXiv:1807.08518: the memory
    starts as a small constant; Adam at 1e-3, batches of 32, gradients clipped.

All heads address M_t-1; what the paper leaves open is done so: they read it, and then write M_t.
With equal rows and an even weighting no head could ever tell two rows apart, so that all heads
start on row 0. How the interface starts is ours too: see `NTM._begin_associative`.

Letters in shapes: B episodes, T time steps, L label, C controller units, H heads (R that read, then
P that write), M memory rows (the paper's N), W width of a row (the paper's M), S shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import TaskSpec, option
from bench.nn import cosine_similarity
from bench_plugins.model_based.recurrent_learner import (
    PAPER,
    image_encoder,
    keep_for_a_step,
)
from bench_plugins.model_based.recurrent_regression import RecurrentRegressor

INITIAL_MEMORY = 1e-6


class Memory(NamedTuple):
    """All that a step leaves to the next one."""

    hidden: Tensor
    """(B, C), of an LSTM controller."""
    cell: Tensor
    """(B, C), of an LSTM controller."""
    matrix: Tensor
    """(B, M, W), M_t."""
    read: Tensor
    """(B, R W), r_t of all heads: goes back to the controller."""
    weights: Tensor
    """(B, H, M), w_t of all heads."""


class NTM(RecurrentRegressor):
    """A head finds its row by what is in it, or by a shift from the row it was on."""

    family = "model-based"
    contract = 2
    references = (
        'Graves et al. 2014, "Neural Turing Machines", arXiv:1410.5401',
        'Collier and Beel 2018, "Implementing Neural Turing Machines", ICANN, arXiv:1807.08518',
    )
    presets = {
        "paper": {
            **PAPER,
            "hidden": 100,
            "width": 20,
            "read_heads": 1,
            "max_grad_norm": 10.0,
            "start": "plain",
        }
    }

    @dataclass(frozen=True)
    class Config(RecurrentRegressor.Config):
        """The sizes are MANN's; the paper's for `copy` are in the preset (Table 2)."""

        max_grad_norm: float | None = option(
            1.0, "Norm that the gradient is clipped to; none: never."
        )
        controller: Literal["lstm", "feedforward"] = option("lstm", "lstm, or feedforward.")
        hidden: int = option(200, "Units of the controller.")
        rows: int = option(128, "Rows of the memory (N).")
        width: int = option(40, "Width of a row (M).")
        read_heads: int = option(4, "Heads that read.")
        write_heads: int = option(1, "Heads that write.")
        shift: int = option(1, "How far a head can shift in a step: 1 allows -1, 0 and 1.")
        memory: Literal["constant", "learned", "random"] = option(
            "constant", "What an episode starts with: constant (1e-6), learned, or random."
        )
        strength: float = option(8.0, "Key strength before training (β).")
        start: Literal["associative", "plain"] = option(
            "associative",
            "Before training, of images: associative (heads write row after row and read by "
            "content), or plain.",
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.encoder = image_encoder(config, task)
        units, reads = config.hidden, config.read_heads * config.width
        self.heads = config.read_heads + config.write_heads
        past, gates = self.label_size + reads, units
        if config.controller == "lstm":
            past, gates = past + units, 4 * units
        self.input = nn.Linear(cast(int, self.encoder.out_features), gates)
        self.recurrent = nn.Linear(past, gates, bias=False)
        # Of all heads: keys k, strengths β, gates g, shifts s, sharpening γ (equations 5 to 9); of
        # the write heads: erase and add vectors (equations 3 and 4).
        self.shape = (self.heads, config.width)
        self.sizes = [self.heads * size for size in (config.width, 1, 1, 2 * config.shift + 1, 1)]
        self.sizes += [config.write_heads * config.width] * 2
        self.interface = nn.Linear(units, sum(self.sizes))
        self.output = nn.Linear(units + reads, self.output_size)
        content = torch.full((config.rows, config.width), INITIAL_MEMORY)
        if config.memory == "learned":
            self.initial = nn.Parameter(content)
        else:
            random = config.memory == "random"
            self.register_buffer("initial", torch.randn_like(content) / 2 if random else content)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for linear in (self.input, self.recurrent, self.interface, self.output):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                linear.bias.zero_()
        units = self.config.hidden
        for gate in range(len(self.input.weight) // units):  # each a matrix of its own
            rows = slice(gate * units, (gate + 1) * units)
            nn.init.xavier_uniform_(self.input.weight[rows], gain=2)  # ink is sparse
            nn.init.xavier_uniform_(self.recurrent.weight[rows])
            if self.config.controller == "lstm":
                nn.init.orthogonal_(self.recurrent.weight[rows, -units:])
        # One entry of a one-hot label has to weigh as much as a whole image.
        nn.init.uniform_(self.recurrent.weight[:, : self.label_size], -1, 1)
        keys = self.sizes[0]
        self.interface.bias[keys : keys + self.heads] = self.config.strength
        if self.config.start == "associative" and self.task.protocol != "sequence":
            self._begin_associative()

    def _begin_associative(self) -> None:
        """Every example gets a row of its own, and a head that reads looks for what is written
        about such an example.

        Left to chance a write head stays where it is, on row 0, and no gradient tells it to move
        before something is read that depends on it.
        """
        reading, shift = self.config.read_heads, self.config.shift
        weights, biases = (
            part.split(self.sizes) for part in (self.interface.weight, self.interface.bias)
        )
        keys, strengths, gates, shifts, sharpening, erase, add = range(7)
        for part in (strengths, gates, shifts, sharpening, erase):  # the same at every step, nearly
            weights[part].mul_(0.1)
        biases[gates][:reading] = 3.0  # by content
        biases[gates][reading:] = -3.0  # from the row before
        moves = biases[shifts].view(self.heads, -1)  # (H, S)
        moves[:reading, shift] = 4.0  # no shift
        moves[reading:, shift + 1] = 4.0  # one row on
        biases[sharpening][reading:] = 3.0
        biases[erase].fill_(-3.0)
        first = weights[add][: self.config.width]  # (W, C), of the first write head
        looks = first.clone()
        if self.offset_labels and self.config.controller == "lstm":
            now, before = keep_for_a_step(self.input, self.recurrent)
            first[:, now] = 0
            looks[:, now] = looks[:, before]
            looks[:, now.stop :] = 0
        weights[keys].view(self.heads, self.config.width, -1)[:reading] = looks

    def encode(self, x: Tensor) -> Tensor:
        """The input's share of the controller's gates, for all steps at once: (B, T, 4C or C)."""
        return self.input(self.encoder(x))

    def initial_state(self, batch_size: int) -> Memory:
        """Every head on row 0 of the initial memory, nothing read yet."""
        config, zeros = self.config, self.output.weight.new_zeros
        matrix = self.initial.expand(batch_size, -1, -1)
        if config.memory == "random" and self.training:
            matrix = torch.randn_like(matrix) / 2  # in eval() one draw, so that answers are stable
        weights = zeros(batch_size, self.heads, config.rows)
        weights[..., 0] = 1
        return Memory(
            hidden=zeros(batch_size, config.hidden),
            cell=zeros(batch_size, config.hidden),
            matrix=matrix,
            read=zeros(batch_size, config.read_heads * config.width),
            weights=weights,
        )

    def step(self, state: Memory, z: Tensor, label: Tensor) -> tuple[Tensor, Memory]:
        """Controller, addressing, read, write. ``label`` (B, L) is what is told."""
        reading = self.config.read_heads
        hidden, cell = self._controller(state, z, label)  # (B, C)
        parts = self.interface(hidden).float().split(self.sizes, dim=1)
        keys = parts[0].unflatten(1, self.shape).tanh()  # (B, H, W)
        strengths, gates = F.softplus(parts[1]), parts[2].sigmoid()  # (B, H)
        shifts = parts[3].unflatten(1, (self.heads, -1)).softmax(-1)  # (B, H, S)
        sharpening = 1 + F.softplus(parts[4])  # (B, H)
        erase, add = (part.unflatten(1, (-1, self.shape[1])) for part in parts[5:])  # (B, P, W)

        with torch.autocast(z.device.type, enabled=False):  # a memory of 8 bits forgets
            similar = content(state.matrix, keys, strengths)  # (B, H, M)
            near = interpolate(state.weights, similar, gates)  # (B, H, M)
            weights = sharpen(rotate(near, shifts), sharpening)  # (B, H, M)
            read = (weights[:, :reading] @ state.matrix).flatten(1)  # (B, R W), equation (2)
            matrix = write(state.matrix, weights[:, reading:], erase.sigmoid(), add.tanh())

        logits = self.output(torch.cat([hidden, read], dim=1))  # (B, answer_size)
        return logits, Memory(hidden, cell, matrix, read, weights)

    def _controller(self, state: Memory, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """An LSTM, or one layer, of the input, the label before and what was read before."""
        past = torch.cat([label, state.read], dim=1)  # (B, L + R W)
        if self.config.controller == "feedforward":
            return (z + self.recurrent(past)).tanh(), state.cell
        gates, candidate = (z + self.recurrent(torch.cat([past, state.hidden], dim=1))).split(
            [3 * self.config.hidden, self.config.hidden], dim=1
        )
        forget, write, out = gates.sigmoid().chunk(3, dim=1)  # (B, C)
        cell = forget * state.cell + write * candidate.tanh()
        return out * cell.tanh(), cell

    @torch.no_grad()
    def weightings(self, x: Tensor) -> dict[str, Tensor]:
        """Where each head was at each step of memory probes, for a picture (Figures 6 and 12).

        Args:
            x: (B, T, D).

        Returns:
            (B, T, M) for each head: "read" and "write", or "read 1", "read 2", ...
        """
        state, label, steps = self.begin(x[:, 0]), x.new_zeros(len(x), self.label_size), []
        for z in self.encode(x).unbind(1):
            _, state = self.step(state, z, label)
            steps.append(state.weights)
        counts = {"read": self.config.read_heads, "write": self.config.write_heads}
        names = [
            f"{name} {i + 1}" if n > 1 else name for name, n in counts.items() for i in range(n)
        ]
        return dict(zip(names, torch.stack(steps, dim=1).unbind(2), strict=True))

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """A million sequences (Figures 3 and 10). The paper knows no images."""
        return 1_000_000 // config.streams_per_update if task.protocol == "sequence" else None


def content(matrix: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """Equations (5) and (6): softmax over the rows of their cosines with the key.

    Args:
        matrix: (B, M, W).
        keys: (B, H, W).
        strengths: (B, H).

    Returns:
        (B, H, M), each row sums to 1.
    """
    # A row hardly written to looks like nothing, not like its direction: cosines fade below 1e-3.
    cosine = cosine_similarity(keys, matrix, eps=1e-3)  # (B, H, M)
    return (strengths[..., None] * cosine).softmax(-1)


def interpolate(before: Tensor, similar: Tensor, gates: Tensor) -> Tensor:
    """Equation (7): an open gate (B, H) goes by content, a closed one stays on w_t-1."""
    return torch.lerp(before, similar, gates[..., None])


def rotate(weights: Tensor, shifts: Tensor) -> Tensor:
    """Equation (8): circular convolution; shifts (B, H, S) are those by -1, 0, 1, or further."""
    furthest = shifts.shape[-1] // 2
    offsets = range(-furthest, furthest + 1)
    moved = [s * weights.roll(o, -1) for s, o in zip(shifts.split(1, -1), offsets, strict=True)]
    return reduce(torch.add, moved)  # (B, H, M)


def sharpen(weights: Tensor, powers: Tensor) -> Tensor:
    """Equation (9): w**γ, normalised, as a softmax of γ log w. Powers are (B, H), at least 1."""
    # w**γ has no finite gradient in γ at w = 0, where almost all rows are.
    return (powers[..., None] * (weights + 1e-12).log()).softmax(-1)


def write(matrix: Tensor, weights: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """Equations (3) and (4): all heads erase, and then all add; their order does not matter.

    Args:
        matrix: (B, M, W).
        weights: (B, P, M).
        erase: (B, P, W) in [0, 1].
        add: (B, P, W).

    Returns:
        (B, M, W).
    """
    for share in (weights[..., None] * erase[:, :, None]).unbind(1):  # (B, M, W) of each head
        matrix = torch.addcmul(matrix, matrix, share, value=-1)
    return torch.baddbmm(matrix, weights.transpose(1, 2), add)
