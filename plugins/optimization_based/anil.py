"""ANIL (almost no inner loop): MAML whose inner loop adapts the head only.

The features of the support set are computed once, so that an inner step costs next to nothing.

References:
    Raghu, Raghu, Bengio, Vinyals 2020, "Rapid Learning or Feature Reuse? Towards Understanding the
    Effectiveness of MAML", ICLR, arXiv:1909.09157. Section 4 defines ANIL.
    Ye, Chao 2022, "How to Train Your MAML to Excel in Few-Shot Classification", ICLR,
    arXiv:2106.16245: one head vector for all classes (UNICORN-MAML).

Letters in shapes: B tasks, S support items, F features, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bench.api import State, in_regression, option
from bench_plugins.optimization_based.maml import MAML, REGRESSION
from bench_plugins.optimization_based.task_network import Weights


class ANIL(MAML):
    """A meta-learned body, and a head that gradient descent fits to the support set."""

    contract = 2
    references = (
        'Raghu et al. 2020, "Rapid Learning or Feature Reuse? Towards Understanding the '
        'Effectiveness of MAML", ICLR, arXiv:1909.09157',
        'Ye and Chao 2022, "How to Train Your MAML to Excel in Few-Shot Classification", ICLR, '
        "arXiv:2106.16245",
        *MAML.references,
    )
    presets = {  # MAML's settings, which the paper keeps
        name: {"inner_lr": 0.4, "inner_steps": 1, "inner_steps_test": 3, **preset}
        for name, preset in MAML.presets.items()
    }
    protocol_defaults = in_regression(**{**REGRESSION, "inner_lr": 0.1})

    @dataclass(frozen=True)
    class Config(MAML.Config):
        """MAML's, with larger and more inner steps."""

        inner_lr: float = option(1.0, "Step size of the inner loop (α), or where it starts.")
        inner_steps: int = option(5, "Inner gradient steps in meta-training.")
        inner_steps_test: int = option(10, "Inner gradient steps in meta-test.")

    def _adaptable(self) -> list[str]:
        return ["head", "bias"]

    def _adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The inner loop on the last layer; the body stays as it was meta-trained.

        Returns:
            θ with the adapted head, and the statistics of the support set.
        """
        inputs = self.network.inputs(support_x)
        theta = self._initial_weights(inputs, support_y, ways)
        features, statistics = self.network.features(inputs, theta)  # (B, S, F)

        def answers(head: Weights, step: int) -> tuple[Tensor, Tensor]:
            return self.network.head(features, head), support_y

        head = self._inner_loop(answers, {name: theta[name] for name in self._adaptable()})
        return {"weights": theta | head, "statistics": None if self.transductive else statistics}
