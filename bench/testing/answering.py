"""What learners answer, by protocol, and how far two answers lie apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.api import Answered, Episodes, Learner, Normal, Stream
from bench.protocols.base import Protocol
from bench.protocols.kshot import KShot
from bench.protocols.online import Online
from bench.protocols.online_regression import OnlineRegression
from bench.protocols.regression import Regression
from bench.testing.check import FailedError

TOLERANCE = 1e-4
"""Differences that float32 explains, relative to the largest logit."""


def of_numbers(batch: Episodes | Stream) -> bool:
    """Whether its answers are numbers, not classes."""
    y = batch.y if isinstance(batch, Stream) else batch.query_y
    return y.is_floating_point()


def predicted(learner: Learner, episodes: Episodes) -> Tensor:
    """What `adapt` and `predict` answer, whatever protocol the learner was trained for."""
    return answers(Regression() if of_numbers(episodes) else KShot(), learner, episodes)


def as_tensor(told: Answered) -> Tensor:
    """Answers as float32: logits, means, or means with their standard deviations behind them."""
    return torch.cat(told, dim=-1).float() if isinstance(told, Normal) else told.float()


def unrolled(learner: Learner, stream: Stream) -> Tensor:
    """What `unroll` answers, whatever protocol the learner was trained for."""
    return answers(OnlineRegression() if of_numbers(stream) else Online(), learner, stream)


def loss_of(learner: Learner, batch: Any) -> Tensor:
    """The learner's loss; it is given batches of protocols that it takes part in only."""
    loss: Tensor = learner.loss(batch)
    return loss


@torch.no_grad()
def answers(within: Protocol[Any, Any], learner: Learner, batch: Any) -> Tensor:
    """Logits in ``eval()``, as float32: (B, Q or T, N), of memory probes (B, T, E).

    Raises:
        FailedError: where they have another shape.
    """
    learner.eval()
    torch.manual_seed(0)  # the harness does so before every batch of a test
    view, logits, expected, _ = within.ask(learner, batch)
    if not isinstance(logits, Tensor):
        raise FailedError(
            f"{view} returned {type(logits).__name__}, expected a tensor of {expected}"
        )
    if tuple(logits.shape) != expected:
        raise FailedError(
            f"{view} returned logits of shape {tuple(logits.shape)}, expected {expected}"
        )
    if not logits.is_floating_point():
        raise FailedError(f"{view} returned logits of {logits.dtype}, expected floating point")
    return logits.float()


def spread(start: int, stop: int, most: int) -> list[int]:
    """The numbers from start to stop, without it; of more than `most` as many, evenly spread."""
    count = min(stop - start, most)
    return [start + i * (stop - 1 - start) // max(1, count - 1) for i in range(count)]


def changed_share(a: Tensor, b: Tensor, numbers: bool = False) -> float:
    """Share of answers that differ between logits (..., N), or by more than rounding between
    numbers (..., E)."""
    if numbers:
        apart = (a - b).abs().amax(-1)
        return (apart > TOLERANCE * difference(a, b)[1]).float().mean().item()
    return (a.argmax(-1) != b.argmax(-1)).float().mean().item()


def difference(a: Tensor, b: Tensor) -> tuple[float, float]:
    """By how much logits differ at most, and how large the largest of them is, at least 1."""
    scale = max(1.0, a.abs().max().item(), b.abs().max().item())
    return (a - b).abs().max().item(), scale


def agree(
    a: Tensor,
    b: Tensor,
    otherwise: str,
    tolerance: float = TOLERANCE,
    value: float | None = None,
) -> None:
    """Raises `FailedError` with the words `otherwise` where logits differ by more than rounding."""
    apart, scale = difference(a, b)
    if not apart <= tolerance * scale:  # NaN too
        raise FailedError(f"{otherwise}: logits of up to {scale:.2g} differ by {apart:.2g}", value)
