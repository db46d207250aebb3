"""Answers that are numbers: squared error, likelihood, and what the best answer and the best
constant get.

Letters in shapes: ``B`` functions, ``Q`` points that are asked for, ``E`` numbers of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import AfterValidator
from torch import Tensor

from bench.api import Normal, TaskSpec
from bench.api.numbers import Answered
from bench.data.functions import Family, Functions, FunctionStream
from bench.protocols.answers import Answer, ContractError, Scores, kind_of
from bench.protocols.base import BatchT, Protocol, SettingT
from bench.protocols.settings import Keys
from bench.store.records import Measure


def _in_order(sizes: tuple[int, int]) -> tuple[int, int]:
    fewest, most = sizes
    if not 1 <= fewest <= most:
        raise ValueError(f"the fewest and the most points, got [{fewest}, {most}]")
    return sizes


Range = Annotated[tuple[int, int], AfterValidator(_in_order)]
"""Fewest and most points."""


class OfNumbers(Protocol[SettingT, BatchT]):
    """Base of protocols whose answers are numbers, about functions from a `Family`."""

    source = Family
    about = "families of functions"
    inputs_per_image = 8
    audit_room = 640

    # -- answers ----------------------------------------------------------------------------------

    def judged(
        self, said: Tensor, y: Tensor, batch: Functions | FunctionStream
    ) -> dict[str, Tensor]:
        """Squared error and, where the learner says how sure it is, log-likelihood of each answer;
        beside them those of the best answer, where it is known, and of the best constant. Each
        (B, Q): errors are the mean over an answer's numbers, likelihoods that of all of them.

        Args:
            said: (B, Q, E), or with standard deviations behind the means (B, Q, 2 E).
            y: (B, Q, E).
            batch: what was asked, with the best answers.
        """
        mean, std = said[..., : y.shape[-1]], said[..., y.shape[-1] :]
        marks = {"mse": _error(mean, y), "constant_mse": _error(torch.tensor(batch.constant), y)}
        if std.shape[-1]:
            marks["log_likelihood"] = Normal(mean, std).log_likelihood(y).sum(-1)
        if batch.oracle_mean is not None:
            best, sure = batch.oracle_mean, batch.oracle_std
            marks["oracle_mse"] = _error(best, y)
            if sure is not None:
                marks["oracle_log_likelihood"] = Normal(best, sure).log_likelihood(y).sum(-1)
        return marks

    def scores(self, marks: Mapping[str, Tensor], task: TaskSpec) -> Scores:
        """The mean over an episode's points; and by how many nats per point it stays behind the
        best answer, function by function."""
        scores = super().scores(marks, task)
        own, best = (scores.values.get(k) for k in ("log_likelihood", "oracle_log_likelihood"))
        if own is None or best is None:
            return scores
        return replace(scores, values={**scores.values, "nats_behind_oracle": best - own})

    def rank(self, means: Mapping[str, float]) -> tuple[float, ...]:
        """The likelihood decides where the learner gives one, else the squared error."""
        value = means.get("log_likelihood", -means["mse"])
        return (value if math.isfinite(value) else -math.inf,)

    def at_chance(self, means: Mapping[str, float], task: TaskSpec, episodes: int) -> str | None:
        """See `Protocol.at_chance`; a constant is to be beaten by a tenth."""
        error, constant = means["mse"], means["constant_mse"]
        if error < 0.9 * constant:
            return None
        return (
            f"meta-validation is no better than a constant: mean squared error {error:.3g}, and "
            f"{constant:.3g} of the best constant"
        )

    def measure(self, task: TaskSpec | None, pool: Family) -> Measure:
        """The squared error; a constant answer is what guessing is elsewhere."""
        return Measure(
            metric="mse",
            heading="mean squared error",
            higher_is_better=False,
            unit="number",
            chance=None if pool is None else pool.constant_error,
            perfect=None if pool is None else pool.best_error,
        )


class RegressionKeys(Keys):
    """What meta-training has, once for all settings."""

    training_shots: Range | None = None
    """Fewest and most points to learn from in meta-training, one number per update. None: as
    tested, so that each setting has a training of its own."""


def _error(answer: Tensor, y: Tensor) -> Tensor:
    """Squared errors (B, Q)."""
    return (answer.to(y) - y).square().mean(-1)


def said(view: str, answers: Answered, y: Tensor) -> Answer:
    """What a learner said to a batch, as one tensor: means, and behind them standard deviations.

    Args:
        view: the method that said it.
        answers: (B, Q, E), or a `Normal`.
        y: (B, Q, E), for its shape.

    Raises:
        ContractError: no tensors, or standard deviations of another shape than the means, or not
            above 0.
    """
    expected, names = tuple(y.shape), "(functions, points, numbers)"
    parts: tuple[object, ...] = answers if isinstance(answers, Normal) else (answers,)
    for part in parts:
        if not isinstance(part, Tensor):
            of = "a Normal of " if isinstance(answers, Normal) else ""
            raise ContractError(
                f"{view} returned {of}{kind_of(part)}; expected a tensor of means, or "
                f"bench.api.Normal(mean, std) of two tensors, each {names} = {expected}"
            )
    if not isinstance(answers, Normal):
        return Answer(view, answers, expected, names)
    mean, std = answers
    if mean.shape != std.shape:
        raise ContractError(
            f"{view} returned means of shape {tuple(mean.shape)} and standard deviations of shape "
            f"{tuple(std.shape)}; expected {names} = {expected} of both"
        )
    if (std <= 0).any():  # one that is NaN is a training that diverged, and no breach
        raise ContractError(f"{view} returned standard deviations that are not above 0")
    together = (*expected[:-1], 2 * expected[-1])
    return Answer(view, torch.cat([mean, std], dim=-1), together, names)


def lines(episodes: int, points: int, seed: int) -> tuple[Tensor, Tensor]:
    """Tiny functions for checks: y = a x + b, with a and b in [-2, 2], x in [-1, 1]: x and y
    (B, P, 1)."""
    random = torch.Generator().manual_seed(seed)
    slope, offset = (4 * torch.rand(2, episodes, 1, 1, generator=random) - 2).unbind()
    x = 2 * torch.rand(episodes, points, 1, generator=random) - 1
    return x, slope * x + offset


def tiny(name: str, **sizes: Any) -> TaskSpec:
    """A task of `lines`."""
    return TaskSpec((1,), 1, protocol=name, outputs=1, episodes_per_update=8, **sizes)
