"""`TaskNetwork` for one task at a time, of ordinary layers, as users of learn2learn write it.

Letters in shapes: S items, C channels, F features, N ways, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench_plugins.optimization_based.task_layers import EPSILON
from bench_plugins.optimization_based.task_network import TaskNetwork

Statistics = list[tuple[Tensor, Tensor]]
"""Mean and variance (F,) of each batch normalisation."""


class BatchNorm(nn.Module):
    """Batch normalisation by the statistics of the items at hand, or by given ones."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(start.detach().clone()) for start in (scale, shift))

    def forward(
        self, x: Tensor, given: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(S, F) or (S, F, H, W) to the same shape; also the mean and the variance used."""
        x = x.to(self.scale.dtype)  # statistics are no matter for bf16
        if given is None:
            var, mean = torch.var_mean(x, (0, *range(2, x.dim())), correction=0)
            if x.numel() > len(mean):
                # By torch's own means, which have no derivative where they are given.
                y = F.batch_norm(x, None, None, self.scale, self.shift, training=True, eps=EPSILON)
                return y, (mean, var)
            var = torch.ones_like(var)  # one image of one pixel: nothing is known of the spread
        else:
            mean, var = given
        mean, gain, shift = (
            of_channel.view(-1, *[1] * (x.dim() - 2))
            for of_channel in (mean, self.scale * torch.rsqrt(var + EPSILON), self.shift)
        )
        return (x - mean) * gain + shift, (mean.flatten(), var)


class Body(nn.Module):
    """Four blocks of a linear map, batch normalisation and ReLU, and what pooling the network has.

    Args:
        theta: `TaskNetwork.initial`, from which every weight is taken.
        of: the network that they are of.
    """

    def __init__(self, theta: Mapping[str, Tensor], of: TaskNetwork) -> None:
        super().__init__()
        self.convolutional, self.pools = of.convolutional, of.pools
        self.linear, self.norm = nn.ModuleList(), nn.ModuleList()
        for block in range(sum(name.startswith("weight") for name in theta)):
            weight = theta[f"weight{block}"]
            self.linear.append(
                _convolution(weight, of.stride) if of.convolutional else _linear(weight)
            )
            self.norm.append(BatchNorm(theta[f"scale{block}"], theta[f"shift{block}"]))

    def forward(self, x: Tensor, given: Statistics | None = None) -> tuple[Tensor, Statistics]:
        """Images (S, *input_shape) to features (S, F), and the statistics used.

        Args:
            x: the images.
            given: the statistics to normalise with; None: those of these images.
        """
        x = x if self.convolutional else x.flatten(1)
        statistics: Statistics = []
        for block, (linear, norm) in enumerate(zip(self.linear, self.norm, strict=True)):
            x, used = norm(linear(x), None if given is None else given[block])
            x = F.relu(x)
            x = F.max_pool2d(x, 2) if self.pools else x
            statistics.append(used)
        if self.pools:
            return x.movedim(1, 3).flatten(1), statistics  # the channels last, as ours has them
        return (x.mean((2, 3)) if self.convolutional else x), statistics


class Network(nn.Module):
    """`Body` and a linear head. For the arguments see there."""

    def __init__(self, theta: Mapping[str, Tensor], of: TaskNetwork) -> None:
        super().__init__()
        self.body = Body(theta, of)
        self.head = _linear(theta["head"], theta["bias"])

    def forward(self, x: Tensor, given: Statistics | None = None) -> Tensor:
        """Images (S, *input_shape) to logits (S, N)."""
        return self.head(self.body(x, given)[0])


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """From a weight (inputs, outputs)."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight.T)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def _convolution(weight: Tensor, stride: int) -> nn.Conv2d:
    """From a weight (9C, F): the window's pixels in reading order, channels within."""
    kernel = weight.T.unflatten(1, (3, 3, -1)).movedim(3, 1)  # (F, C, 3, 3)
    layer = nn.Conv2d(kernel.shape[1], len(kernel), 3, stride=stride, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(kernel)
    return layer
