"""How figures are written, wherever they are shown."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

MISSING = "–"


PRESENTATIONS = (1, 2, 5, 10)
"""Online: the presentations that tables show."""


def amount(mean: float | None, ci95: float | None = None) -> str:
    """A figure in units of its own with the half-width of its interval: ``0.042 ± 0.013``.
    Without one where that is 0: all values were equal, and nothing is known of the mean's."""
    if mean is None:
        return MISSING
    decimals = 3 if abs(mean) < 1 else 2 if abs(mean) < 100 else 1
    return f"{mean:.{decimals}f}" + (f" ± {ci95:.{decimals}f}" if ci95 else "")


def percent(fraction: float | None, ci95: float | None = None) -> str:
    """A fraction in percent with the half-width of its interval, as `amount`: ``98.25 ± 0.11``."""
    if fraction is None:
        return MISSING
    return f"{100 * fraction:.2f}" + (f" ± {100 * ci95:.2f}" if ci95 else "")


def part(fraction: float | None) -> str:
    """A part of a whole, of which one digit is enough where it is small: ``42 %``, ``0.6 %``."""
    if fraction is None:
        return MISSING
    return f"{100 * fraction:.{0 if fraction >= 0.095 else 1}f} %"


def number(value: float | None) -> str:
    """Three decimals."""
    return MISSING if value is None else f"{value:.3f}"


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if value is None else f"{round(value):,}"


def duration(seconds: float | None) -> str:
    """Three significant digits up to a minute, then minutes and hours."""
    if seconds is None:
        return MISSING
    for unit, scale in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3), ("s", 1)):
        value = seconds * scale
        if value < (59.95 if unit == "s" else 999.5):
            return f"{value:.3g} {unit}" if value else "0 s"
    # Rounded first, parted after: 119.6 s are 2 min 00 s, not 1 min 60 s and not 1 min 59 s.
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def ordinal(k: int) -> str:
    """``1st``, ``2nd``, ``11th``."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th") if k % 100 not in (11, 12, 13) else "th"
    return f"{k}{suffix}"


def plain(value: Any) -> Any:
    """A value as JSON knows it: numpy and pandas scalars unwrapped, NaN and NA as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def spreadsheet_text(text: str) -> str:
    """A text as a cell of a CSV file. Names and reasons come from plugins and from other people's
    results, and a spreadsheet takes what begins with ``=`` and the like for a formula: such a
    text gets an apostrophe before it, and control characters, which could begin a line, become
    spaces."""
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    return f"'{text}" if text.lstrip()[:1] in {*"=+-@＝＋－＠"} else text


def natural(name: str) -> list[Any]:
    """Sort key that puts 5way before 20way."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]
