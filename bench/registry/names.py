"""Names that become folders and files: of suites, their settings, learners and datasets."""

from __future__ import annotations

import re

from bench.errors import BenchError

LONGEST = 100
"""Characters of a name; file systems take 255 bytes, with an id and an ending behind it."""

RESERVED = {
    "aux", "con", "nul", "prn", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))
}  # fmt: skip
"""Names that Windows keeps for devices, with any ending."""


def check_name(name: str) -> None:
    """Raises a `BenchError` for a name that some file system refuses, or that leads elsewhere."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.endswith("."):
        raise BenchError(
            "a name is of letters (a to z), digits, '.', '_' and '-', begins with a letter or a "
            "digit and does not end with '.'"
        )
    if len(name) > LONGEST:
        raise BenchError(f"a name has {LONGEST} characters at most, and this one {len(name)}")
    if name.partition(".")[0].lower() in RESERVED:
        raise BenchError("Windows keeps this name for a device; choose another one")
