"""Building blocks that learners share: encoders, similarities, learning-rate schedules."""

from bench.nn.compiling import being_compiled, compiling
from bench.nn.encoders import (
    MLP,
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
    "Conv4",
    "EncoderName",
    "NoveltyLogit",
    "Pixels",
    "Schedule",
    "Standardised",
    "adam",
    "being_compiled",
    "class_means",
    "compiling",
    "cosine_similarity",
    "embed_together",
    "encoder",
    "kernel_logits",
    "kernel_regression",
    "scheduled",
    "squared_distance",
    "sum_before",
]
