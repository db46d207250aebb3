"""Answers that are numbers: what a learner says of them, and what it is worth.

Letters in shapes: see `bench.api`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_STD = 0.01
"""Below it no standard deviation of `Normal.read` falls: one point that is met by luck would
otherwise be worth any loss elsewhere."""


class Normal(NamedTuple):
    """Independent normal distributions of the numbers that are asked for.

    A learner returns it in place of a mean where it knows how sure it is.
    """

    mean: Tensor
    """(..., E)"""
    std: Tensor
    """(..., E), above 0"""

    @classmethod
    def read(cls, outputs: Tensor) -> Normal:
        """What a network with two outputs for each number says: (..., 2 E), in float32.

        Neural processes are usually bounded from below, by 0.1 + 0.9 softplus; here by `LEAST_STD`
        + softplus, for the noise of a task may be less.
        """
        mean, raw = outputs.float().chunk(2, dim=-1)
        return cls(mean, LEAST_STD + F.softplus(raw))

    def log_likelihood(self, y: Tensor) -> Tensor:
        """The log-density of numbers y (..., E), in nats."""
        deviation = (y - self.mean) / self.std
        return -(deviation.square() + math.log(2 * math.pi)) / 2 - self.std.log()


Answered = Tensor | Normal
"""What `Learner.predict` returns: logits, a mean, or a mean and how sure it is."""


def answer_loss(answers: Answered, y: Tensor) -> Tensor:
    """What a learner is worth, as the mean over all answers: the scalar to minimise.

    Args:
        answers: logits (B, Q, N); or of numbers their mean (B, Q, E), or a `Normal`.
        y: labels (B, Q) in [0, N), int64; or numbers (B, Q, E).

    Returns:
        The cross-entropy in nats; of numbers the mean squared error, or where the learner says how
        sure it is the negative log-likelihood in nats.
    """
    if isinstance(answers, Normal):
        return -answers.log_likelihood(y).mean()
    if y.is_floating_point():
        return F.mse_loss(answers.float(), y)
    return F.cross_entropy(answers.float().flatten(0, 1), y.flatten())


def joined(answers: list[Answered]) -> Answered:
    """Answers one after the other: (B, Q, ...) of each to (B, sum of Q, ...), in float32."""
    first = answers[0]
    if isinstance(first, Normal):
        return Normal(*(torch.cat(parts, dim=1).float() for parts in zip(*answers, strict=True)))
    return torch.cat([part for part in answers if isinstance(part, Tensor)], dim=1).float()


def not_knowing(like: Answered) -> Answered:
    """What is said of numbers before anything was seen: 0, and where a learner says how sure it
    is with a standard deviation of 1."""
    if isinstance(like, Normal):
        return Normal(torch.zeros_like(like.mean), torch.ones_like(like.std))
    return torch.zeros_like(like)
