"""From inputs to features.

Letters in shapes: ``B`` episodes, ``S`` support items, ``Q`` queries, ``D`` features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes

EncoderName = Literal["conv4", "conv4-augmented", "pixels", "mlp"]
"""Names that `encoder` understands; every image learner offers them as its ``encoder`` option.
``conv4`` is for images, ``mlp`` for vectors; ``pixels`` is the input itself; ``conv4-augmented`` is
``conv4`` on photographs that meta-training moves and mirrors."""


class Conv4(nn.Module):
    """The four-block convolutional encoder of the field.

    Each block: 3x3 convolution, batch normalisation, ReLU, 2x2 max-pooling (the last two swapped,
    which is the same function on a quarter of the values). On 28x28 images with 64 filters it gives
    64 features. In ``eval()`` the batch normalisation uses running statistics,
    so that no query's answer depends on another query.

    Source: Vinyals et al. 2016, Section 4.1; Snell et al. 2017, Section 3.1.

    Args:
        input_shape: ``(channels, height, width)``; height and width at least 16, or 2 to the power
            of `halvings`.
        filters: channels of each block.
        halvings: how many blocks, the first ones, pool. Fewer than 4 leave larger feature maps
            (Sung et al. 2018, Section 3.4: two).
    """

    def __init__(self, input_shape: tuple[int, ...], filters: int = 64, halvings: int = 4) -> None:
        super().__init__()
        channels, height, width = input_shape
        blocks: list[nn.Module] = []
        for block in range(4):
            blocks += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters)]
            blocks += [nn.MaxPool2d(2)] if block < halvings else []
            blocks += [nn.ReLU()]
            channels = filters
        self.blocks = nn.Sequential(*blocks)
        # Channels last: 2 to 4 times faster on CPUs with bf16 instructions, never slower here.
        self.blocks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shrunk = 2**halvings
        self.out_features = filters * (height // shrunk) * (width // shrunk)
        if self.out_features == 0:
            raise ValueError(
                f"Conv4 halves an image {halvings} times; {height}x{width} is too small, "
                f"{shrunk}x{shrunk} is the least"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(..., C, H, W) to (..., D), for any number of leading dimensions."""
        return self.maps(x).flatten(-3)

    def maps(self, x: Tensor) -> Tensor:
        """(..., C, H, W) to feature maps (..., F, H', W'), for any number of leading dimensions."""
        leading = x.shape[:-3]
        flat = x.reshape(-1, *x.shape[-3:]).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.blocks(flat)
        return maps.unflatten(0, leading)


class AugmentedConv4(Conv4):
    """`Conv4` that sees each image moved and perhaps mirrored in ``train()``, and as it is in
    ``eval()``: a crop of the image with a border of zeros, an eighth of its sides wide, and a flip
    left to right of every second image, on average. 4 pixels of 32, as He, Zhang, Ren, Sun 2016
    (Section 4.2) did it for CIFAR.

    For photographs: most mirrored characters are other characters. The conv4 figures of papers on
    CIFAR-FS, FC100 and mini-ImageNet are without it.
    """

    def maps(self, x: Tensor) -> Tensor:
        """See `Conv4.maps`."""
        return super().maps(moved_and_mirrored(x) if self.training else x)


def moved_and_mirrored(x: Tensor) -> Tensor:
    """Each image moved by up to an eighth of its height and width, zeros coming in at its border,
    and with probability 1/2 mirrored left to right. Draws from torch's global generator.

    Args:
        x: (..., C, H, W).

    Returns:
        (..., C, H, W).
    """
    images = x.reshape(-1, *x.shape[-3:])  # (M, C, H, W)
    count, _, height, width = images.shape
    down, right = height // 8, width // 8
    padded = F.pad(images, (right, right, down, down))
    top = torch.randint(2 * down + 1, (count, 1), device=x.device)
    left = torch.randint(2 * right + 1, (count, 1), device=x.device)
    columns = torch.arange(width, device=x.device)
    mirrored = torch.rand(count, 1, device=x.device) < 0.5
    columns = torch.where(mirrored, columns.flip(0), columns) + left  # (M, W)
    rows = torch.arange(height, device=x.device) + top  # (M, H)
    chosen = torch.arange(count, device=x.device)[:, None, None], rows[:, :, None], columns[:, None]
    return padded.movedim(1, -1)[chosen].movedim(-1, 1).view_as(x)


class Pixels(nn.Module):
    """The input itself, flattened: what MANN's paper uses."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.dimensions = len(input_shape)
        self.out_features = math.prod(input_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(..., *input_shape) to (..., D)."""
        return x.flatten(x.dim() - self.dimensions)


class MLP(nn.Module):
    """A fully connected network with ReLU between its layers, for vectors.

    Args:
        inputs: numbers of a vector.
        width: units of each hidden layer.
        hidden: how many there are.
        outputs: numbers that come out; 0: the last hidden layer's, behind its ReLU.
    """

    def __init__(self, inputs: int, width: int, hidden: int = 2, outputs: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in [inputs, *[width] * (hidden - 1)]:
            layers += [nn.Linear(size, width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, *([nn.Linear(width, outputs)] if outputs else []))
        self.out_features = outputs or width

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., D), for any number of leading dimensions."""
        return self.layers(x)


def encoder(name: EncoderName, input_shape: tuple[int, ...], filters: int = 64) -> nn.Module:
    """Builds the encoder of that name; it has ``out_features`` and maps (..., *input_shape) to
    (..., D). ``mlp`` has two hidden layers of `filters` units (Finn et al. 2017, Section 5.1)."""
    if name == "conv4" and len(input_shape) == 3:
        return Conv4(input_shape, filters)
    if name == "conv4-augmented" and len(input_shape) == 3:
        return AugmentedConv4(input_shape, filters)
    if name == "mlp" and len(input_shape) == 1:
        return MLP(input_shape[0], filters)
    return Pixels(input_shape)


class Standardised(nn.Module):
    """An encoder whose features have mean 0 and variance 1, each over all images.

    Behind a ReLU the features of all images point the same way, and a recurrent network sees mostly
    what they share: the cosine of two images of different classes is about 0.8 with a new Conv4,
    and 0.2 with pixels. In float32. In ``eval()`` running statistics are used, so that no query's
    answer depends on another query.

    Args:
        encoder: has ``out_features`` and maps (..., *input_shape) to (..., D).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.out_features = cast(int, encoder.out_features)
        self.norm = nn.BatchNorm1d(self.out_features, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., *input_shape) to (..., D), for any number of leading dimensions."""
        z: Tensor = self.encoder(x)
        with torch.autocast(z.device.type, enabled=False):
            return self.norm(z.float().flatten(0, -2)).view(z.shape)


def embed_together(encoder: Callable[[Tensor], Tensor], batch: Episodes) -> tuple[Tensor, Tensor]:
    """Embeds support and query images in one call, so that the batch normalisation of training sees
    them together.

    Args:
        encoder: maps (B, I, *input_shape) to (B, I, D).
        batch: the episodes.

    Returns:
        Features of the support items (B, S, D), and of the queries (B, Q, D).
    """
    support, query = batch.support_x, batch.query_x
    z = encoder(torch.cat([support, query], dim=1))  # (B, S + Q, D)
    return z[:, : support.shape[1]], z[:, support.shape[1] :]
