"""Feed-forward: no memory at all. What chance looks like, and the check that labels do not leak.

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065, Table 1.

It sees what a `SequenceLearner` sees at one step, the input and what is told with it, and nothing
else: labels are shuffled per episode, so at any presentation it can only guess.

Letters in shapes: B episodes, T time steps, L label, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Protocol, TaskSpec, option
from bench_plugins.model_based.recurrent_learner import (
    PAPER,
    RecurrentLearner,
    image_encoder,
    per_update,
)


class FeedForward(RecurrentLearner):
    """A perceptron with two hidden layers; its state is empty."""

    family = "model-based"
    contract = 1
    references = (
        'Santoro et al. 2016, "Meta-Learning with Memory-Augmented Neural Networks", ICML, '
        "arXiv:1605.06065",
    )
    presets = {"paper": PAPER}
    protocols: ClassVar[tuple[Protocol, ...]] = ("kshot", "online")

    @dataclass(frozen=True)
    class Config(RecurrentLearner.Config):
        """As many units as the paper's controllers have."""

        hidden: int = option(200, "Units of a hidden layer.")
        lr: float = option(1e-3, "Learning rate at the start.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.encoder = image_encoder(config, task)
        self.input = nn.Linear(cast(int, self.encoder.out_features), config.hidden)
        self.label_input = nn.Linear(self.label_size, config.hidden, bias=False)
        self.middle = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, task.answer_size)

    def encode(self, x: Tensor) -> Tensor:
        """The input's share of the first layer: (B, T, H)."""
        return self.input(self.encoder(x))

    def initial_state(self, batch_size: int) -> tuple[()]:
        """Nothing."""
        return ()

    def step(self, state: tuple[()], z: Tensor, label: Tensor) -> tuple[Tensor, tuple[()]]:
        """Any leading dimensions: (..., H) and (..., L) to logits (..., N)."""
        hidden = F.relu(z + self.label_input(label))  # (..., H)
        return self.output(F.relu(self.middle(hidden))), state

    def feed(self, state: tuple[()], z: Tensor, labels: Tensor) -> tuple[Tensor, tuple[()]]:
        """All steps at once: none depends on another."""
        return self.step(state, z, labels)

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int:
        """100,000 episodes (Table 1)."""
        return 100_000 // per_update(config, task)
