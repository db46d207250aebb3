"""What is said and stored of answers, whatever the protocol.

Letters in shapes: ``B`` episodes, ``E`` episodes of a bank, ``K`` numbers of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bench.api import Learner
from bench.statistics.intervals import mean_interval
from bench.store.records import Interval

if TYPE_CHECKING:
    from bench.protocols.base import Protocol

FloatArray = NDArray[np.float64]


class ContractError(Exception):
    """A learner returned something that the contract does not allow."""


class NotFiniteError(ContractError):
    """A learner returned logits that are infinite or NaN."""


class Answer(NamedTuple):
    """What a learner said to a batch, not yet looked at."""

    view: str
    """The learner's method that said it."""
    logits: Any
    shape: tuple[int, ...]
    """What was expected."""
    names: str
    """Of its dimensions: ``(episodes, answers, ways)``."""


@dataclass(frozen=True)
class Scores:
    """How a learner answered a bank.

    Attributes:
        values: by metric (E,) or (E, K): a row per episode, in bank order. They are stored, so that
            statistics can be made again.
    """

    values: Mapping[str, NDArray[Any]]

    def means(self) -> dict[str, float]:
        """The mean over episodes of what is one number per episode."""
        return {name: float(v.mean()) for name, v in self.values.items() if v.ndim == 1}


@dataclass(frozen=True)
class Summary:
    """What is stored of a meta-test."""

    metrics: dict[str, Interval]
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields of `bench.store.records.CellResult`."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Timed:
    """A phase of answering, to be timed.

    Attributes:
        call: does it once.
        per: how many times `call` does it.
        beyond: does what of `call` is not to count.
    """

    call: Callable[[], object]
    per: float = 1
    beyond: Callable[[], object] | None = None


def answer(protocol: Protocol[Any, Any], learner: Learner, batch: Any) -> Tensor:
    """A learner's logits for a batch, float32.

    Raises:
        ContractError: no logits, or of another shape.
        NotFiniteError: logits that are not finite.
    """
    answered = protocol.ask(learner, batch)
    if not isinstance(answered.logits, Tensor):
        raise ContractError(
            f"{answered.view} returned {kind_of(answered.logits)}; expected a tensor, "
            f"{answered.names} = {answered.shape}"
        )
    if tuple(answered.logits.shape) != answered.shape:
        raise ContractError(
            f"{answered.view} returned logits of shape {tuple(answered.logits.shape)}; expected "
            f"{answered.names} = {answered.shape}"
        )
    logits: Tensor = answered.logits.float()
    if not logits.isfinite().all():
        raise NotFiniteError(f"{answered.view} returned logits that are not finite")
    return logits


def kind_of(value: object) -> str:
    """The class of something, with its module where that says more: another library may have a
    class of the same name."""
    kind = type(value)
    own = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{own}{kind.__qualname__}"


def interval(values: ArrayLike) -> Interval:
    """Mean and half-width of the interval over episodes."""
    mean, ci95 = mean_interval(values)
    return Interval(mean=mean, ci95=ci95, n=len(np.asarray(values)))


def rounded(values: ArrayLike) -> list[Any]:
    """Six decimals, more than answers hold and half the file; nested as the array is."""
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return array.tolist()
    if array.ndim > 1:
        return [rounded(row) for row in array]
    return [round(float(value), 6) for value in array]
