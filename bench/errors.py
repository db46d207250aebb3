"""Errors that a person can act on, for the harness; defined in the contract, where authors of
plugins find them."""

from bench.api.errors import BenchError, unknown_name

__all__ = ["BenchError", "unknown_name"]
