"""Schedules follow the budget: how many steps a learning rate's scheduler has taken at which part
of it."""

from __future__ import annotations

import warnings

from torch.optim.lr_scheduler import LRScheduler

from bench.suites.schema import Budget


def steps_due(budget: Budget, planned: int, *, updates: int, examples: int, seconds: float) -> int:
    """Steps that a scheduler has taken when so much of the budget is spent: that fraction of the
    planned ones, rounded down, and never more than all.

    Exactly one per update where the budget counts updates, or examples of which every update sees
    as many; otherwise several or none. In integers, where the budget is one: k updates of n are
    k steps, whatever k / n is in floating point.

    Args:
        budget: what limits the training.
        planned: the number that `bench.api.Learner.optimizer` was given.
        updates: made so far.
        examples: images (of memory probes: sequences) seen so far.
        seconds: of meta-training so far.
    """
    if budget.examples is not None:
        due = examples * planned // budget.examples
    elif budget.minutes is not None:
        due = int(seconds / (60 * budget.minutes) * planned)
    else:
        due = updates
    return min(due, planned)


def advance(scheduler: LRScheduler, steps: int) -> None:
    """Takes so many steps.

    torch warns of a scheduler that steps before its optimizer. Here that is meant: where the first
    update was skipped as not finite, its part of the budget is spent all the same.
    """
    if steps <= 0:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step\(\)`")
        for _ in range(steps):
            scheduler.step()
