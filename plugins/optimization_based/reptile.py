"""Reptile: the initialisation moves towards where training on each task ends.

No gradient goes through the inner loop, and no image is a query: a meta-training episode is data
of one task, and many steps on mini-batches of it are one direction θ' - θ.

Not as in the authors' code: their Adam carries its second moments from task to task, here each task
begins with none; their mini-batches are drawn anew, here meta-training shuffles once and meta-test
takes the support set in its (random) order, so that an episode is answered alike every time.

References:
    Nichol, Achiam, Schulman 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999.
    Algorithm 1 and 2; hyper-parameters from the table of its appendix.
    Kingma, Ba 2015, "Adam: A Method for Stochastic Optimization", ICLR, arXiv:1412.6980.

Letters in shapes: B tasks, S support items, K items of a mini-batch, N ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.api import Episodes, MetaOptimizer, Stream, TaskSpec, option
from bench.nn import EncoderName, scheduled
from bench_plugins.optimization_based.maml import MAML, Rule
from bench_plugins.optimization_based.task_network import Weights


class Reptile(MAML):
    """θ ← θ + ε (mean of θ' - θ), where θ' is θ after some steps on a task."""

    contract = 1
    references = (
        'Nichol et al. 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999',
        *MAML.references,
    )
    presets = {
        "paper": {"inner_lr": 1e-3, "inner_batch": 10, "inner_steps": 5, "inner_batch_test": 5},
        "paper-20way": {
            "inner_lr": 5e-4,
            "inner_batch": 20,
            "inner_steps": 10,
            "inner_batch_test": 10,
        },
    }

    @dataclass(frozen=True)
    class Config:
        """The paper's for 5 ways, with three times its inner step size: after 20,000 images 63 % in
        1-shot meta-validation against 48 %."""

        encoder: EncoderName = option("conv4", "The network: conv4, or pixels (fully connected).")
        filters: int = option(64, "Channels of each convolution of conv4.")
        inner_optimizer: Literal["adam", "sgd"] = option("adam", "Adam with β1 = 0, or plain SGD.")
        inner_lr: float = option(3e-3, "Step size of the inner loop.")
        inner_batch: int = option(10, "Images in an inner mini-batch in meta-training.")
        inner_batch_test: int = option(5, "Images in an inner mini-batch in meta-test.")
        inner_steps: int = option(5, "Inner steps in meta-training (k).")
        inner_steps_test: int = option(50, "Inner steps in meta-test.")
        training_shots: int = option(10, "Images per class of a training task, if not more shots.")
        transductive: bool = option(False, "Normalise the queries by their own batch statistics.")
        meta_batch: int = option(5, "Tasks per update.")
        outer_lr: float = option(1.0, "Outer step size (ε), falls to 0 along a straight line.")
        max_grad_norm: float = option(0.0, "Norm the mean of θ - θ' is clipped to; 0: never.")

    def _adapted(self, inputs: Tensor, labels: Tensor, ways: int) -> Weights:
        """Steps on mini-batches of the support set, in its order and again from the start."""
        config, support = self.config, labels.shape[1]
        size = min(support, config.inner_batch if self.training else config.inner_batch_test)

        def answers(weights: Weights, step: int) -> tuple[Tensor, Tensor]:
            items = torch.arange(step * size, (step + 1) * size, device=labels.device) % support
            features, _ = self.network.features(inputs[:, items], weights)  # (B, K, F)
            return self.network.head(features, weights), labels[:, items]

        rule = _adam(config.inner_lr) if config.inner_optimizer == "adam" else None
        return self._inner_loop(answers, self._initial_weights(len(labels), ways), rule)

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
        start = self._initial_weights(len(y), batch.ways)
        distances = [(start[name] - adapted[name]).square().sum() for name in start]
        return 0.5 * torch.stack(distances).sum() / len(y)

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Gradient descent with the outer step size ε."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.config.outer_lr)
        return scheduled(optimizer, updates, "linear")

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """More shots than in the test, so that the mini-batches differ; one of them comes as the
        query that an episode must have."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.meta_batch)
        shots = max(config.training_shots, task.shot_range[1] + 1) - 1
        return task.but(shots=shots, queries=1, episodes_per_update=config.meta_batch)

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int | None:
        """100,000 for 5 ways, 200,000 for 20."""
        return 200_000 if task.ways >= 20 else 100_000


def _adam(lr: float, beta2: float = 0.999, eps: float = 1e-8) -> Rule:
    """Adam without momentum (β1 = 0), with second moments of its own for every task."""
    moments: Weights = {}
    step = 0

    def rule(weights: Weights, gradients: Weights) -> Weights:
        nonlocal step
        step += 1
        for name, g in gradients.items():
            before = moments.get(name, torch.zeros_like(g))
            moments[name] = beta2 * before + (1 - beta2) * g.square()
        unbiased = {name: v / (1 - beta2**step) for name, v in moments.items()}
        return {
            name: w - lr * gradients[name] / (unbiased[name].sqrt() + eps)
            for name, w in weights.items()
        }

    return rule
