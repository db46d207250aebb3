"""The report: tables and plots of stored results, and of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.report.write import FORMATS, write_report

__all__ = ["FORMATS", "write_report"]


def __getattr__(name: str) -> Any:
    """Imports what draws, seconds of it, when it is first asked for: a run whose page is up to date
    never does."""
    if name in __all__:
        from bench.report import write

        return getattr(write, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
