"""3x3 convolutions whose kernels are other ones for every task, differentiable twice.

There are two ways, and which is faster depends on how many rows the product of a task has:

* few images per task: one gather of patches, and one batched matrix product for all tasks;
* many: torch's own convolution, task by task, which writes no patches to memory.

A convolution y = x * w is linear in x and in w, and its two derivatives are linear in what they are
made of. All three are one form, Σ g (x * w), seen from the side of g, x or w, so that each is
differentiated by the other two and none ever needs the general double backward.

Letters in shapes: B tasks, S items, C channels, F features, H and W height and width of an image,
O and P those of the feature map that is made of it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api import opaque, operator
from bench_plugins.optimization_based.task_layers import patches

ROWS, CHANNELS = 320, 16
"""From so many rows S O P of a task's product, and so many channels, torch's own convolution is
faster on a CPU. The images themselves never get there: their patches are made once for all inner
steps."""


def convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A 3x3 convolution with padding 1, task by task.

    Args:
        x: (B, S, H, W, C).
        weight: (B, 9C, F), rows in the order of `patches`.
        stride: pixels from one window to the next, 1 or 2.

    Returns:
        (B, S, O, P, F), O = ceil(H / stride) and P = ceil(W / stride).
    """
    items, height, width, channels = x.shape[1:]
    rows = items * -(-height // stride) * -(-width // stride)
    many = rows >= ROWS and channels >= CHANNELS and x.device.type == "cpu"
    if not many:
        return product(patches(x, stride), weight)
    if torch.is_autocast_enabled("cpu"):
        x, weight = (t.to(torch.get_autocast_dtype("cpu")) for t in (x, weight))
    with torch.autocast("cpu", enabled=False):
        return _Convolution.apply(x, weight, stride)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """A linear map, task by task: (B, S, ..., D) and (B, D, F) to (B, S, ..., F)."""
    return (x.flatten(1, -2) @ weight).unflatten(1, x.shape[1:-1])


class _Convolution(torch.autograd.Function):
    """x (B, S, H, W, C) and w (B, 9C, F) to y (B, S, O, P, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return opaque(convolved)(x, weight, stride)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad[:2]
        return (
            _ByImage.apply(g, weight, ctx.stride, x.shape) if by_x else None,
            _ByKernel.apply(x, g, ctx.stride) if by_weight else None,
            None,
        )


class _ByImage(torch.autograd.Function):
    """∂ Σ g (x * w) / ∂x, of g (B, S, O, P, F) and w (B, 9C, F)."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, stride: int, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.stride = stride
        return opaque(by_image)(g, weight, stride, list(shape))

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> Any:
        g, weight = ctx.saved_tensors
        by_g, by_weight = ctx.needs_input_grad[:2]
        return (
            _Convolution.apply(h, weight, ctx.stride) if by_g else None,
            _ByKernel.apply(h, g, ctx.stride) if by_weight else None,
            None,
            None,
        )


class _ByKernel(torch.autograd.Function):
    """∂ Σ g (x * w) / ∂w, of x (B, S, H, W, C) and g (B, S, O, P, F)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, g)
        ctx.stride = stride
        return opaque(by_kernel)(x, g, stride)

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> Any:
        x, g = ctx.saved_tensors
        by_x, by_g = ctx.needs_input_grad[:2]
        return (
            _ByImage.apply(g, h, ctx.stride, x.shape) if by_x else None,
            _Convolution.apply(x, h, ctx.stride) if by_g else None,
            None,
        )


# -- task by task ---------------------------------------------------------------------------------


@operator("(Tensor x, Tensor weight, int stride) -> Tensor")
def convolved(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Of `_Convolution`."""
    made = [
        F.conv2d(_image(a), _kernel(w), stride=stride, padding=1)
        for a, w in zip(x, weight, strict=True)
    ]
    return torch.stack([y.movedim(1, 3) for y in made])


@operator("(Tensor g, Tensor weight, int stride, SymInt[] shape) -> Tensor")
def by_image(g: Tensor, weight: Tensor, stride: int, shape: list[int]) -> Tensor:
    """Of `_ByImage`."""
    like = weight.new_empty(shape[1:])  # of x only the shape counts
    made = [_slopes(b, like, w, stride, image=True) for b, w in zip(g, weight, strict=True)]
    return torch.stack([x.movedim(1, 3) for x in made])


@operator("(Tensor x, Tensor g, int stride) -> Tensor")
def by_kernel(x: Tensor, g: Tensor, stride: int) -> Tensor:
    """Of `_ByKernel`."""
    like = x.new_empty(9 * x.shape[-1], g.shape[-1])
    made = [_slopes(b, a, like, stride, image=False) for a, b in zip(x, g, strict=True)]
    return torch.stack([w.permute(2, 3, 1, 0).flatten(0, 2) for w in made])


def _slopes(g: Tensor, x: Tensor, weight: Tensor, stride: int, *, image: bool) -> Tensor:
    """One of the two derivatives for one task: (S, C, H, W) or (F, C, 3, 3)."""
    by_x, by_kernel, _ = torch.ops.aten.convolution_backward(
        _image(g), _image(x), _kernel(weight), None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1,
        [image, not image, False],
    )  # fmt: skip
    return by_x if image else by_kernel


def _image(x: Tensor) -> Tensor:
    """(S, H, W, C) as torch has it, (S, C, H, W), with the channels last in memory."""
    return x.movedim(3, 1)


def _kernel(weight: Tensor) -> Tensor:
    """(9C, F) as torch has it, (F, C, 3, 3)."""
    return weight.T.unflatten(1, (3, 3, -1)).movedim(3, 1)
