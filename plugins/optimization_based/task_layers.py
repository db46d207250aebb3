"""The two layers that a second-order inner loop spends its time in, with double backwards of their
own: the image patches of a convolution, and batch normalisation with ReLU; and max-pooling.

Every tensor has a leading task dimension. A convolution is one gather of patches and one batched
matrix product; the derivative of a gather is a scatter, and that of a scatter a gather, so that the
double backward is as plain as the forward.

References:
    Ioffe, Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", ICML, arXiv:1502.03167.

Letters in shapes: B tasks, S items, C channels, F features, H and W height and width of an image,
O and P those of the feature map that is made of it, M values per feature: S, or S O P.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.api import being_compiled, opaque, operator

EPSILON = 1e-5

ROWS = 128
"""Values per feature and task from which torch's own batch normalisation is faster on a CPU."""


# -- patches --------------------------------------------------------------------------------------


def patches(x: Tensor, stride: int) -> Tensor:
    """What a 3x3 convolution with padding 1 sees at each of its positions.

    Args:
        x: (B, S, H, W, C).
        stride: pixels from one window to the next, 1 or 2.

    Returns:
        (B, S, O, P, 9C), O = ceil(H / stride) and P = ceil(W / stride): the window's pixels in
        reading order, channels within.
    """
    return _Gather.apply(F.pad(x, (0, 0, 1, 1, 1, 1)), stride).flatten(4)


class _Gather(torch.autograd.Function):
    """Padded images (B, S, H + 2, W + 2, C) to (B, S, O, P, 3, 3, C).

    `index_select` adds up its gradient in an order that CUDA does not fix.
    """

    @staticmethod
    def forward(ctx: Any, padded: Tensor, stride: int) -> Tensor:
        ctx.shape, ctx.stride = padded.shape, stride
        return opaque(gathered)(padded, stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Scatter.apply(gradient, ctx.stride, ctx.shape), None


class _Scatter(torch.autograd.Function):
    """The transpose of `_Gather`: every pixel's sum over the windows that it lies in."""

    @staticmethod
    def forward(ctx: Any, windows: Tensor, stride: int, shape: torch.Size) -> Tensor:
        ctx.stride = stride
        return opaque(scattered)(windows, stride, list(shape))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Gather.apply(gradient, ctx.stride), None, None


@operator("(Tensor padded, int stride) -> Tensor")
def gathered(padded: Tensor, stride: int) -> Tensor:
    """Of `_Gather`."""
    windows = padded.unfold(2, 3, stride).unfold(3, 3, stride)  # (B, S, O, P, C, 3, 3)
    windows = windows.permute(0, 1, 2, 3, 5, 6, 4)
    return windows.clone(memory_format=torch.contiguous_format)  # runs of 3C stay together


@operator("(Tensor windows, int stride, SymInt[] shape) -> Tensor")
def scattered(windows: Tensor, stride: int, shape: list[int]) -> Tensor:
    """Of `_Scatter`."""
    padded = windows.new_zeros(shape)
    height, width = windows.shape[2:4]
    for row in range(3):
        # (B, S, O, W + 2, C)
        rows = padded[:, :, row : row + stride * (height - 1) + 1 : stride]
        # The first pixels of all windows lie side by side: they are added in one run.
        first = rows[:, :, :, : stride * width].unflatten(3, (width, stride))
        first.add_(windows[:, :, :, :, row, :stride])
        for column in range(stride, 3):
            columns = rows[:, :, :, column : column + stride * (width - 1) + 1 : stride]
            columns.add_(windows[:, :, :, :, row, column])
    return padded


# -- pooling --------------------------------------------------------------------------------------


def pooled(y: Tensor) -> Tensor:
    """The largest value of each 2x2 window: (B, S, H, W, F) to (B, S, H // 2, W // 2, F)."""
    images = y.flatten(0, 1).movedim(3, 1)  # (B S, F, H, W), the channels last in memory
    return F.max_pool2d(images, 2).movedim(1, 3).unflatten(0, y.shape[:2])


# -- batch normalisation --------------------------------------------------------------------------


def normalised(y: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation by the statistics of these values, task by task, and ReLU.

    Differentiable twice, in half the passes over memory that its parts take. The variance is that
    of the values, divided by M; a single value has the variance 1, for nothing is known of its
    spread.

    Args:
        y: (B, M, F).
        scale: (B, F), γ in the paper.
        shift: (B, F), β in the paper.

    Returns:
        relu(γ (y - mean) / sqrt(variance + ε) + β), (B, M, F); mean (B, 1, F); variance (B, 1, F).
    """
    if y.shape[1] == 1:
        one = torch.ones_like(y)
        return normalised_by(y, scale, shift, y, one), y, one
    return _Normalise.apply(y, scale[:, None], shift[:, None])


def normalised_by(
    y: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """`normalised`, by given statistics (B, 1, F). Differentiable once."""
    if not _by_torch(y):
        gain = scale[:, None] * torch.rsqrt(variance + EPSILON)  # (B, 1, F)
        return F.relu(torch.addcmul(shift[:, None], y - mean, gain))
    return _NormaliseBy.apply(y, scale[:, None], shift[:, None], mean, variance)


def _by_torch(y: Tensor) -> bool:
    """Whether torch's own batch normalisation of one task after the other is the faster one: on a
    CPU it takes half the passes over memory, and pays for each task's call."""
    return y.device.type == "cpu" and y.shape[1] >= ROWS and not being_compiled()


class _Normalise(torch.autograd.Function):
    """y (B, M, F) with scale γ and shift β (B, 1, F) to relu(γ r d + β), mean and variance.

    d = y - mean and r = 1 / sqrt(variance + ε); a sum Σ is over the M values.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, scale: Tensor, shift: Tensor) -> Any:
        if _by_torch(y):
            output, mean, r = torch.empty_like(y), torch.empty_like(scale), torch.empty_like(scale)
            for b, (values, out) in enumerate(zip(y, output, strict=True)):
                torch.native_batch_norm(
                    values, scale[b, 0], shift[b, 0], None, None, True, 0.0, EPSILON,
                    out=(out, mean[b, 0], r[b, 0]),
                )  # fmt: skip
            variance = (r**-2 - EPSILON).clamp_min_(0)
        else:
            mean = y.mean(1, keepdim=True)
            centred = y - mean  # d
            variance = centred.square().mean(1, keepdim=True)
            r = torch.rsqrt(variance + EPSILON)
            output = torch.addcmul(shift, centred, scale * r)
        ctx.save_for_backward(y, mean, r, scale, output.relu_())
        ctx.set_materialize_grads(False)
        return output, mean, variance

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor | None, of_mean: Tensor | None, of_variance: Tensor | None
    ) -> Any:
        y, mean, r, scale, output = ctx.saved_tensors
        if gradient is None:
            gradient = torch.zeros_like(y)
        if (of_mean is None) != (of_variance is None):
            of_mean = torch.zeros_like(mean) if of_mean is None else of_mean
            of_variance = torch.zeros_like(mean) if of_variance is None else of_variance
        positive = output.detach()  # a mask; ReLU has no second derivative
        return _NormaliseBackward.apply(
            y, scale, gradient, of_mean, of_variance, mean.detach(), r.detach(), positive
        )


class _NormaliseBackward(torch.autograd.Function):
    """The gradient of `_Normalise`, and that gradient's own.

    With g = ∂L/∂output where the output is positive and 0 elsewhere, σ = Σ g and s = Σ g d::

        ∂L/∂β = σ        ∂L/∂γ = r s        ∂L/∂y = γ r g + a d + c
        a = (2 ∂L/∂variance - γ r³ s) / M       c = (∂L/∂mean - γ r σ) / M

    In an inner loop the loss does not ask for mean and variance: their gradients are None.
    """

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        scale: Tensor,
        gradient: Tensor,
        of_mean: Tensor | None,
        of_variance: Tensor | None,
        mean: Tensor,
        r: Tensor,
        output: Tensor,
    ) -> Any:
        number = y.shape[1]
        g = torch.ops.aten.threshold_backward(gradient, output, 0)
        gain = scale * r
        if _by_torch(y):
            by_y, by_scale, sigma = _torch_backward(g, y, scale, mean, r)
            if of_mean is not None and of_variance is not None:
                by_y.add_(of_mean / number).addcmul_(y - mean, 2 * of_variance / number)
            s = by_scale / r
        else:
            centred = y - mean
            sigma = g.sum(1, keepdim=True)
            s = (g * centred).sum(1, keepdim=True)
            a, c = -gain * r.square() * s / number, -gain * sigma / number
            if of_mean is not None and of_variance is not None:
                a, c = a + 2 * of_variance / number, c + of_mean / number
            by_y, by_scale = torch.addcmul(c, g, gain).addcmul_(centred, a), r * s
        ctx.save_for_backward(y, mean, scale, g, of_variance, r, output, sigma, s)
        ctx.set_materialize_grads(False)
        return by_y, by_scale, sigma

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, h: Tensor | None, of_scale: Tensor | None, of_shift: Tensor | None
    ) -> Any:
        """Of Φ = Σ h ∂L/∂y + h_γ ∂L/∂γ + h_β ∂L/∂β, where h stands for ``h``, h_γ for ``of_scale``
        and h_β for ``of_shift``: its gradient by g, d, r, γ, ∂L/∂mean and ∂L/∂variance."""
        y, mean, scale, g, of_variance, r, output, sigma, s = ctx.saved_tensors
        h = torch.zeros_like(y) if h is None else h
        of_scale = torch.zeros_like(scale) if of_scale is None else of_scale
        of_shift = torch.zeros_like(scale) if of_shift is None else of_shift
        number, d = y.shape[1], y - mean
        gain, cube = scale * r, scale * r**3
        h_g = (h * g).sum(1, keepdim=True)
        h_d = (h * d).sum(1, keepdim=True)
        h_1 = h.sum(1, keepdim=True)
        a = -cube * s / number
        if of_variance is not None:
            a = a + 2 * of_variance / number
        by_s = of_scale * r - cube * h_d / number  # ∂Φ/∂s, which s = Σ g d takes to g and to d
        by_sigma = of_shift - gain * h_1 / number
        by_g = torch.addcmul(by_sigma, h, gain).addcmul_(d, by_s)
        inner = h_g - sigma * h_1 / number
        by_scale = r * (inner - r.square() * s * h_d / number)
        by_r = scale * inner - 3 * gain * r * s * h_d / number + of_scale * s
        # d = y - mean, whose gradient has no mean; and r through the variance, Σ d² / M.
        by_variance = -by_r * r**3 / number
        centre = -(by_s * sigma + a * h_1) / number
        by_y = torch.addcmul(centre, g, by_s).addcmul_(h, a).addcmul_(d, by_variance)
        by_gradient = torch.ops.aten.threshold_backward(by_g, output, 0)
        by_mean, by_of_variance = None, None
        if of_variance is not None:
            by_mean, by_of_variance = h_1 / number, 2 * h_d / number
        return by_y, by_scale, by_gradient, by_mean, by_of_variance, None, None, None


def _torch_backward(
    g: Tensor, y: Tensor, scale: Tensor, mean: Tensor, r: Tensor, variance: Tensor | None = None
) -> list[Tensor]:
    """torch's own gradients by y (B, M, F), γ and β (B, 1, F), task by task.

    Args:
        g: of the output, (B, M, F).
        y: the values.
        scale: γ (B, 1, F).
        mean: (B, 1, F).
        r: (B, 1, F).
        variance: where it, and the mean, are given ones, and no functions of y.
    """
    tasks = [
        torch.ops.aten.native_batch_norm_backward(
            g[b], y[b], scale[b, 0],
            None if variance is None else mean[b, 0], None if variance is None else variance[b, 0],
            mean[b, 0], r[b, 0], variance is None, EPSILON, [True, True, True],
        )
        for b in range(len(y))
    ]  # fmt: skip
    by_y, by_scale, by_shift = zip(*tasks, strict=True)
    of_tasks = torch.stack(by_y) if len(y) > 1 else by_y[0][None]
    return [of_tasks, torch.stack(by_scale)[:, None], torch.stack(by_shift)[:, None]]


class _NormaliseBy(torch.autograd.Function):
    """`normalised_by`, by torch's own, task by task; every argument but y is (B, 1, F)."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
    ) -> Tensor:
        output, unused = torch.empty_like(y), y.new_empty(0)
        for b, (values, out) in enumerate(zip(y, output, strict=True)):
            torch.native_batch_norm(
                values, scale[b, 0], shift[b, 0], mean[b, 0], variance[b, 0], False, 0.0, EPSILON,
                out=(out, unused, unused),
            )  # fmt: skip
        ctx.save_for_backward(y, scale, mean, variance, output.relu_())
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """∂L/∂mean = -γ r ∂L/∂β and ∂L/∂variance = -γ r² / 2 ∂L/∂γ: both enter as γ r d."""
        y, scale, mean, variance, output = ctx.saved_tensors
        g = torch.ops.aten.threshold_backward(gradient, output, 0)
        r = torch.rsqrt(variance + EPSILON)
        by_y, by_scale, by_shift = _torch_backward(g, y, scale, mean, r, variance)
        by_variance = -0.5 * scale * r.square() * by_scale
        return by_y, by_scale, by_shift, -scale * r * by_shift, by_variance
