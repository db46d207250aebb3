"""A network with weights of its own for every task, so that B inner loops run at once.

Every weight has a leading task dimension. A convolution is one gather of image patches and one
batched matrix product: the derivative of a gather is a scatter, and that of a scatter a gather, so
that the double backward is as plain as the forward. Second layer, 32 tasks, one CPU core, with the
double backward: 74 ms; grouped convolutions 88, vmap over `conv2d` 85, `unfold` 124.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400, Section 5.2: both networks.
    Bronskill, Gordon, Requeima, Nowozin, Turner 2020, "TaskNorm: Rethinking Batch Normalization for
    Meta-Learning", ICML, arXiv:2003.03284: batch normalisation by support statistics (MetaBN).

Letters in shapes: B tasks, S items, N ways, C channels, F features, H and W height and width of a
feature map, P = H W its pixels.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn import EncoderName

Weights = dict[str, Tensor]
"""One set of weights per task: every tensor has a leading dimension B."""
Statistics = list[tuple[Tensor, Tensor]]
"""Mean and variance (B, 1, F) of each batch normalisation."""

EPSILON = 1e-5


class TaskNetwork:
    """Four blocks of a linear map, batch normalisation and ReLU, and a linear head.

    Args:
        encoder: ``conv4``: 3x3 convolutions with stride 2, then the mean over the pixels that are
            left; ``pixels``: fully connected, 256, 128, 64 and 64 units.
        input_shape: ``(channels, height, width)``; ``pixels`` takes any shape.
        filters: channels of each convolution.
        ways: outputs of the head.
    """

    def __init__(
        self, encoder: EncoderName, input_shape: tuple[int, ...], filters: int, ways: int
    ) -> None:
        self.convolutional = encoder == "conv4"
        if self.convolutional:
            self.widths = [input_shape[0], *[filters] * 4]
        else:
            self.widths = [math.prod(input_shape), 256, 128, 64, 64]
        self.ways = ways

    @property
    def blocks(self) -> int:
        """How many there are."""
        return len(self.widths) - 1

    def initial(self) -> nn.ParameterDict:
        """New weights, the same for every task: ``weight0``, ``scale0``, ``shift0``, ... ``head``,
        ``bias``."""
        theta = nn.ParameterDict()
        for block, (inputs, outputs) in enumerate(pairwise(self.widths)):
            # No bias: the batch normalisation that follows would remove it.
            theta[f"weight{block}"] = _xavier(inputs * (9 if self.convolutional else 1), outputs)
            theta[f"scale{block}"] = nn.Parameter(torch.ones(outputs))
            theta[f"shift{block}"] = nn.Parameter(torch.zeros(outputs))
        theta["head"] = _xavier(self.widths[-1], self.ways)
        theta["bias"] = nn.Parameter(torch.zeros(self.ways))
        return theta

    def inputs(self, x: Tensor) -> Tensor:
        """What the first linear map sees, the same in every inner step.

        Args:
            x: (B, S, *input_shape).

        Returns:
            (B, S, H', W', 9C), or (B, S, D).
        """
        return patches(x.movedim(2, -1)) if self.convolutional else x.flatten(2)

    def features(
        self, inputs: Tensor, weights: Weights, given: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        """All blocks.

        Args:
            inputs: from `inputs`.
            weights: per task.
            given: the statistics to normalise with; None: those of these S items, task by task.

        Returns:
            Features (B, S, F), and the statistics used.
        """
        statistics: Statistics = []
        for block in range(self.blocks):
            items = inputs.shape[1:-1]  # S, H, W or S
            y = inputs.flatten(1, -2) @ weights[f"weight{block}"]  # (B, S P, F)
            y = y.to(weights["bias"].dtype)  # statistics are no matter for bf16
            if given is None:
                var, mean = torch.var_mean(y, dim=1, correction=0, keepdim=True)  # (B, 1, F)
                if y.shape[1] == 1:  # one image of one pixel: nothing is known of the spread
                    var = torch.ones_like(var)
            else:
                mean, var = given[block]
            statistics.append((mean, var))
            gain = weights[f"scale{block}"][:, None] * torch.rsqrt(var + EPSILON)  # (B, 1, F)
            y = F.relu((y - mean) * gain + weights[f"shift{block}"][:, None])
            y = y.unflatten(1, items)  # (B, S, H, W, F) or (B, S, F)
            inputs = patches(y) if self.convolutional and block < self.blocks - 1 else y
        return (y.mean((2, 3)) if self.convolutional else y), statistics

    @staticmethod
    def head(features: Tensor, weights: Weights) -> Tensor:
        """Linear: (B, S, F) to (B, S, N)."""
        return features @ weights["head"] + weights["bias"][:, None]


def _xavier(inputs: int, outputs: int) -> nn.Parameter:
    """A weight (inputs, outputs)."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))


def patches(x: Tensor) -> Tensor:
    """What a 3x3 convolution with stride 2 and padding 1 sees at each of its positions.

    Args:
        x: (B, S, H, W, C).

    Returns:
        (B, S, ceil(H / 2), ceil(W / 2), 9C), the window's pixels in reading order, channels within.
    """
    return _Gather.apply(F.pad(x, (0, 0, 1, 1, 1, 1))).flatten(4)


def _windows(padded: Tensor) -> list[Tensor]:
    """For each of the window's 9 pixels a view (B, S, H', W', C) of where it lies."""
    height, width = padded.shape[2:4]
    return [
        padded[:, :, row : height - 2 + row : 2, column : width - 2 + column : 2]
        for row in range(3)
        for column in range(3)
    ]


class _Gather(torch.autograd.Function):
    """Padded images (B, S, H + 2, W + 2, C) to (B, S, H', W', 9, C).

    `index_select` is as fast, but adds up its gradient in an order that CUDA does not fix.
    """

    @staticmethod
    def forward(ctx: Any, padded: Tensor) -> Tensor:
        ctx.shape = padded.shape
        return torch.stack(_windows(padded), dim=4)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Scatter.apply(gradient, ctx.shape)


class _Scatter(torch.autograd.Function):
    """The transpose of `_Gather`: every pixel's sum over the windows that it lies in."""

    @staticmethod
    def forward(ctx: Any, windows: Tensor, shape: torch.Size) -> Tensor:
        padded = windows.new_zeros(shape)
        for view, values in reversed(list(zip(_windows(padded), windows.unbind(4), strict=True))):
            view.add_(values)
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Gather.apply(gradient), None
