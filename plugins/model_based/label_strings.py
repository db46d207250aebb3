"""Labels as strings of five characters, as Santoro et al. 2016, Section 4.1 have them.

A class is called by a string of five characters out of five, each episode by other ones: five
one-hot vectors of five. In this way a network's input and output do not grow with the ways.

The strings of an episode are drawn anew from the pixels of its first image, so that they are the
same in both views, in any batch and on any device. As in the paper they are drawn independently:
two classes of a 5-way episode share one in 0.3 % of the episodes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHARACTERS, LENGTH = 5, 5
SIZE = CHARACTERS * LENGTH
"""Width of an encoded string."""


def strings(first_x: Tensor, ways: int) -> Tensor:
    """The codebook of each episode.

    Args:
        first_x: (B, *input_shape) in [0, 1], the first image of each episode.
        ways: strings to draw.

    Returns:
        (B, N, 25): of each class, five one-hot vectors of five.
    """
    pixels = (first_x.float() * 255).round().long().flatten(1)  # (B, P)
    place = torch.arange(pixels.shape[1], device=pixels.device)
    episode = (_mixed(pixels + (place << 8)) * (2 * place + 1)).sum(1)  # (B,)
    classes = torch.arange(ways * LENGTH, device=pixels.device)
    words = _mixed(_mixed(episode)[:, None] + classes)  # (B, 5 N)
    characters = (words >> 32).remainder(CHARACTERS)
    return F.one_hot(characters, CHARACTERS).float().view(len(first_x), ways, SIZE)


def scores(output: Tensor, codes: Tensor) -> Tensor:
    """The logits of the episode's own strings.

    The paper asks for the whole string; to choose among those of the episode is easier.

    Args:
        output: (B, 25), five groups of logits.
        codes: (B, N, 25).

    Returns:
        (B, N): the log-probability of each class's string, the sum over its characters.
    """
    characters = output.float().unflatten(1, (LENGTH, CHARACTERS)).log_softmax(-1)  # (B, 5, 5)
    return (codes @ characters.flatten(1)[..., None])[..., 0]


def _mixed(words: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit hangs on every bit.

    int64 arithmetic wraps alike on all devices. ``>>`` keeps the sign: the mask takes it away.
    """
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        words = (words ^ ((words >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return words ^ ((words >> 31) & ((1 << 33) - 1))
