"""What checks found, as text."""

from __future__ import annotations

from collections import Counter
from textwrap import shorten
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.testing import CheckResult


def describe(label: str, results: list[CheckResult]) -> str:
    """A table, then each failure with what is checked, a hint and the learner's traceback."""
    from bench.cli.terminal import render

    rows = [
        {"check": result.name, "result": result.status, "seen": shorten(result.reason or "", 100)}
        for result in results
    ]
    counts = Counter(result.status for result in results)
    told = ", ".join(f"{counts[status]} {status}" for status in ("pass", "fail", "not applicable"))
    parts = [f"{label}: {told}\n", render(rows, ["check", "result", "seen"], "table")]
    traces: dict[str, str] = {}  # one that was shown is not shown again
    for result in results:
        if result.status != "fail":
            continue
        if result.traceback and result.traceback in traces:
            parts.append(f"\n{result.name} failed like {traces[result.traceback]}")
            continue
        parts.append(f"\n{result.name} failed: {result.reason}")
        parts += [f"  checked  {result.explanation}", f"  hint     {result.hint}"]
        if result.traceback:
            traces[result.traceback] = result.name
            parts.append("  " + result.traceback.rstrip().replace("\n", "\n  "))
    return "\n".join(parts)
