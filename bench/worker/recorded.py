"""What compiled and captured losses share: the ordinary loss and gradient that they are held
against, what an update leaves behind, and a loss whose gradient is there already."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from bench.api import Learner

TOLERANCE, ROUNDED_TOLERANCE = 1e-3, 2e-2
"""Relative differences that are let pass, in fp32 and under autocast: those of sums in another
order are a hundredth of it."""

Result = list[Tensor | None]
"""The loss, and the gradient by each parameter, None where it has none."""


# -- a batch --------------------------------------------------------------------------------------


def taken_apart(batch: Any) -> tuple[list[Tensor], tuple[Any, ...]]:
    """The tensors of a batch, and all else that decides what is computed of them."""
    tensors: list[Tensor] = []
    key: list[Any] = [type(batch)]
    for one in fields(batch):
        value = getattr(batch, one.name)
        if isinstance(value, Tensor):
            tensors.append(value)
            key.append((one.name, tuple(value.shape), value.dtype))
        else:
            key.append((one.name, value))
    return tensors, tuple(key)


def put_together(like: Any, tensors: list[Tensor]) -> Any:
    """A batch of other tensors."""
    left = iter(tensors)
    values = ((one.name, getattr(like, one.name)) for one in fields(like))
    return type(like)(
        **{name: next(left) if isinstance(value, Tensor) else value for name, value in values}
    )


# -- loss and gradient ----------------------------------------------------------------------------


def ordinary(learner: Learner, batch: Any) -> Result:
    """The learner's own loss, under the autocast of this moment, and its gradient."""
    loss = learner.loss(batch)
    with torch.autocast(loss.device.type, enabled=False):
        gradients = torch.autograd.grad(loss, list(learner.parameters()), allow_unused=True)
    return [loss.detach(), *gradients]


def given(result: Result, parameters: list[nn.Parameter]) -> Tensor:
    """The scalar of a result, whose `backward` gives the parameters its gradients, times what comes
    from above; None where a parameter has none."""
    loss: Tensor = _Given.apply(result[0], result[1:], *parameters)
    return loss


class _Given(torch.autograd.Function):
    """A loss whose gradients by the parameters are there already."""

    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, gradients: Sequence[Tensor | None], *parameters: Tensor
    ) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, of_loss: Tensor) -> Any:
        there = [gradient for gradient in ctx.gradients if gradient is not None]
        scaled = iter(torch._foreach_mul(there, of_loss))  # one launch for all
        gradients = (None if one is None else next(scaled) for one in ctx.gradients)
        return None, None, *gradients


# -- what an update leaves behind -----------------------------------------------------------------


class State:
    """The buffers of a learner and the state of torch's generator on its device, at this moment."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.buffers = [one.clone() for one in learner.buffers()]
        self.random = _generator(learner).get_rng_state()

    def put_back(self) -> None:
        """Makes the learner and the generator what they were."""
        with torch.no_grad():
            for buffer, value in zip(self.learner.buffers(), self.buffers, strict=True):
                buffer.copy_(value)
        _generator(self.learner).set_rng_state(self.random)


def _generator(learner: Learner) -> Any:
    """What has the generator's state: torch itself, or the module of its device."""
    kind = next(learner.parameters()).device.type
    return torch if kind == "cpu" else getattr(torch, kind)


def plain_numbers(learner: Learner) -> dict[str, Any]:
    """Plain attributes of the learner and its parts: what Python may decide by."""
    return {
        f"{name}.{key}".removeprefix("."): value
        for name, module in learner.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """The name of a number that is another one now."""
    names = before.keys() | after.keys()
    return next((name for name in sorted(names) if before.get(name) != after.get(name)), None)


# -- whether two are the same ---------------------------------------------------------------------


def rounding(learner: Learner, batch: Any, own: Result) -> float:
    """How far the gradient of a result is from that in float64, relatively: what its precision does
    to it. In bfloat16 MAML's is 30 to 45 % away.

    0 where that cannot be said: the learner draws random numbers, which would be others, or cannot
    compute in float64. The learner stays as it is.
    """
    try:
        exact = copy.deepcopy(learner).double()
        tensors = [
            one.double() if one.is_floating_point() else one for one in taken_apart(batch)[0]
        ]
        before = State(exact)
        with torch.autocast(next(exact.parameters()).device.type, enabled=False):
            found = ordinary(exact, put_together(batch, tensors))
        if not torch.equal(before.random, State(exact).random):
            return 0.0
        apart, size = _distance(found[1:], own[1:])
    except Exception:  # whatever a learner does that needs float32
        return 0.0
    return apart / size if size and math.isfinite(apart) else 0.0


def difference(
    own: Result, own_buffers: list[Tensor], other: Result, other_buffers: list[Tensor],
    tolerance: float | None = None, slack: float = 0.0,
) -> str | None:  # fmt: skip
    """What is not the same in two results of a batch, in words; None where they are the same, and
    where the first one is not finite and says nothing.

    Args:
        own: loss and gradients.
        own_buffers: the learner's, after it.
        other: what is held against it.
        other_buffers: the learner's, after that.
        tolerance: the relative difference that is let pass; default: as the precision asks.
        slack: what of the gradient is let pass beyond that, see `rounding`.
    """
    if tolerance is None:
        kind = next(one.device.type for one in own if one is not None)
        rounded = torch.is_autocast_enabled(kind)
        tolerance = ROUNDED_TOLERANCE if rounded else TOLERANCE
    parts: dict[str, tuple[Sequence[Tensor | None], Sequence[Tensor | None]]] = {
        "loss": (own[:1], other[:1]),
        "gradient": (own[1:], other[1:]),
        "buffers": (own_buffers, other_buffers),
    }
    for name, (one, two) in parts.items():
        allowed = tolerance + slack if name == "gradient" else tolerance
        if (words := _apart(one, two, allowed)) is not None:
            return f"{name} {words}"
    return None


def _apart(
    own: Sequence[Tensor | None], other: Sequence[Tensor | None], allowed: float
) -> str | None:
    if any((one is None) != (two is None) for one, two in zip(own, other, strict=True)):
        return "of other parameters"
    if not all(bool(one.isfinite().all()) for one in own if one is not None):
        return None
    apart, size = _distance(own, other)
    if apart <= allowed * size:
        return None
    return f"another by {apart / size:.1%}" if size else "where there is none"


def _distance(own: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> tuple[float, float]:
    """How far the other is from one's own, and the size of one's own."""
    pairs = zip(own, other, strict=True)
    both = [(a.double(), b.double()) for a, b in pairs if a is not None and b is not None]
    apart = math.hypot(*(float((a - b).norm()) for a, b in both))
    return apart, math.hypot(*(float(a.norm()) for a, _ in both))


SIGNS = {
    "data-dependent": "a number of a tensor decides something in Python",
    "datadependent": "a number of a tensor decides something in Python",
    "trying to get a value out of a tracing": "a number of a tensor decides something in Python",
    "synchronizing cuda operation": "it waits for the GPU in the middle of an update",
}
"""What torch says where something cannot be recorded, in lower case, and what it means."""


def words_of(error: BaseException) -> str:
    """What was first to fail: a recording that is broken off complains as well."""
    while error.__context__ is not None:
        error = error.__context__
    said = f"{type(error).__name__}: {error}".strip()
    for sign, words in SIGNS.items():
        if sign in said.lower():
            return f"{words} ({type(error).__name__})"
    return said.splitlines()[0]
