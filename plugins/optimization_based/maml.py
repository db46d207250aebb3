"""MAML: an initialisation from which one gradient step on the support set is enough.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400. Equation numbers below are this paper's.
    Bronskill, Gordon, Requeima, Nowozin, Turner 2020, "TaskNorm: Rethinking Batch Normalization for
    Meta-Learning", ICML, arXiv:2003.03284: batch normalisation by support statistics (MetaBN).

Letters in shapes: B tasks, S support items, Q queries, T time steps, N ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import Episodes, Learner, MetaOptimizer, State, Stream, TaskSpec, option
from bench.nn import EncoderName, scheduled
from bench_plugins.optimization_based.task_network import TaskNetwork, Weights

Rule = Callable[[Weights, Weights], Weights]
"""Makes the next weights of weights and their gradients."""


class MAML(Learner):
    """Adapts all its weights by gradient descent on the support set, from a learned start θ."""

    family = "optimization-based"
    contract = 1
    references: ClassVar[tuple[str, ...]] = (
        'Finn et al. 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", '
        "arXiv:1703.03400",
        'Bronskill et al. 2020, "TaskNorm: Rethinking Batch Normalization for Meta-Learning", '
        "arXiv:2003.03284",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "training_queries": 0,
            "transductive": True,
            "max_grad_norm": 0.0,
            "meta_batch": 32,
            "lr": 1e-3,
            "decay": False,
        },
        "paper-20way": {
            "training_queries": 0,
            "transductive": True,
            "max_grad_norm": 0.0,
            "inner_lr": 0.1,
            "inner_steps": 5,
            "inner_steps_test": 5,
            "meta_batch": 16,
            "lr": 1e-3,
            "decay": False,
        },
    }

    @dataclass(frozen=True)
    class Config:
        """The paper's for 5 ways (Appendix A.1), but inductive, and made for a small budget: in
        1-shot meta-validation 85.2 % after 100,000 images, with 16 tasks per update and a constant
        learning rate of 1e-3 83.7 %."""

        encoder: EncoderName = option("conv4", "The network: conv4, or pixels (fully connected).")
        filters: int = option(64, "Channels of each convolution of conv4.")
        inner_lr: float = option(0.4, "Step size of the inner loop (α).")
        inner_steps: int = option(1, "Inner gradient steps in meta-training.")
        inner_steps_test: int = option(3, "Inner gradient steps in meta-test.")
        transductive: bool = option(False, "Normalise the queries by their own batch statistics.")
        first_order: bool = option(False, "Drop the second derivatives of the meta-gradient.")
        meta_batch: int = option(8, "Tasks per update.")
        training_queries: int = option(0, "Queries per class in training; 0: as many as shots.")
        lr: float = option(2e-3, "Learning rate of Adam (β).")
        decay: bool = option(True, "Let the learning rate fall to 0 along a cosine.")
        max_grad_norm: float = option(10.0, "Norm the meta-gradient is clipped to; 0: never.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.transductive = config.transductive
        self.max_grad_norm = config.max_grad_norm or None
        self.network = TaskNetwork(config.encoder, task.input_shape, config.filters, task.ways)
        self.theta = self.network.initial()

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The inner loop on the support set.

        Returns:
            The adapted weights θ', and the statistics of the support set under them.
        """
        inputs = self.network.inputs(support_x)
        weights = self._adapted(inputs, support_y, ways)
        statistics = None if self.transductive else self.network.features(inputs, weights)[1]
        return {"weights": weights, "statistics": statistics}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N) of the adapted network."""
        weights, inputs = state["weights"], self.network.inputs(query_x)
        features, _ = self.network.features(inputs, weights, state["statistics"])
        return self.network.head(features, weights)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The outer objective, equation (1) of Section 2.2: the query loss of the adapted weights.

        A stream is cut at one random place per update: what lies before is the support set of what
        follows. Every prefix would be one inner loop each.
        """
        if isinstance(batch, Stream):
            cut = int(torch.randint(1, batch.y.shape[1], ()))
            batch = Episodes(
                batch.ways, batch.x[:, :cut], batch.y[:, :cut], batch.x[:, cut:], batch.y[:, cut:]
            )
        return super().loss(batch)

    # -- the inner loop ---------------------------------------------------------------------------

    def _initial_weights(self, batch: int, ways: int) -> Weights:
        """θ, once per task. With fewer ways than trained the head loses its last outputs."""
        if ways > self.task.ways:
            raise ValueError(
                f"the initialisation has {self.task.ways} outputs and cannot answer {ways} ways; "
                f"meta-train it with at least {ways} ways"
            )
        theta = dict(self.theta.items())
        theta |= {name: theta[name][..., :ways] for name in ("head", "bias")}
        return {name: p.expand(batch, *p.shape) for name, p in theta.items()}

    def _adapted(self, inputs: Tensor, labels: Tensor, ways: int) -> Weights:
        """θ', from θ by steps on the whole support set."""

        def answers(weights: Weights, step: int) -> tuple[Tensor, Tensor]:
            return self.network.head(self.network.features(inputs, weights)[0], weights), labels

        return self._inner_loop(answers, self._initial_weights(len(labels), ways))

    def _inner_loop(
        self,
        answers: Callable[[Weights, int], tuple[Tensor, Tensor]],
        weights: Weights,
        rule: Rule | None = None,
    ) -> Weights:
        """Equation (1), step by step: θ' = θ - α ∇_θ L(f_θ), for all tasks at once.

        Args:
            answers: gives logits (B, S, N) under these weights, and labels (B, S), at this step.
            weights: those that are adapted.
            rule: another rule than gradient descent.
        """
        config, rule = self.config, rule or self._gradient_descent
        meta_training = torch.is_grad_enabled()  # only then does the step itself need a graph
        with torch.enable_grad():
            for step in range(config.inner_steps if self.training else config.inner_steps_test):
                if not meta_training:
                    weights = {name: w.detach().requires_grad_() for name, w in weights.items()}
                logits, labels = answers(weights, step)
                # The mean over a task's support set, summed over the tasks: they share no weight,
                # and so the gradient of the sum holds the gradient of each.
                loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
                gradients = torch.autograd.grad(
                    loss / labels.shape[1],
                    list(weights.values()),
                    create_graph=meta_training and not self.config.first_order,
                )
                weights = rule(weights, dict(zip(weights, gradients, strict=True)))
        return weights if meta_training else {name: w.detach() for name, w in weights.items()}

    def _gradient_descent(self, weights: Weights, gradients: Weights) -> Weights:
        return {name: w - self.config.inner_lr * gradients[name] for name, w in weights.items()}

    # -- meta-training ----------------------------------------------------------------------------

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam with the step size β of the outer loop."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.lr)
        return scheduled(optimizer, updates, "cosine" if self.config.decay else "constant")

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """As tested, with the meta-batch and the queries of the configuration."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.meta_batch)
        queries = config.training_queries or task.shot_range[1]
        return task.but(episodes_per_update=config.meta_batch, queries=queries)

    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> int | None:
        """Appendix A.1."""
        return 60_000

    @classmethod
    def bank_share(cls, config: Any, task: TaskSpec, episodes: int) -> int:
        """Online, every prefix of an episode is an inner loop of its own."""
        return min(episodes, 200) if task.protocol == "online" else episodes
