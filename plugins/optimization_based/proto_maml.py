"""Proto-MAML: the inner loop of MAML, from a head that is a prototypical network's.

A prototypical network is linear in its features: -|x - c|² is 2 c · x - |c|² and a term that all
classes share. MAML starts from that head, made of the support set at θ, and adapts all weights. The
meta-gradient flows through the prototypes; an inner gradient takes the head for weights of its own.

References:
    Triantafillou et al. 2020, "Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few
    Examples", ICLR, arXiv:1903.03096, Section 3.2.
    Snell, Swersky, Zemel 2017, "Prototypical Networks for Few-shot Learning", NeurIPS,
    arXiv:1703.05175, Section 2.4 with equation (8): the linear form.

Letters in shapes: B tasks, S support items, F features, N ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from bench.api import Learner, TaskSpec, option
from bench.nn import NoveltyLogit, class_means
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.task_network import Weights


class ProtoMAML(MAML):
    """MAML whose head starts from prototypes: w_k = 2 c_k, b_k = -|c_k|²."""

    contract = 1
    references = (
        'Triantafillou et al. 2020, "Meta-Dataset: A Dataset of Datasets for Learning to Learn '
        'from Few Examples", ICLR, arXiv:1903.03096',
        *MAML.references,
    )
    protocols = Learner.protocols  # a prototype is of a class
    protocol_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    order_invariant = True
    label_equivariant = True
    presets = {
        "paper": {"first_order": True, "max_grad_norm": None},  # fo-Proto-MAML, Section 4
    }

    @dataclass(frozen=True)
    class Config(MAML.Config):
        """MAML's, with a smaller inner step: the head is right from the start."""

        inner_lr: float = option(0.1, "Step size of the inner loop (α), or where it starts.")
        learned_rates: bool = option(
            False, "Meta-learn a step size for every tensor and inner step, from α on (MAML++)."
        )

        def __post_init__(self) -> None:
            if self.shared_head:
                raise ValueError("proto-maml makes its head from prototypes; it has none to share")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.novelty = NoveltyLogit()

    def _head_size(self, task: TaskSpec) -> int:
        """It has no head of its own."""
        return 0

    def _adaptable(self) -> list[str]:
        return [*self.theta.keys(), "head", "bias"]

    def _initial_weights(self, inputs: Tensor, labels: Tensor, ways: int) -> Weights:
        """θ, and the head of the prototypes at θ. A class without support has a zero vector and, as
        its bias, a logit that is learned."""
        body = {name: p.expand(len(labels), *p.shape) for name, p in self.theta.items()}
        features, _ = self.network.features(inputs, body)  # (B, S, F)
        means, counts = class_means(features, labels, ways)  # (B, N, F), (B, N)
        bias = self.novelty(-means.square().sum(-1), counts > 0)  # (B, N)
        # Views, for autograd to tell the weights that are adapted from those of the prototypes.
        weights = {name: w.view_as(w) for name, w in body.items()}
        return weights | {"head": 2 * means.transpose(1, 2), "bias": bias}

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """The paper's 75,000 updates are of Meta-Dataset's episodes."""
        return None
