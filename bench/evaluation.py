"""Meta-test on a frozen bank: accuracy, calibration, accuracy by presentation.

Letters in shapes: ``B`` episodes, ``Q`` answers per episode (queries, or time steps), ``N`` ways,
``E`` episodes of the bank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import Episodes, Learner, Stream
from bench.episodes import Bank, presentation

FloatArray = NDArray[np.float64]

BATCH_IMAGES = {"cpu": 1280, "gpu": 20480}
"""Images that are handled together, about: enough to be fast, few enough for the memory."""


class ContractError(Exception):
    """A learner returned something that the contract does not allow."""


class NotFiniteError(ContractError):
    """A learner returned logits that are infinite or NaN."""


@dataclass(frozen=True)
class Scores:
    """How a learner answered a bank.

    Attributes:
        accuracy: (E,) fraction of right answers per episode.
        nll: (E,) mean negative log-likelihood per episode, in nats.
        confidence: (E, Q) probability of the class chosen.
        correct: (E, Q) whether it was the right one.
        by_presentation: (E, K) online: accuracy at the 1st, 2nd, ... presentation of a class.
    """

    accuracy: FloatArray
    nll: FloatArray
    confidence: FloatArray
    correct: NDArray[np.bool_]
    by_presentation: FloatArray | None


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of one precision: ``bf16`` casts matrix products and convolutions."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def batch_size(bank: Bank) -> int:
    """Episodes of this bank that are handled together."""
    images = BATCH_IMAGES["cpu" if bank.pool.images.device.type == "cpu" else "gpu"]
    return max(1, images // bank.task.examples_per_episode)


def answer(learner: Learner, batch: Episodes | Stream) -> tuple[Tensor, Tensor]:
    """Logits (B, Q, N) in float32 and right answers (B, Q) for a batch.

    Raises:
        ContractError: logits of another shape.
        NotFiniteError: logits that are not finite.
    """
    if isinstance(batch, Stream):
        logits, y, view = learner.unroll(batch.x, batch.y, batch.ways), batch.y, "unroll"
    else:
        state = learner.adapt(batch.support_x, batch.support_y, batch.ways)
        logits, y, view = learner.predict(state, batch.query_x), batch.query_y, "predict"
    expected = (*y.shape, batch.ways)
    if tuple(logits.shape) != expected:
        raise ContractError(
            f"{view} returned logits of shape {tuple(logits.shape)}; expected (episodes, answers, "
            f"ways) = {expected}"
        )
    logits = logits.float()
    if not logits.isfinite().all():
        raise NotFiniteError(f"{view} returned logits that are not finite")
    return logits, y


@torch.no_grad()
def evaluate(
    learner: Learner,
    bank: Bank,
    precision: str = "fp32",
    progress: Callable[[int], object] = lambda episodes: None,
) -> Scores:
    """Lets a learner answer every episode of a bank, in ``eval()`` mode and without gradients.

    The learner's mode is restored afterwards. torch is seeded per batch, so that a learner that
    draws random numbers answers the same twice.

    Args:
        learner: on the device of the bank's pool.
        bank: the episodes.
        precision: ``fp32`` or ``bf16``.
        progress: told how many episodes are done.

    Raises:
        ContractError: see `answer`.
    """
    was_training = learner.training
    learner.eval()
    parts: list[tuple[Tensor, ...]] = []
    try:
        done = 0
        for number, batch in enumerate(bank.batches(batch_size(bank))):
            torch.manual_seed(number)
            with autocast(bank.pool.images.device, precision):
                logits, y = answer(learner, batch)
            parts.append(tuple(tensor.cpu() for tensor in _score(logits, y, batch)))
            done += len(y)
            progress(done)
    finally:
        learner.train(was_training)
    nll, confidence, correct, times = (torch.cat(column) for column in zip(*parts, strict=True))
    presented = None
    if bank.task.protocol == "online":
        presented = _by_presentation(correct, times, bank.task.presentations).numpy()
    return Scores(
        accuracy=correct.double().mean(1).numpy(),
        nll=nll.double().mean(1).numpy(),
        confidence=confidence.double().numpy(),
        correct=correct.numpy(),
        by_presentation=presented,
    )


def _score(logits: Tensor, y: Tensor, batch: Episodes | Stream) -> tuple[Tensor, ...]:
    """Per answer: NLL, confidence, correct, and which presentation it was; each (B, Q)."""
    log_probability = logits.log_softmax(-1)  # (B, Q, N)
    nll = -log_probability.gather(-1, y[..., None])[..., 0]
    best, choice = log_probability.max(-1)
    online = isinstance(batch, Stream)
    times = presentation(y, batch.ways) if online else torch.zeros_like(y)
    return nll, best.exp(), choice == y, times


def _by_presentation(correct: Tensor, times: Tensor, presentations: int) -> Tensor:
    """(E, T) to (E, K): per episode, the accuracy at each presentation; each occurs N times."""
    sums = torch.zeros(len(correct), presentations, dtype=torch.float64)
    sums.scatter_add_(1, times, correct.double())
    return sums / (correct.shape[1] // presentations)
