"""Tables of a suite file, and those of them that a protocol states."""

from __future__ import annotations

import math
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

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


ALL = "all"
"""The split of other data whose classes are all tested on."""


class TestedOn(Table):
    """Keys that say on which other data the meta-test is: a transfer of what was learned."""

    __test__ = False  # of pytest's collection

    dataset: str | None = None
    """As a suite's own `dataset`. None: the meta-test is on the data of meta-training."""
    split: str = ALL
    """The split of that data whose test classes are asked about; ``all``: all of its classes."""
    leave_out_seen: bool = False
    """Classes that meta-training or meta-validation has seen are left out, and not refused."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.dataset is None and {"split", "leave_out_seen"} & self.model_fields_set:
            raise ValueError("split and leave_out_seen go with a dataset to test on")
        return self


class Setting(TestedOn):
    """Base of a protocol's test settings: ``[settings.NAME]`` of a suite file. A protocol's own has
    a field, with its bounds, for each key that its settings have.

    The three keys that all settings have go before those of ``[test]``.
    """

    def own_keys(self) -> dict[str, Any]:
        """What is a protocol's."""
        return self.model_dump(exclude=set(TestedOn.model_fields))


class Keys(Table):
    """Base of the keys at the top of a suite file that a protocol adds to those that all suites
    have. Default: none."""
