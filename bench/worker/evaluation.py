"""Meta-test on a frozen bank: accuracy, calibration, accuracy by presentation.

Letters in shapes: ``B`` episodes, ``Q`` answers per episode (queries, time steps, or the bits that
a memory probe asks for), ``N`` ways, ``E`` episodes of the bank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.api import Learner, SequenceLearner, Sequences, Stream
from bench.episodes.banks import Bank
from bench.episodes.pools import Batch


def presentation(y: Tensor, ways: int) -> Tensor:
    """How often the class of each step was presented before that step.

    Args:
        y: (B, T) labels in [0, ways).
        ways: classes.

    Returns:
        (B, T) int64: 0 at the first presentation of a class, 1 at the second, ...
    """
    member = torch.nn.functional.one_hot(y, ways)  # (B, T, N)
    return (member.cumsum(1) - 1).gather(2, y[..., None])[..., 0]


FloatArray = NDArray[np.float64]


BATCH_IMAGES = {"cpu": 1280, "gpu": 20480}
"""Images that are handled together, about: enough to be fast, few enough for the memory."""


STEPS_PER_IMAGE = 8
"""Steps of a memory probe that stand for an image there."""


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
        confidence: (E, Q) probability of the class (the bit) chosen.
        correct: (E, Q) whether it was the right one.
        by_presentation: (E, K) online: accuracy at the 1st, 2nd, ... presentation of a class.
    """

    accuracy: FloatArray
    nll: FloatArray
    confidence: FloatArray
    correct: NDArray[np.bool_]
    by_presentation: FloatArray | None

    @property
    def errors(self) -> NDArray[np.int64]:
        """(E,) wrong answers per episode: of a memory probe, wrong bits."""
        return (~self.correct).sum(1)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of one precision: ``bf16`` casts matrix products and convolutions."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def batch_size(bank: Bank) -> int:
    """Episodes of this bank that are handled together."""
    most = BATCH_IMAGES["cpu" if bank.pool.device.type == "cpu" else "gpu"]
    if bank.task.protocol == "sequence":
        most *= STEPS_PER_IMAGE
    return max(1, most // bank.pool.inputs(bank.task))


def answer(learner: Learner, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits (B, Q, N) in float32 and right answers (B, Q) for a batch; of memory probes logits
    (B, T, E) and bits (B, T, E).

    Raises:
        ContractError: logits of another shape.
        NotFiniteError: logits that are not finite.
    """
    if isinstance(batch, Sequences):
        logits, y = cast(SequenceLearner, learner).respond(batch.x), batch.target
        view, names, expected = "respond", "(probes, steps, bits)", tuple(y.shape)
    elif isinstance(batch, Stream):
        logits, y = learner.unroll(batch.x, batch.y, batch.ways), batch.y
        view, names, expected = "unroll", "(episodes, answers, ways)", (*y.shape, batch.ways)
    else:
        state = learner.adapt(batch.support_x, batch.support_y, batch.ways)
        logits, y = learner.predict(state, batch.query_x), batch.query_y
        view, names, expected = "predict", "(episodes, answers, ways)", (*y.shape, batch.ways)
    if tuple(logits.shape) != expected:
        raise ContractError(
            f"{view} returned logits of shape {tuple(logits.shape)}; expected {names} = {expected}"
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
            with autocast(bank.pool.device, precision):
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


def _score(logits: Tensor, y: Tensor, batch: Batch) -> tuple[Tensor, ...]:
    """Per answer: NLL, confidence, correct, and which presentation it was; each (B, Q)."""
    if isinstance(batch, Sequences):
        # Probes of one batch ask for equally many bits: (B, T, E) to (B, Q).
        due = batch.mask.bool()
        logits, bits = (tensor[due].view(len(y), -1) for tensor in (logits, y))
        nll = F.binary_cross_entropy_with_logits(logits, bits, reduction="none")
        times = torch.zeros_like(bits, dtype=torch.int64)
        return nll, logits.abs().sigmoid(), (logits > 0) == bits.bool(), times
    log_probability = logits.log_softmax(-1)  # (B, Q, N)
    nll = -log_probability.gather(-1, y[..., None])[..., 0]
    best, choice = log_probability.max(-1)
    online = isinstance(batch, Stream)
    times = presentation(y, batch.ways) if online else torch.zeros_like(y)
    return nll, best.exp(), choice == y, times


@torch.no_grad()
def picture(learner: Learner, bank: Bank) -> dict[str, NDArray[np.float32]] | None:
    """How a learner answers the first sequence of a probe's bank, and where in its memory it reads
    and writes meanwhile; None for a learner that does not show it.

    Returns:
        ``x`` (T, D), ``target`` (T, E), ``answer`` (T, E) probabilities, ``mask`` (T,), and as
        ``head <name>`` each head of `SequenceLearner.weightings` (T, M).

    Raises:
        ContractError: weightings of another shape.
    """
    batch = cast(Sequences, next(bank.first(1).batches(1)))
    was_training = learner.training
    learner.eval()
    try:
        shown = cast(SequenceLearner, learner).weightings(batch.x)
        if not shown:
            return None
        logits, _ = answer(learner, batch)
    finally:
        learner.train(was_training)
    arrays = {"x": batch.x, "target": batch.target, "answer": logits.sigmoid(), "mask": batch.mask}
    for name, weights in shown.items():
        if weights.dim() != 3 or weights.shape[:2] != batch.mask.shape:
            raise ContractError(
                f"weightings returned {name!r} of shape {tuple(weights.shape)}; expected (probes, "
                f"steps, rows) = {(*batch.mask.shape, '...')}"
            )
        arrays[f"head {name}"] = weights
    return {name: tensor[0].float().cpu().numpy() for name, tensor in arrays.items()}


def _by_presentation(correct: Tensor, times: Tensor, presentations: int) -> Tensor:
    """(E, T) to (E, K): per episode, the accuracy at each presentation; each occurs N times."""
    sums = torch.zeros(len(correct), presentations, dtype=torch.float64)
    sums.scatter_add_(1, times, correct.double())
    return sums / (correct.shape[1] // presentations)
