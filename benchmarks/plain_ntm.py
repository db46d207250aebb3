"""A neural Turing machine as one would write it down, head by head and step by step: what `ntm` is
measured against. The same function as `ntm` from the same weights.

References:
    Graves, Wayne, Danihelka 2014, "Neural Turing Machines", arXiv:1410.5401. Equation numbers below
    are this paper's.

Letters in shapes: B episodes, T time steps, L label, C controller units, M memory rows, W width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Head(nn.Module):
    """A head: its part of the interface, and where it is."""

    def __init__(self, units: int, width: int, shift: int, writes: bool) -> None:
        super().__init__()
        sizes = [width, 1, 1, 2 * shift + 1, 1] + [width, width] * writes
        self.parts = nn.ModuleList(nn.Linear(units, size) for size in sizes)
        self.shift = shift

    def address(self, hidden: Tensor, memory: Tensor, before: Tensor) -> Tensor:
        """Equations (5) to (9): where it is now, (B, M)."""
        key = torch.tanh(self.parts[0](hidden))  # (B, W)
        strength = F.softplus(self.parts[1](hidden))  # (B, 1)
        gate = torch.sigmoid(self.parts[2](hidden))  # (B, 1)
        shifts = torch.softmax(self.parts[3](hidden), dim=1)  # (B, S)
        power = 1 + F.softplus(self.parts[4](hidden))  # (B, 1)
        lengths = (memory.pow(2).sum(2) + 1e-6).sqrt() * (key.pow(2).sum(1, True) + 1e-6).sqrt()
        cosine = (memory * key.unsqueeze(1)).sum(2) / lengths  # (B, M)
        content = torch.softmax(strength * cosine, dim=1)
        weights = gate * content + (1 - gate) * before
        moved = torch.zeros_like(weights)
        for place, offset in enumerate(range(-self.shift, self.shift + 1)):
            moved = moved + shifts[:, place : place + 1] * torch.roll(weights, offset, dims=1)
        sharp = (moved + 1e-12) ** power
        return sharp / sharp.sum(1, keepdim=True)

    def changes(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """What it erases and what it adds, (B, W) each."""
        return torch.sigmoid(self.parts[5](hidden)), torch.tanh(self.parts[6](hidden))


class PlainNTM(nn.Module):
    """An LSTM cell, heads that read and heads that write.

    Args:
        learner: an `ntm` with an LSTM controller, pixels and a constant memory, from which the
            weights are taken.
    """

    def __init__(self, learner: Any) -> None:
        super().__init__()
        config, self.ways = learner.config, learner.label_size
        self.rows, self.width, self.units = config.rows, config.width, config.hidden
        features = learner.input.in_features
        reads = config.read_heads * config.width
        self.cell = nn.LSTMCell(features + self.ways + reads, self.units)
        make = (self.units, self.width, config.shift)
        self.readers = nn.ModuleList(Head(*make, False) for _ in range(config.read_heads))
        self.writers = nn.ModuleList(Head(*make, True) for _ in range(config.write_heads))
        self.output = nn.Linear(self.units + reads, learner.output_size)
        self.initial: Tensor
        self.register_buffer("initial", learner.initial.clone())
        self._take(learner)

    @torch.no_grad()
    def _take(self, learner: Any) -> None:
        """The weights of a learner, whose gates are forget, input, output and candidate; a cell's
        are input, forget, candidate, output."""

        def gates(weight: Tensor) -> Tensor:
            forget, write, out, candidate = weight.chunk(4)
            return torch.cat([write, forget, candidate, out])

        past = learner.recurrent.weight
        self.cell.weight_ih.copy_(
            gates(torch.cat([learner.input.weight, past[:, : -self.units]], dim=1))
        )
        self.cell.weight_hh.copy_(gates(past[:, -self.units :]))
        self.cell.bias_ih.copy_(gates(learner.input.bias))
        self.cell.bias_hh.zero_()
        self.output.load_state_dict(learner.output.state_dict())
        weights, biases = (
            one.split(learner.sizes) for one in (learner.interface.weight, learner.interface.bias)
        )
        everyone = [*self.readers, *self.writers]
        for part, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            heads: Any = everyone if part < 5 else list(self.writers)
            size = len(bias) // len(heads)
            for number, head in enumerate(heads):
                own = slice(number * size, (number + 1) * size)
                head.parts[part].weight.copy_(weight[own])
                head.parts[part].bias.copy_(bias[own])

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Logits (B, T, N) for images (B, T, *input_shape); labels (B, T) come a step late."""
        episodes = len(x)
        hidden = cell = x.new_zeros(episodes, self.units)
        memory = self.initial.expand(episodes, -1, -1)
        first = torch.zeros(episodes, self.rows, device=x.device)
        first[:, 0] = 1
        places = [first for _ in range(len(self.readers) + len(self.writers))]
        read = x.new_zeros(episodes, len(self.readers) * self.width)
        answers = []
        for t in range(x.shape[1]):
            told = x.new_zeros(episodes, self.ways)
            if t:
                told = F.one_hot(labels[:, t - 1], self.ways).to(x.dtype)
            inputs = torch.cat([x[:, t].flatten(1), told, read], dim=1)
            hidden, cell = self.cell(inputs, (hidden, cell))
            heads: list[Any] = [*self.readers, *self.writers]
            places = [
                head.address(hidden, memory, before)
                for head, before in zip(heads, places, strict=True)
            ]
            looked = [torch.bmm(place.unsqueeze(1), memory).squeeze(1) for place in places]
            read = torch.cat(looked[: len(self.readers)], dim=1)  # equation (2)
            changed = memory
            written = [
                (place, *head.changes(hidden))
                for head, place in zip(
                    heads[len(self.readers) :], places[len(self.readers) :], strict=True
                )
            ]
            for place, erase, _ in written:  # equation (3)
                changed = changed * (1 - place.unsqueeze(2) * erase.unsqueeze(1))
            for place, _, add in written:  # equation (4)
                changed = changed + place.unsqueeze(2) * add.unsqueeze(1)
            memory = changed
            answers.append(self.output(torch.cat([hidden, read], dim=1)))
        return torch.stack(answers, dim=1)
