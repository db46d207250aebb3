"""Networks with weights of their own for every task, so that B inner loops run at once.

Every weight has a leading task dimension; see `bench_plugins.optimization_based.task_layers`.

References:
    Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016, "Matching Networks for One Shot
    Learning", NeurIPS, arXiv:1606.04080, Section 4.1: the encoder of the field, `bench.nn.Conv4`.
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400, Section 5.2: strided convolutions, and the fully connected network for
    images; Section 5.1: that for vectors.
    Bronskill, Gordon, Requeima, Nowozin, Turner 2020, "TaskNorm: Rethinking Batch Normalization for
    Meta-Learning", ICML, arXiv:2003.03284: batch normalisation by support statistics (MetaBN).

Letters in shapes: B tasks, S items, N ways, C channels, F features, H and W height and width of a
feature map, P = H W its pixels.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from bench_plugins.optimization_based.task_convolutions import convolution, product
from bench_plugins.optimization_based.task_layers import normalised, normalised_by, patches, pooled

TaskEncoderName = Literal["conv4", "conv4-strided", "pixels", "mlp"]
"""The networks of an inner loop. ``conv4`` is `bench.nn.Conv4`, as every family has it;
``conv4-strided`` is what MAML's paper has for characters: a quarter of the computation, and weaker
features."""
Weights = dict[str, Tensor]
"""One set of weights per task: every tensor has a leading dimension B."""
Statistics = list[tuple[Tensor, Tensor]]
"""Mean and variance (B, 1, F) of each batch normalisation."""


class TaskNetwork:
    """Four blocks of a linear map, batch normalisation and ReLU, and a linear head.

    Args:
        encoder: ``conv4``: 3x3 convolutions, each with 2x2 max-pooling behind it;
            ``conv4-strided``: 3x3 convolutions with stride 2, then the mean over the pixels that
            are left; ``pixels``: fully connected, 256, 128, 64 and 64 units.
        input_shape: ``(channels, height, width)``; ``pixels`` takes any shape.
        filters: channels of each convolution.
        outputs: of the head; 0 for a network that is given its head.

    Attributes:
        widest: values of the largest feature map of one item.

    Raises:
        ValueError: for images so small that ``conv4`` leaves no pixel of them.
    """

    def __init__(
        self, encoder: TaskEncoderName, input_shape: tuple[int, ...], filters: int, outputs: int
    ) -> None:
        self.convolutional = encoder in ("conv4", "conv4-strided")
        self.pools = encoder == "conv4"
        self.stride = 1 if self.pools else 2
        self.outputs = outputs
        if not self.convolutional:
            self.widths = [math.prod(input_shape), 256, 128, 64, 64]
            self.widest, self.out_features = max(self.widths), self.widths[-1]
            return
        channels, height, width = input_shape
        self.widths = [channels, *[filters] * 4]
        self.widest = filters * -(-height // self.stride) * -(-width // self.stride)
        self.out_features = filters * (height // 16) * (width // 16) if self.pools else filters
        if self.out_features == 0:
            raise ValueError(
                f"conv4 halves an image 4 times; {height}x{width} is too small, 16x16 is the least"
            )

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
        if self.outputs:
            theta["head"] = _xavier(self.out_features, self.outputs)
            theta["bias"] = nn.Parameter(torch.zeros(self.outputs))
        return theta

    def inputs(self, x: Tensor) -> Tensor:
        """What the first linear map sees, the same in every inner step.

        Args:
            x: (B, S, *input_shape).

        Returns:
            (B, S, H', W', 9C), or (B, S, D).
        """
        return patches(x.movedim(2, -1), self.stride) if self.convolutional else x.flatten(2)

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
        y = inputs
        for block in range(self.blocks):
            weight = weights[f"weight{block}"]
            if self.convolutional and block:
                y = convolution(y, weight, self.stride)
            else:
                y = product(y, weight)
            y = y.to(weights["scale0"].dtype)  # statistics are no matter for bf16
            items, y = y.shape[1:-1], y.flatten(1, -2)  # S, H, W or S; (B, S P, F)
            scale, shift = weights[f"scale{block}"], weights[f"shift{block}"]
            if given is None:
                y, mean, variance = normalised(y, scale, shift)
            else:
                mean, variance = given[block]
                y = normalised_by(y, scale, shift, mean, variance)
            statistics.append((mean, variance))
            y = y.unflatten(1, items)  # (B, S, H, W, F) or (B, S, F)
            y = pooled(y) if self.pools else y
        if not self.convolutional:
            return y, statistics
        return (y.flatten(2) if self.pools else y.mean((2, 3))), statistics

    @staticmethod
    def head(features: Tensor, weights: Weights) -> Tensor:
        """Linear: (B, S, F) to (B, S, N)."""
        return features @ weights["head"] + weights["bias"][:, None]


class VectorNetwork(TaskNetwork):
    """Fully connected layers with biases and ReLU, without normalisation, for vectors.

    Args:
        input_shape: ``(D,)``; of an image all its numbers.
        width: units of each of the two hidden layers.
        outputs: of the head; 0 for a network that is given its head.
    """

    convolutional = False

    def __init__(self, input_shape: tuple[int, ...], width: int, outputs: int) -> None:
        self.widths = [math.prod(input_shape), width, width]
        self.widest, self.out_features, self.outputs = width, width, outputs

    def initial(self) -> nn.ParameterDict:
        """New weights, the same for every task: ``weight0``, ``shift0``, ... ``head``, ``bias``."""
        theta = nn.ParameterDict()
        for block, (inputs, outputs) in enumerate(pairwise(self.widths)):
            theta[f"weight{block}"] = _xavier(inputs, outputs)
            # As torch's linear layers have them: without it all kinks would lie at zero.
            theta[f"shift{block}"] = nn.Parameter(
                torch.empty(outputs).uniform_(-1, 1) / math.sqrt(inputs)
            )
        if self.outputs:
            theta["head"] = _xavier(self.out_features, self.outputs)
            theta["bias"] = nn.Parameter(torch.zeros(self.outputs))
        return theta

    def features(
        self, inputs: Tensor, weights: Weights, given: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        """All layers: features (B, S, F), and no statistics."""
        for block in range(self.blocks):
            y = torch.baddbmm(weights[f"shift{block}"][:, None], inputs, weights[f"weight{block}"])
            inputs = y.relu()
        return inputs, []


def _xavier(inputs: int, outputs: int) -> nn.Parameter:
    """A weight (inputs, outputs)."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))
