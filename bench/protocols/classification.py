"""Answers that are right or wrong: accuracy, likelihood, calibration.

Letters in shapes: ``B`` episodes, ``Q`` answers of an episode, ``N`` ways, ``E`` episodes of a
bank.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.api import TaskSpec
from bench.protocols.answers import FloatArray, Scores, Summary, interval, rounded
from bench.protocols.base import BatchT, Protocol, SettingT
from bench.statistics.intervals import reliability
from bench.store.records import Interval, Measure, ReliabilityCurve


@dataclass(frozen=True)
class Classified(Scores):
    """Scores of answers that are right or wrong.

    Attributes:
        confidence: (E, Q) probability of the class (the bit) chosen.
        correct: (E, Q) whether it was the right one.
    """

    confidence: FloatArray
    correct: NDArray[np.bool_]

    @property
    def accuracy(self) -> FloatArray:
        """(E,) fraction of right answers per episode."""
        return self.values["accuracy"]

    @property
    def nll(self) -> FloatArray:
        """(E,) mean negative log-likelihood per episode, in nats."""
        return self.values["nll"]

    @property
    def by_presentation(self) -> FloatArray | None:
        """(E, K) online: accuracy at the 1st, 2nd, ... presentation of a class."""
        return self.values.get("by_presentation")

    @property
    def errors(self) -> NDArray[np.int64]:
        """(E,) wrong answers per episode: of a memory probe, wrong bits."""
        wrong: NDArray[np.int64] = (~self.correct).sum(1)
        return wrong


class Classification(Protocol[SettingT, BatchT]):
    """Base of protocols whose answers are classes, or bits."""

    def scores(self, marks: Mapping[str, Tensor], task: TaskSpec) -> Classified:
        """See `Protocol.scores`; the marks ``nll``, ``confidence`` and ``correct`` are (E, Q)."""
        correct = marks["correct"]
        return Classified(
            values={
                "accuracy": correct.double().mean(1).numpy(),
                "nll": marks["nll"].double().mean(1).numpy(),
            },
            confidence=marks["confidence"].double().numpy(),
            correct=correct.numpy(),
        )

    def summarise(self, scores: Classified, task: TaskSpec) -> Summary:
        """Accuracy and likelihood with intervals, and how far the confidence is from what is
        right."""
        calibration = reliability(scores.confidence.ravel(), scores.correct.ravel())
        metrics = {
            "accuracy": interval(scores.accuracy),
            "nll": interval(scores.nll),
            "ece": Interval(mean=calibration.error, ci95=None, n=scores.correct.size),
        }
        curve = ReliabilityCurve(
            answers=calibration.answers.tolist(),
            confidence=rounded(calibration.confidence),
            accuracy=rounded(calibration.accuracy),
        )
        return Summary(metrics, {"reliability": curve})

    def rank(self, means: Mapping[str, float]) -> tuple[float, ...]:
        """Accuracy decides, then the likelihood; NaN ranks last."""
        nll = means["nll"]
        return means["accuracy"], -nll if math.isfinite(nll) else -math.inf

    @abstractmethod
    def chance(self, task: TaskSpec) -> float:
        """The accuracy of guessing."""

    @abstractmethod
    def at(self, task: TaskSpec) -> str:
        """What the accuracy of a meta-validation is of: ``at 5 ways``."""

    def at_chance(self, means: Mapping[str, float], task: TaskSpec, episodes: int) -> str | None:
        """See `Protocol.at_chance`."""
        chance = self.chance(task)
        # a generous bound: one answer per episode and class (or bit) counted as independent
        noise = 3 * math.sqrt(chance * (1 - chance) / (episodes * task.answer_size))
        accuracy = means["accuracy"]
        if accuracy < chance + noise:
            return f"meta-validation stayed at chance: {accuracy:.1%} {self.at(task)}"
        return None


class OfClasses(Classification[SettingT, BatchT]):
    """Base of protocols whose answers are one of N classes."""

    def chance(self, task: TaskSpec) -> float:
        """One of the ways."""
        return 1 / task.ways

    def at(self, task: TaskSpec) -> str:
        """Accuracy is of some number of ways."""
        return f"at {task.ways} ways"

    def measure(self, task: TaskSpec | None, pool: Any) -> Measure:
        """Accuracy."""
        return Measure(
            metric="accuracy",
            heading="accuracy",
            higher_is_better=True,
            unit="percent",
            chance=None if task is None else self.chance(task),
            perfect=1.0,
        )


def judged(logits: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Likelihood, confidence and whether it is right, of each answer: (B, Q).

    Args:
        logits: (B, Q, N).
        y: (B, Q) in [0, N).
    """
    log_probability = logits.log_softmax(-1)  # (B, Q, N)
    best, choice = log_probability.max(-1)
    nll = -log_probability.gather(-1, y[..., None])[..., 0]
    return {"nll": nll, "confidence": best.exp(), "correct": choice == y}


def chosen(logits: Tensor, y: Tensor) -> dict[str, Tensor]:
    """What is kept of each answer, see `Protocol.kept`; the arguments are those of `judged`."""
    best, choice = logits.softmax(-1).max(-1)  # (B, Q)
    return {"label": y, "choice": choice, "confidence": best}
