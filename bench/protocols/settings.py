"""Tables of a suite file, and those of them that a protocol states."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A TOML table: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Setting(Table):
    """Base of a protocol's test settings: ``[settings.NAME]`` of a suite file. A protocol's own has
    a field, with its bounds, for each key that its settings have."""


class Keys(Table):
    """Base of the keys at the top of a suite file that a protocol adds to those that all suites
    have. Default: none."""
