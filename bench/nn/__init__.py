"""Building blocks that learners share: encoders, similarities, learning-rate schedules."""

from bench.nn.encoders import (
    MLP,
    AugmentedConv4,
    Conv4,
    EncoderName,
    Pixels,
    Standardised,
    embed_together,
    encoder,
)
from bench.nn.schedules import Schedule, adam, scheduled
from bench.nn.similarity import (
    NoveltyLogit,
    class_means,
    cosine_similarity,
    kernel_logits,
    kernel_regression,
    squared_distance,
    sum_before,
)

__all__ = [
    "MLP",
    "AugmentedConv4",
    "Conv4",
    "EncoderName",
    "NoveltyLogit",
    "Pixels",
    "Schedule",
    "Standardised",
    "adam",
    "class_means",
    "cosine_similarity",
    "embed_together",
    "encoder",
    "kernel_logits",
    "kernel_regression",
    "scheduled",
    "squared_distance",
    "sum_before",
]
