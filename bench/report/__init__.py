"""The report: tables and plots of stored results, and of nothing else."""

from bench.report.page import write_report

__all__ = ["write_report"]
