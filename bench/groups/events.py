"""What happens to the parts of a group, as it is told to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.worker.assignment import Assignment

EventKind = Literal["start", "progress", "done", "failed", "kept"]


@dataclass(frozen=True)
class Event:
    """Something that happened to an assignment.

    Attributes:
        kind: ``kept`` means that it was done (or had failed) before.
        assignment: what it happened to.
        details: of ``progress``: fraction, updates, loss, ..., or a ``note`` for the user; of
            ``failed``: reason.
    """

    kind: EventKind
    assignment: Assignment
    details: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], object]
