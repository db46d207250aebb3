"""What compiled and captured losses share: a batch as a flat list of tensors, and a loss whose
gradient is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn


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


def given(loss: Tensor, gradients: Sequence[Tensor | None], parameters: list[nn.Parameter]) -> Any:
    """A scalar for that loss, whose `backward` gives the parameters those gradients, times what
    comes from above; None where a parameter has none."""
    return _Given.apply(loss, gradients, *parameters)


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
