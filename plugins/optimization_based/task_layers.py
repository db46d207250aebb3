"""The two layers that a second-order inner loop spends its time in, with double backwards of their
own: the image patches of a convolution, and batch normalisation with ReLU.

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

EPSILON = 1e-5


# -- patches --------------------------------------------------------------------------------------


def patches(x: Tensor) -> Tensor:
    """What a 3x3 convolution with stride 2 and padding 1 sees at each of its positions.

    Args:
        x: (B, S, H, W, C).

    Returns:
        (B, S, ceil(H / 2), ceil(W / 2), 9C), the window's pixels in reading order, channels within.
    """
    return _Gather.apply(F.pad(x, (0, 0, 1, 1, 1, 1))).flatten(4)


class _Gather(torch.autograd.Function):
    """Padded images (B, S, H + 2, W + 2, C) to (B, S, O, P, 3, 3, C).

    `index_select` adds up its gradient in an order that CUDA does not fix.
    """

    @staticmethod
    def forward(ctx: Any, padded: Tensor) -> Tensor:
        ctx.shape = padded.shape
        windows = padded.unfold(2, 3, 2).unfold(3, 3, 2)  # (B, S, O, P, C, 3, 3)
        return windows.permute(0, 1, 2, 3, 5, 6, 4).contiguous()  # runs of 3C stay together

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Scatter.apply(gradient, ctx.shape)


class _Scatter(torch.autograd.Function):
    """The transpose of `_Gather`: every pixel's sum over the windows that it lies in."""

    @staticmethod
    def forward(ctx: Any, windows: Tensor, shape: torch.Size) -> Tensor:
        padded = windows.new_zeros(shape)
        height, width = windows.shape[2:4]
        for row in range(3):
            rows = padded[:, :, row : row + 2 * height - 1 : 2]  # (B, S, O, W + 2, C)
            # The first two pixels of all windows lie side by side: they are added in one run.
            rows[:, :, :, : 2 * width].unflatten(3, (width, 2)).add_(windows[:, :, :, :, row, :2])
            rows[:, :, :, 2 : 2 * width + 1 : 2].add_(windows[:, :, :, :, row, 2])
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Gather.apply(gradient), None


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
    """`normalised`, by given statistics (B, 1, F)."""
    gain = scale[:, None] * torch.rsqrt(variance + EPSILON)  # (B, 1, F)
    return F.relu(torch.addcmul(shift[:, None], y - mean, gain))


class _Normalise(torch.autograd.Function):
    """y (B, M, F) with scale γ and shift β (B, 1, F) to relu(γ r d + β), mean and variance.

    d = y - mean and r = 1 / sqrt(variance + ε); a sum Σ is over the M values.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, scale: Tensor, shift: Tensor) -> Any:
        mean = y.mean(1, keepdim=True)
        centred = y - mean  # d
        variance = centred.square().mean(1, keepdim=True)
        r = torch.rsqrt(variance + EPSILON)
        output = torch.addcmul(shift, centred, scale * r).relu_()
        ctx.save_for_backward(y, mean, r, scale, output)
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, of_mean: Tensor, of_variance: Tensor) -> Any:
        y, mean, r, scale, output = ctx.saved_tensors
        positive = output.detach()  # a mask; ReLU has no second derivative
        return _NormaliseBackward.apply(
            y, scale, gradient, of_mean, of_variance, mean.detach(), r.detach(), positive
        )


class _NormaliseBackward(torch.autograd.Function):
    """The gradient of `_Normalise`, and that gradient's own.

    With g = ∂L/∂output where the output is positive and 0 elsewhere, σ = Σ g and s = Σ g d::

        ∂L/∂β = σ        ∂L/∂γ = r s        ∂L/∂y = γ r g + a d + c
        a = (2 ∂L/∂variance - γ r³ s) / M       c = (∂L/∂mean - γ r σ) / M
    """

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        scale: Tensor,
        gradient: Tensor,
        of_mean: Tensor,
        of_variance: Tensor,
        mean: Tensor,
        r: Tensor,
        output: Tensor,
    ) -> Any:
        number = y.shape[1]
        centred = y - mean
        g = torch.ops.aten.threshold_backward(gradient, output, 0)
        sigma = g.sum(1, keepdim=True)
        s = (g * centred).sum(1, keepdim=True)
        gain = scale * r
        a = (2 * of_variance - gain * r.square() * s) / number
        c = (of_mean - gain * sigma) / number
        ctx.save_for_backward(centred, scale, g, of_variance, r, output, sigma, s)
        return torch.addcmul(c, g, gain).addcmul_(centred, a), r * s, sigma

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, h: Tensor, of_scale: Tensor, of_shift: Tensor) -> Any:
        """Of Φ = Σ h ∂L/∂y + h_γ ∂L/∂γ + h_β ∂L/∂β, where h stands for ``h``, h_γ for ``of_scale``
        and h_β for ``of_shift``: its gradient by g, d, r, γ, ∂L/∂mean and ∂L/∂variance."""
        d, scale, g, of_variance, r, output, sigma, s = ctx.saved_tensors
        number = d.shape[1]
        gain, cube = scale * r, scale * r**3
        h_g = (h * g).sum(1, keepdim=True)
        h_d = (h * d).sum(1, keepdim=True)
        h_1 = h.sum(1, keepdim=True)
        a = (2 * of_variance - cube * s) / number
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
        return by_y, by_scale, by_gradient, h_1 / number, 2 * h_d / number, None, None, None
