"""What is installed, found through entry points, and which of it is asked for."""

from bench.registry.discovery import Found, Problem
from bench.registry.installed import (
    datasets,
    executors,
    installed_sources,
    learners,
    protocol,
    protocols,
    trackers,
)
from bench.registry.learners import accept_learner, option_types

__all__ = [
    "Found", "Problem", "accept_learner", "datasets", "executors", "installed_sources",
    "learners", "option_types", "protocol", "protocols", "trackers",
]  # fmt: skip
