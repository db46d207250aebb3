"""LSTM: the recurrent baseline of MANN, whose only memory is its state.

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065, Sections 2.2 and 4.1, Table 1.
    Hochreiter, Schmidhuber 1997, "Long Short-Term Memory", Neural Computation 9(8).

The paper's LSTM reaches 49.5 % at the second presentation and 62.5 % at the tenth. With 200 units
as there and Adam at a constant 3e-3 it was at 71.8 % and 84.1 % (200 meta-validation episodes of
`omniglot-online`, one seed) after 10,000 updates of 16 episodes, in 206 s on one core.

Letters in shapes: B episodes, T time steps, D features, L label, K layers, H units, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from bench.api import State, TaskSpec, option, previous_labels
from bench.nn import EncoderName, encoder
from bench_plugins.model_based.recurrent_learner import RecurrentLearner


class LSTM(RecurrentLearner):
    """One call of torch's own LSTM per sequence; `step` is the same call on one time step."""

    family = "model-based"
    contract = 1
    references = (
        'Santoro et al. 2016, "Meta-Learning with Memory-Augmented Neural Networks", ICML, '
        "arXiv:1605.06065",
    )
    presets = {
        "paper": {"hidden": 200, "layers": 1, "optimizer": "rmsprop", "lr": 1e-4, "decay": False}
    }

    @dataclass(frozen=True)
    class Config:
        """Twice the paper's units: an LSTM has nowhere else to keep what it saw."""

        encoder: EncoderName = option("pixels", "What the LSTM sees: pixels, or conv4.")
        hidden: int = option(400, "Units of a layer.")
        layers: int = option(1, "Layers.")
        batch: int = option(16, "Episodes per update.")
        training_queries: int = option(1, "Queries per class of a k-shot training episode.")
        optimizer: Literal["adam", "rmsprop"] = option("adam", "adam, or rmsprop with momentum.")
        lr: float = option(3e-3, "Learning rate at the start.")
        decay: bool = option(True, "The learning rate falls linearly to zero.")
        max_grad_norm: float = option(10.0, "Norm the gradient is clipped to; 0: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.max_grad_norm = config.max_grad_norm or None
        self.encoder = encoder(config.encoder, task.input_shape)
        features = cast(int, self.encoder.out_features)
        self.lstm = nn.LSTM(
            features + self.label_size, config.hidden, config.layers, batch_first=True
        )
        self.output = nn.Linear(config.hidden, task.answer_size)
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

    def encode(self, x: Tensor) -> Tensor:
        """Features (B, T, D)."""
        return self.encoder(x)

    def initial_state(self, batch_size: int) -> State:
        """h and c of all layers, (B, K, H) each."""
        zeros = self.output.weight.new_zeros(batch_size, self.config.layers, self.config.hidden)
        return zeros, zeros

    def step(self, state: State, z: Tensor, label: Tensor) -> tuple[Tensor, State]:
        """A sequence of one. ``label`` (B, L) is the one of the step before."""
        output, state = self._run(state, z[:, None], label[:, None])
        return output[:, 0], state

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The support set in one call; the last label stays pending."""
        self.check_ways(ways)
        label = self.label(support_y)
        first = self.begin(support_x[:, 0])
        _, memory = self._run(first, self.encode(support_x), previous_labels(label))
        return {"memory": memory, "pending": label[:, -1], "ways": ways}

    def _steps(self, x: Tensor, labels: Tensor) -> Tensor:
        """A stream, or a memory probe, in one call."""
        return self._run(self.begin(x[:, 0]), self.encode(x), labels)[0]

    def _run(self, state: State, z: Tensor, labels: Tensor) -> tuple[Tensor, State]:
        """z (B, T, D) and labels (B, T, L) from a state on; all logits and the last state."""
        hidden, cell = (part.transpose(0, 1).contiguous() for part in state)  # (K, B, H)
        inputs = torch.cat([z, labels], dim=-1)  # (B, T, D + L)
        output, (hidden, cell) = self.lstm(inputs, (hidden, cell))
        return self.output(output), (hidden.transpose(0, 1), cell.transpose(0, 1))

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int:
        """100,000 episodes (Table 1)."""
        return 100_000 // config.batch
