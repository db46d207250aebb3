"""From scratch: a network with random weights, trained on the points of each task alone.

What MAML's meta-learned start is worth is what it is better than this by: the network, the loss and
the inner steps are the same. Nothing is meta-trained.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400, Section 5.1: the task and the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bench.api import TaskSpec, option
from bench_plugins.optimization_based.maml import MAML


class FromScratch(MAML):
    """Gradient descent from random weights, which are the same for every task."""

    contract = 2
    references = MAML.references[:1]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {}}
    trained = False
    protocols = ("regression", "online-regression")
    protocol_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @dataclass(frozen=True)
    class Config:
        """MAML's for regression."""

        filters: int = option(40, "Units of each of the two hidden layers.")
        inner_lr: float = option(0.01, "Step size of gradient descent.")
        inner_steps_test: int = option(5, "Gradient steps.")

        # What `MAML` asks for, and a learner without meta-training has no use for.
        encoder: ClassVar[str] = "mlp"
        inner_steps: ClassVar[int] = 0
        learned_rates: ClassVar[bool] = False
        shared_head: ClassVar[bool] = False
        transductive: ClassVar[bool] = False
        max_grad_norm: ClassVar[None] = None

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.requires_grad_(False)

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """There is no training."""
        return task

    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> None:
        """There is no training."""
        return
