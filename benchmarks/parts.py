"""All parts of the benchmarks, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import (
    compiled_updates,
    encoders,
    learner_updates,
    meta_updates,
    overhead,
    recurrent,
    samplers,
    slopes,
    training_loops,
)
from benchmarks.part import Part

PARTS: Mapping[str, Part] = {
    "meta_updates": meta_updates.PART,
    "learner_updates": learner_updates.PART,
    "encoders": encoders.PART,
    "training_loops": training_loops.PART,
    "samplers": samplers.PART,
    "recurrent": recurrent.PART,
    "slopes": slopes.PART,
    "overhead": overhead.PART,
    "compiled_updates": compiled_updates.PART,
}
