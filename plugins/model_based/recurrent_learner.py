"""How the learners of this folder that read an episode step by step are meta-trained.

References:
    Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, "Meta-Learning with Memory-Augmented
    Neural Networks", ICML, arXiv:1605.06065, Section 4.1.
"""

from __future__ import annotations

from typing import Any

import torch

from bench.api import MetaOptimizer, SequenceLearner, TaskSpec
from bench.nn import scheduled


class RecurrentLearner(SequenceLearner):
    """A step-wise learner whose `Config` has the options that are read here: ``batch``,
    ``training_queries``, ``optimizer``, ``lr`` and ``decay``."""

    def optimizer(self, updates: int) -> MetaOptimizer:
        """Adam, or RMSprop with momentum as in the paper; a rate that falls linearly to zero."""
        config = self.config
        optimizer: torch.optim.Optimizer
        if config.optimizer == "rmsprop":
            optimizer = torch.optim.RMSprop(self.parameters(), config.lr, alpha=0.95, momentum=0.9)
        else:
            optimizer = torch.optim.Adam(self.parameters(), config.lr)
        return scheduled(optimizer, updates, "linear" if config.decay else "constant")

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """As tested, but with few queries: what there is to learn lies in the support set."""
        if task.protocol != "kshot":
            return task.but(episodes_per_update=config.batch)
        return task.but(episodes_per_update=config.batch, queries=config.training_queries)
