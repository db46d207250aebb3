"""Tables of a suite file, and those of them that a protocol states."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

LARGEST = 2**63 - 1
"""What a table of results holds."""


class Table(BaseModel):
    """A TOML table: unknown keys are mistakes, and so are numbers that cannot be stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_stored(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"the number is too large; the largest is {LARGEST}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("a finite number is wanted")
        return value


class Setting(Table):
    """Base of a protocol's test settings: ``[settings.NAME]`` of a suite file. A protocol's own has
    a field, with its bounds, for each key that its settings have."""


class Keys(Table):
    """Base of the keys at the top of a suite file that a protocol adds to those that all suites
    have. Default: none."""
