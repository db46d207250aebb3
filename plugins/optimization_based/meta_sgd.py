"""Meta-SGD: MAML that meta-learns, with the initialisation, a step size for every weight.

A rate may have either sign: the inner loop learns a direction too, not only a size of its steps.

References:
    Li, Zhou, Chen, Li 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning",
    arXiv:1707.09835. Equation numbers below are this paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bench.api import TaskSpec, in_regression, option
from bench_plugins.optimization_based.maml import MAML, REGRESSION
from bench_plugins.optimization_based.task_network import Weights


class MetaSGD(MAML):
    """θ' = θ - α ∘ ∇L(θ), equation (2), with θ and α meta-learned."""

    contract = 2
    references = (
        'Li et al. 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", '
        "arXiv:1707.09835",
        *MAML.references,
    )
    presets = {
        "paper": {  # one step, also in meta-test
            "encoder": "conv4-strided",
            "inner_steps_test": 1,
            "transductive": True,
            "max_grad_norm": None,
            "schedule": "constant",
        }
    }
    protocol_defaults = in_regression(  # one step, as the paper has it for sine waves (Section 4.1)
        **{**REGRESSION, "inner_steps": 1, "inner_steps_test": 1}
    )

    @dataclass(frozen=True)
    class Config(MAML.Config):
        """MAML's; every step takes the same rates."""

        inner_lr: float = option(0.4, "Step size that those of the inner loop (α) start from.")
        learned_rates: bool = option(False, "Not here: every weight has a rate of its own.")

        def __post_init__(self) -> None:
            if self.learned_rates:
                raise ValueError("meta-sgd has a rate for every weight in place of learned_rates")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.alpha = nn.ParameterDict(
            {name: torch.full_like(p, config.inner_lr) for name, p in self.theta.items()}
        )

    def _gradient_descent(self, weights: Weights, gradients: Weights, step: int) -> Weights:
        """Equation (2). With fewer ways than trained the head's last rates are idle."""
        updated = {}
        for name, w in weights.items():
            alpha = self.alpha[name]
            if name in ("head", "bias") and not self.config.shared_head:
                alpha = alpha[..., : w.shape[-1]]
            updated[name] = w - alpha * gradients[name]
        return updated

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """The paper names none for Omniglot."""
        return None
