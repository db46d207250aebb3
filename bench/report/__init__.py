"""The report: tables and plots of stored results, and of nothing else."""

from bench.report.write import FORMATS, write_report

__all__ = ["FORMATS", "write_report"]
