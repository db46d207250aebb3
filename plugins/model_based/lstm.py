"""LSTM: the recurrent baseline of MANN, whose only memory is its state.

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065, Sections 2.2 and 4.1, Table 1.
    Hochreiter, Schmidhuber 1997, "Long Short-Term Memory", Neural Computation 9(8).

What an LSTM can remember lies in its weights, and so does how to look it up: see
`LSTM._begin_associative`.

Letters in shapes: B episodes, T time steps, D features, L label, K layers, H units, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import State, TaskSpec, option
from bench_plugins.model_based.recurrent_learner import (
    PAPER,
    image_encoder,
    per_update,
)
from bench_plugins.model_based.recurrent_regression import RecurrentRegressor


class LSTM(RecurrentRegressor):
    """One call of torch's own LSTM per sequence; `step` is the same call on one time step."""

    family = "model-based"
    contract = 2
    references = (
        'Santoro et al. 2016, "Meta-Learning with Memory-Augmented Neural Networks", ICML, '
        "arXiv:1605.06065",
    )
    presets = {"paper": {**PAPER, "hidden": 200, "layers": 1, "start": "plain"}}

    @dataclass(frozen=True)
    class Config(RecurrentRegressor.Config):
        """Twice the paper's units: an LSTM has nowhere else to keep what it saw."""

        hidden: int = option(400, "Units of a layer.")
        layers: int = option(1, "Layers.")
        start: Literal["associative", "plain"] = option(
            "associative",
            "Before training, of one layer and images: associative (units keep what their class "
            "looked like and compare), or plain.",
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.encoder = image_encoder(config, task)
        features = cast(int, self.encoder.out_features)
        self.lstm = nn.LSTM(
            features + self.label_size, config.hidden, config.layers, batch_first=True
        )
        self.output = nn.Linear(config.hidden, self.output_size)
        self._initialise(features)

    @torch.no_grad()
    def _initialise(self, features: int) -> None:
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
                continue
            for gate in parameter.chunk(4):  # each a matrix of its own
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                elif name == "weight_ih_l0":
                    nn.init.xavier_uniform_(gate[:, :features], gain=2)  # ink is sparse
                    # One entry of a one-hot label has to weigh as much as a whole image.
                    nn.init.uniform_(gate[:, features:], -1, 1)
                else:
                    nn.init.xavier_uniform_(gate)
        nn.init.xavier_uniform_(self.output.weight)
        self.output.bias.zero_()
        plain = self.config.start == "plain" or self.config.layers > 1
        if not plain and not self.task.outputs:
            self._begin_associative(features)

    def _begin_associative(self, features: int) -> None:
        """The units of a class keep features of its examples, and compare a query with them.

        A label opens the input gates of its own class, forget gates are open, and the output gate
        sees in the query what the candidate saw in the example. Of a pair of units one has the
        negative weights of the other: together they answer ``σ(q) tanh(c) + σ(-q) tanh(-c)``, which
        is ``tanh(q / 2) tanh(c)``, positive where query q and memory c agree.

        Where a label comes with the example after its own, a quarter of the units keep an example
        for that one step, and the candidates see it there.

        Left to chance half of a memory is lost at each step, and the gradient has to find labels,
        features and what belongs together at once.
        """
        units, ways, scale = self.config.hidden, self.label_size, 0.1
        late = units // 4 if self.offset_labels else 0
        pairs = (units - late) // (2 * ways)
        if not pairs:
            return
        passing, keeping = slice(late), slice(late, late + 2 * pairs * ways)
        told = slice(features, None)
        # Each (4, H, ...): input gate, forget gate, candidate, output gate.
        weight = self.lstm.get_parameter
        seen = weight("weight_ih_l0").view(4, units, features + ways)
        before = weight("weight_hh_l0").view(4, units, units)
        bias = weight("bias_ih_l0").view(4, units)
        seen[:2] *= scale
        before *= scale
        owner = F.one_hot(torch.arange(ways).repeat_interleave(2 * pairs), ways).float()
        bias[:, keeping] = torch.tensor([-4.0, 5.0, 0.0, 0.0])[:, None]
        seen[0, keeping, told] = 7.0 * owner
        seen[2:, keeping, told] = 0
        if late:
            bias[:, passing] = torch.tensor([3.0, -3.0, 0.0, 3.0])[:, None]
            seen[:, passing, told] = 0
            seen[[0, 1, 3], passing] = 0
            looks = nn.init.orthogonal_(seen.new_empty(pairs, late), gain=2)
            seen[2, keeping, :features] *= scale
            before[2, keeping, passing] = _of_pairs(looks, ways)
            looks = looks @ seen[2, passing, :features]
        else:
            looks = nn.init.xavier_uniform_(seen.new_empty(pairs, features), gain=2)
            seen[2, keeping, :features] = _of_pairs(looks, ways)
        seen[3, keeping, :features] = _of_pairs(looks, ways)
        self.output.weight[:, keeping] *= scale
        self.output.weight[:, keeping] += 10 / pairs * owner.T

    def encode(self, x: Tensor) -> Tensor:
        """Features (B, T, D)."""
        return self.encoder(x)

    def initial_state(self, batch_size: int) -> State:
        """h and c of all layers, (B, K, H) each."""
        zeros = self.output.weight.new_zeros(batch_size, self.config.layers, self.config.hidden)
        return zeros, zeros

    def step(self, state: State, z: Tensor, label: Tensor) -> tuple[Tensor, State]:
        """A sequence of one. ``label`` (B, L) is what is told."""
        output, state = self.feed(state, z[:, None], label[:, None])
        return output[:, 0], state

    def feed(self, state: State, z: Tensor, labels: Tensor) -> tuple[Tensor, State]:
        """A whole sequence in one call; see `SequenceLearner.feed`."""
        hidden, cell = (part.transpose(0, 1).contiguous() for part in state)  # (K, B, H)
        inputs = torch.cat([z, labels], dim=-1)  # (B, T, D + L)
        # Not every CPU that multiplies in bf16 has an LSTM that does.
        with torch.autocast(inputs.device.type, enabled=False):
            output, (hidden, cell) = self.lstm(inputs.float(), (hidden, cell))
        return self.output(output), (hidden.transpose(0, 1), cell.transpose(0, 1))

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """100,000 episodes (Table 1); none for regression."""
        return None if task.regression else 100_000 // per_update(config, task)


def _of_pairs(looks: Tensor, ways: int) -> Tensor:
    """Rows (P, D) and their negatives, one after the other, for each class: (N 2P, D)."""
    return torch.stack([looks, -looks], dim=1).flatten(0, 1).repeat(ways, 1)
