"""MAML: an initialisation from which one gradient step on the support set is enough.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400. Equation numbers below are this paper's.
    Bronskill, Gordon, Requeima, Nowozin, Turner 2020, "TaskNorm: Rethinking Batch Normalization for
    Meta-Learning", ICML, arXiv:2003.03284: batch normalisation by support statistics (MetaBN).
    Antoniou, Edwards, Storkey 2019, "How to Train Your MAML", ICLR, arXiv:1810.09502: a learned
    inner rate for every tensor and step (LSLR), ``learned_rates``. That the step size may be
    meta-learned stands in Section 2.2 of MAML's paper already.
    Ye, Chao 2022, "How to Train Your MAML to Excel in Few-Shot Classification", ICLR,
    arXiv:2106.16245: one head vector for all classes (UNICORN-MAML), ``shared_head``.

Letters in shapes: B tasks, S support items, Q queries, T time steps, N ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import (
    Episodes,
    Learner,
    MetaOptimizer,
    State,
    Stream,
    TaskSpec,
    being_compiled,
    in_regression,
    option,
)
from bench.nn import Schedule, adam
from bench_plugins.optimization_based.task_network import (
    TaskEncoderName,
    TaskNetwork,
    VectorNetwork,
    Weights,
)

Rule = Callable[[Weights, Weights, int], Weights]
"""Makes the next weights of weights, their gradients and the number of the step."""

VALUES_AT_ONCE = 2**20
"""On a CPU tasks go through an inner loop in groups whose widest feature maps have about so many
values, 4 MB in float32: more of them leave the cache between one layer and the next."""

REGRESSION: Mapping[str, Any] = {
    "encoder": "mlp",
    "filters": 40,
    "inner_lr": 0.01,
    "inner_steps": 5,
    "inner_steps_test": 5,
    "learned_rates": False,
    "episodes_per_update": 25,
    "training_queries": None,
    "lr": 1e-3,
}
"""Section 5.1: two hidden layers of 40 units, α = 0.01 and Adam, with 25 tasks per update as in the
paper's code. The paper trains with one inner step and tests with several; here both have 5."""


class MAML(Learner):
    """Adapts all its weights by gradient descent on the support set, from a learned start θ."""

    family = "optimization-based"
    contract = 2
    protocols: ClassVar[tuple[str, ...]] = ("kshot", "online", "regression", "online-regression")
    references: ClassVar[tuple[str, ...]] = (
        'Finn et al. 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", '
        "arXiv:1703.03400",
        'Bronskill et al. 2020, "TaskNorm: Rethinking Batch Normalization for Meta-Learning", '
        "arXiv:2003.03284",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {  # Appendix A.1, 5 ways
            "encoder": "conv4-strided",
            "learned_rates": False,
            "transductive": True,
            "max_grad_norm": None,
            "episodes_per_update": 32,
            "lr": 1e-3,
            "schedule": "constant",
        },
        "paper-20way": {
            "encoder": "conv4-strided",
            "learned_rates": False,
            "transductive": True,
            "max_grad_norm": None,
            "inner_lr": 0.1,
            "inner_steps": 5,
            "inner_steps_test": 5,
            "episodes_per_update": 16,
            "lr": 1e-3,
            "schedule": "constant",
        },
    }
    protocol_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = in_regression(**REGRESSION)

    @dataclass(frozen=True)
    class Config:
        """The paper's for 5 ways (Appendix A.1), but inductive, on the conv4 of every family, with
        step sizes that are meta-learned (Section 2.2), and made for a small budget."""

        encoder: TaskEncoderName = option(
            "conv4",
            "The network: conv4; conv4-strided, as the paper has it for characters; pixels (fully "
            "connected); mlp, as vectors have it.",
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        inner_lr: float = option(0.4, "Step size of the inner loop (α), or where it starts.")
        inner_steps: int = option(1, "Inner gradient steps in meta-training.")
        inner_steps_test: int = option(3, "Inner gradient steps in meta-test.")
        learned_rates: bool = option(
            True, "Meta-learn a step size for every tensor and inner step, from α on (MAML++)."
        )
        shared_head: bool = option(
            False, "Meta-learn one head vector, which every class starts from (UNICORN-MAML)."
        )
        transductive: bool = option(False, "Normalise the queries by their own batch statistics.")
        first_order: bool = option(False, "Drop the second derivatives of the meta-gradient.")
        episodes_per_update: int = option(4, "Tasks per update.")
        training_queries: int | Literal["shots"] | None = option(
            "shots", "Queries per class in training; shots: as many as shots; none: as tested."
        )
        lr: float = option(2e-3, "Learning rate of Adam (β).")
        schedule: Schedule = option("cosine", "How the learning rate falls over the budget.")
        max_grad_norm: float | None = option(
            10.0, "Norm the meta-gradient is clipped to; none: never."
        )

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.transductive = config.transductive
        self.max_grad_norm = config.max_grad_norm
        self.network = self._network(task)
        self.theta = self.network.initial()
        if config.learned_rates:
            start = torch.full((config.inner_steps,), config.inner_lr)
            self.rates = nn.ParameterDict({name: start.clone() for name in self._adaptable()})

    def _network(self, task: TaskSpec) -> TaskNetwork:
        """Convolutions are for images: vectors have the fully connected network then, too."""
        config, outputs = self.config, self._head_size(task)
        vectors = len(task.input_shape) == 1 and config.encoder != "pixels"
        if vectors or config.encoder == "mlp":
            return VectorNetwork(task.input_shape, config.filters, outputs)
        return TaskNetwork(config.encoder, task.input_shape, config.filters, outputs)

    def _head_size(self, task: TaskSpec) -> int:
        """Outputs of the head that is meta-learned."""
        return 1 if self.config.shared_head else task.answer_size

    def _adaptable(self) -> list[str]:
        """The weights that the inner loop adapts: all."""
        return list(self.theta.keys())

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The inner loop on the support set.

        Returns:
            The adapted weights θ', and the statistics of the support set under them.
        """
        if torch.is_grad_enabled():  # `loss` has made the groups
            return self._adapt(support_x, support_y, ways)
        parts = self._parts(support_x)
        groups = zip(support_x.tensor_split(parts), support_y.tensor_split(parts), strict=True)
        return _joined([self._adapt(x, y, ways) for x, y in groups])

    def _adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """`adapt` of all tasks at once."""
        inputs = self.network.inputs(support_x)
        weights = self._adapted(inputs, support_y, ways)
        statistics = None if self.transductive else self.network.features(inputs, weights)[1]
        return {"weights": weights, "statistics": statistics}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N) of the adapted network; in regression numbers (B, Q, E)."""
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
        parts = self._parts(batch.support_x)
        tensors = (batch.support_x, batch.support_y, batch.query_x, batch.query_y)
        groups = [
            Episodes(batch.ways, *some)
            for some in zip(*(t.tensor_split(parts) for t in tensors), strict=True)
        ]
        losses = [super(MAML, self).loss(group) * len(group.query_y) for group in groups]
        return torch.stack(losses).sum() / len(batch.query_y)

    def _parts(self, images: Tensor) -> int:
        """In how many groups the tasks of (B, S, *input_shape) images go through the inner loop."""
        if images.device.type != "cpu" or being_compiled():
            return 1
        batch, items = images.shape[:2]
        values = batch * items * self.network.widest
        return min(batch, math.ceil(values / VALUES_AT_ONCE))

    # -- the inner loop ---------------------------------------------------------------------------

    def _initial_weights(self, inputs: Tensor, labels: Tensor, ways: int) -> Weights:
        """θ, once per task. With fewer ways than trained the head loses its last outputs; a shared
        one is copied for any number of ways."""
        theta, outputs = dict(self.theta.items()), self.task.outputs or ways
        for name in ("head", "bias"):
            if self.config.shared_head:
                theta[name] = theta[name].expand(*theta[name].shape[:-1], outputs)
            else:
                self.check_ways(ways)
                theta[name] = theta[name][..., :outputs]
        return {name: p.expand(len(labels), *p.shape) for name, p in theta.items()}

    def _adapted(self, inputs: Tensor, labels: Tensor, ways: int) -> Weights:
        """θ', from θ by steps on the whole support set."""

        def answers(weights: Weights, step: int) -> tuple[Tensor, Tensor]:
            return self.network.head(self.network.features(inputs, weights)[0], weights), labels

        return self._inner_loop(answers, self._initial_weights(inputs, labels, ways))

    def _inner_loop(
        self,
        answers: Callable[[Weights, int], tuple[Tensor, Tensor]],
        weights: Weights,
        rule: Rule | None = None,
    ) -> Weights:
        """Equation (1), step by step: θ' = θ - α ∇_θ L(f_θ), for all tasks at once.

        Args:
            answers: gives logits (B, S, N) under these weights, and labels (B, S), at this step; in
                regression both are numbers (B, S, E).
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
                if labels.is_floating_point():
                    loss = F.mse_loss(logits, labels, reduction="sum") / labels.shape[2]
                else:
                    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
                gradients = torch.autograd.grad(
                    loss / labels.shape[1],
                    list(weights.values()),
                    create_graph=meta_training and not self.config.first_order,
                )
                weights = rule(weights, dict(zip(weights, gradients, strict=True)), step)
        return weights if meta_training else {name: w.detach() for name, w in weights.items()}

    def _gradient_descent(self, weights: Weights, gradients: Weights, step: int) -> Weights:
        """θ - α ∇L; steps beyond those of meta-training take the last learned rates."""
        config = self.config
        if config.learned_rates:
            last = config.inner_steps - 1
            rates = {name: self.rates[name][min(step, last)] for name in weights}
        else:
            rates = dict.fromkeys(weights, config.inner_lr)
        return {name: w - rates[name] * gradients[name] for name, w in weights.items()}

    # -- meta-training ----------------------------------------------------------------------------

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam with the step size β of the outer loop."""
        return adam(self.parameters(), self.config.lr, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """As tested, with the meta-batch and the queries of the configuration."""
        task = task.but(episodes_per_update=config.episodes_per_update)
        if task.online or config.training_queries is None:
            return task
        shots = config.training_queries == "shots"
        return task.but(queries=task.shot_range[1] if shots else config.training_queries)

    @classmethod
    def why_not_compiled(cls, config: Any, task: TaskSpec) -> str | None:
        """The whole meta-gradient is compiled, but for streams."""
        if task.online:
            return "a stream is cut at another place in each update, and each would be compiled"
        return None

    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> int | None:
        """Appendix A.1; of sine waves 70,000, as in the paper's code."""
        return 70_000 if task.regression else 60_000

    @classmethod
    def bank_share(cls, config: Any, task: TaskSpec, episodes: int) -> int:
        """Online, every prefix of an episode is an inner loop of its own."""
        return min(episodes, 200) if task.online else episodes


def _joined(states: list[State]) -> State:
    """The states of groups of tasks as one."""
    first = states[0]
    if len(states) == 1:
        return first
    joined = {name: torch.cat([s["weights"][name] for s in states]) for name in first["weights"]}
    if first["statistics"] is None:
        return {"weights": joined, "statistics": None}
    layers = zip(*(s["statistics"] for s in states), strict=True)
    statistics = [tuple(map(torch.cat, zip(*layer, strict=True))) for layer in layers]
    return {"weights": joined, "statistics": statistics}
