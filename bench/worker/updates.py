"""One meta-training update."""

from __future__ import annotations

import math
from typing import Any

import torch

from bench.api import Learner
from bench.worker.captured import CapturedLoss
from bench.worker.compiled import CompiledLoss
from bench.worker.evaluation import autocast


def make_optimizer(
    learner: Learner, updates: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
    """The learner's optimizer, and its scheduler if it has one."""
    built = learner.optimizer(updates)
    return built if isinstance(built, tuple) else (built, None)


def finite_norm(gradient_norm: torch.Tensor, loss: torch.Tensor) -> bool:
    """Whether an update may be made; one synchronisation with the device."""
    return bool(torch.isfinite(gradient_norm) & torch.isfinite(loss.detach()))


def update(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    precision: str,
    compiled: CompiledLoss | CapturedLoss | None = None,
) -> float | None:
    """One meta-training update, of the learner's own loss or of the compiled one. Returns the loss,
    None where it was skipped as not finite."""
    parameters = list(learner.parameters())
    optimizer.zero_grad(set_to_none=True)
    with autocast(parameters[0].device, precision):
        loss = learner.loss(batch) if compiled is None else compiled(batch)
    loss.backward()
    limit = math.inf if learner.max_grad_norm is None else learner.max_grad_norm
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    if not finite_norm(norm, loss):
        return None
    optimizer.step()
    return float(loss.detach())
