"""What learners are measured by, and how its figures are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What a board ranks its learners by."""

    column: str
    """Of `bench.results.table.load_results`; its half-width stands in ``<column>_ci95``."""
    sign: int
    """1 where more is better, -1 where less is."""


ACCURACY = Metric("accuracy", 1)
WRONG_BITS = Metric("bit_errors", -1)
