"""Reptile: the initialisation moves towards where training on each task ends.

No gradient goes through the inner loop, and no image is a query: a meta-training episode is data
of one task, and many steps on mini-batches of it are one direction θ' - θ.

As in the authors' code, Adam's second moments are carried from task to task and into meta-test,
which leaves them as they were: without them the first step of a task would be one of signs. The
tasks of an update start from the same moments, and leave what one task after the other would have
left.

Not as in the authors' code: their mini-batches are drawn anew, here meta-training shuffles once and
meta-test takes the support set in its (random) order, so that an episode is answered alike every
time; their non-transductive queries are normalised each with the support set, here by it alone.

References:
    Nichol, Achiam, Schulman 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999.
    Algorithm 1 and 2; hyper-parameters from the table of its appendix ("paper"),
        and from the README of the authors' code (https://github.com/openai/supervised-reptile)
        before June 2018, for queries that are answered one by one ("authors-...").
    Kingma, Ba 2015, "Adam: A Method for Stochastic Optimization", ICLR, arXiv:1412.6980.

Letters in shapes: B tasks, S support items, K items of a mini-batch, N ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bench.api import Episodes, MetaOptimizer, Stream, TaskSpec, in_regression, option
from bench.nn import Schedule, scheduled
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.task_network import TaskEncoderName, Weights

BETA2 = 0.999
"""How much of Adam's second moments a step keeps."""

REGRESSION: Mapping[str, Any] = {
    "encoder": "mlp",
    "filters": 64,
    "inner_optimizer": "sgd",
    "inner_lr": 0.02,
    "inner_batch": 10,
    "inner_batch_test": 10,
    "inner_steps": 5,
    "inner_steps_test": 32,
    "training_shots": 50,
    "episodes_per_update": 5,
}
"""Section 4.1's example of sine waves: 64 units, plain gradient descent at 0.02 on batches of 10 of
a task's 50 points, 32 steps in meta-test."""


class Reptile(MAML):
    """θ ← θ + ε (mean of θ' - θ), where θ' is θ after some steps on a task."""

    contract = 2
    references = (
        'Nichol et al. 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999',
        *MAML.references,
    )
    presets = {
        "paper": {
            "encoder": "conv4-strided",
            "inner_lr": 1e-3,
            "inner_batch": 10,
            "inner_steps": 5,
            "inner_batch_test": 5,
            "transductive": True,
        },
        "paper-20way": {
            "encoder": "conv4-strided",
            "inner_lr": 5e-4,
            "inner_batch": 20,
            "inner_steps": 10,
            "inner_batch_test": 10,
            "transductive": True,
        },
        "authors-1shot": {
            "encoder": "conv4-strided",
            "inner_lr": 4.4e-4,
            "inner_batch": 5,
            "inner_steps": 12,
            "episodes_per_update": 3,
            "training_shots": 12,
            "inner_batch_test": 5,
            "inner_steps_test": 86,
        },
        "authors-5shot": {
            "encoder": "conv4-strided",
            "inner_lr": 1.5e-3,
            "inner_batch": 10,
            "inner_steps": 5,
            "lr": 0.7,
            "training_shots": 10,
            "inner_batch_test": 6,
            "inner_steps_test": 100,
        },
        "authors-20way-1shot": {
            "encoder": "conv4-strided",
            "inner_lr": 4.6e-4,
            "inner_batch": 15,
            "inner_steps": 12,
            "episodes_per_update": 3,
            "training_shots": 9,
            "inner_batch_test": 10,
            "inner_steps_test": 97,
        },
        "authors-20way-5shot": {
            "encoder": "conv4-strided",
            "inner_lr": 4.6e-4,
            "inner_batch": 20,
            "inner_steps": 12,
            "episodes_per_update": 3,
            "training_shots": 12,
            "inner_batch_test": 10,
            "inner_steps_test": 97,
        },
    }

    protocol_defaults = in_regression(**REGRESSION)

    @dataclass(frozen=True)
    class Config:
        """The paper's for 5 ways, but inductive, on conv4, and with three times its inner step
        size, for a small budget."""

        encoder: TaskEncoderName = option(
            "conv4",
            "The network: conv4; conv4-strided, as the paper has it for characters; pixels (fully "
            "connected); mlp, as vectors have it.",
        )
        filters: int = option(64, "Channels of each convolution of conv4; units of mlp.")
        inner_optimizer: Literal["adam", "sgd"] = option("adam", "Adam with β1 = 0, or plain SGD.")
        inner_lr: float = option(3e-3, "Step size of the inner loop.")
        inner_batch: int = option(10, "Images in an inner mini-batch in meta-training.")
        inner_batch_test: int = option(5, "Images in an inner mini-batch in meta-test.")
        inner_steps: int = option(5, "Inner steps in meta-training (k).")
        inner_steps_test: int = option(50, "Inner steps in meta-test.")
        carried_moments: bool = option(True, "Carry Adam's second moments from task to task.")
        training_shots: int = option(10, "Images per class of a training task, if not more shots.")
        transductive: bool = option(False, "Normalise the queries by their own batch statistics.")
        episodes_per_update: int = option(5, "Tasks per update.")
        lr: float = option(1.0, "Outer step size (ε).")
        schedule: Schedule = option("linear", "How the outer step size falls over the budget.")
        max_grad_norm: float | None = option(
            None, "Norm the mean of θ - θ' is clipped to; none: never."
        )

        # What `MAML` asks for, and Reptile has no use for.
        learned_rates: ClassVar[bool] = False
        shared_head: ClassVar[bool] = False
        first_order: ClassVar[bool] = True

    steps: Tensor
    """() int64, inner steps that are behind the carried moments."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        for name, p in self.theta.items():
            self.register_buffer(f"moment_{name}", torch.zeros_like(p))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def _adapted(self, inputs: Tensor, labels: Tensor, ways: int) -> Weights:
        """Steps on mini-batches of the support set, in its order and again from the start."""
        config, support = self.config, labels.shape[1]
        size = min(support, config.inner_batch if self.training else config.inner_batch_test)

        def answers(weights: Weights, step: int) -> tuple[Tensor, Tensor]:
            items = torch.arange(step * size, (step + 1) * size, device=labels.device) % support
            features, _ = self.network.features(inputs[:, items], weights)  # (B, K, F)
            return self.network.head(features, weights), labels[:, items]

        start = self._initial_weights(inputs, labels, ways)
        if config.inner_optimizer == "sgd":
            return self._inner_loop(answers, start)
        adam = _Adam(config.inner_lr, self._carried(start), int(self.steps))
        adapted = self._inner_loop(answers, start, adam.step)
        if self.training and config.carried_moments:
            self._carry(adam.moments)
        return adapted

    def _carried(self, weights: Weights) -> Weights:
        """Second moments to start tasks of these weights from; of fewer ways the first outputs."""
        moments = {}
        for name, w in weights.items():
            moment = getattr(self, f"moment_{name}")
            moments[name] = moment[..., : w.shape[-1]].expand_as(w)
        return moments

    def _carry(self, ends: Weights) -> None:
        """Makes of the moments that B tasks of k steps end with those that the tasks, one after the
        other, would have left: task b's own share decays through the tasks behind it."""
        config = self.config
        batch = len(ends["head"])
        kept = BETA2**config.inner_steps
        behind = torch.arange(batch - 1, -1, -1, device=self.steps.device)
        for name, end in ends.items():
            moment = getattr(self, f"moment_{name}")[..., : end.shape[-1]]
            share = end - kept * moment  # (B, ...)
            decay = (kept**behind).to(end.dtype).view(-1, *[1] * moment.dim())
            moment.copy_(kept**batch * moment + (decay * share).sum(0))
        self.steps += batch * config.inner_steps

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """A surrogate, ½ |θ - θ'|² with θ' held fixed: its gradient is Algorithm 2's θ - θ',
        averaged over the tasks. All images of a task are data, whatever the episode calls them."""
        if isinstance(batch, Stream):
            x, y = batch.x, batch.y
        else:
            x = torch.cat([batch.support_x, batch.query_x], dim=1)  # (B, S, *input_shape)
            y = torch.cat([batch.support_y, batch.query_y], dim=1)
        order = torch.randperm(y.shape[1], device=y.device)
        with torch.no_grad():  # nothing goes through the inner loop
            inputs = self.network.inputs(x[:, order])
            adapted = self._adapted(inputs, y[:, order], batch.ways)
        start = self._initial_weights(inputs, y, batch.ways)
        distances = [(start[name] - adapted[name]).square().sum() for name in start]
        return 0.5 * torch.stack(distances).sum() / len(y)

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Gradient descent with the outer step size ε."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.config.lr)
        return scheduled(optimizer, updates, self.config.schedule)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More shots than in the test, so that the mini-batches differ; one of them comes as the
        query that an episode must have."""
        if task.online:
            return task.but(episodes_per_update=config.episodes_per_update)
        shots = max(config.training_shots, task.shot_range[1] + 1) - 1
        return task.but(shots=shots, queries=1, episodes_per_update=config.episodes_per_update)

    @classmethod
    def why_not_compiled(cls, config: Any, task: TaskSpec) -> str | None:
        """Its update shuffles, and keeps moments beside the weights."""
        return "nothing goes through its inner loop, and it has no meta-gradient to compile"

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """100,000 for 5 ways; 200,000 for 20, and in the authors' settings of 12 inner steps."""
        return 200_000 if task.ways >= 20 or config.inner_steps >= 12 else 100_000


class _Adam:
    """Adam without momentum (β1 = 0), with second moments of its own for every task.

    Args:
        lr: step size.
        moments: second moments to start from.
        steps: how many steps have made them.
    """

    def __init__(self, lr: float, moments: Weights, steps: int, eps: float = 1e-8) -> None:
        self.lr, self.moments, self.steps, self.eps = lr, moments, steps, eps

    def step(self, weights: Weights, gradients: Weights, _: int) -> Weights:
        """The next weights."""
        self.steps += 1
        scale = 1 / (1 - BETA2**self.steps)  # removes the bias of the start
        stepped: Weights = {}
        for name, g in gradients.items():
            moment = torch.lerp(self.moments[name], g.square(), 1 - BETA2)
            stepped[name] = weights[name] - self.lr * g / ((moment * scale).sqrt() + self.eps)
            self.moments[name] = moment
        return stepped
