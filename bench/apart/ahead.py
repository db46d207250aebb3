"""What a process apart has imported when it begins; begun before anybody asks for one."""

from __future__ import annotations

import os

PRELOAD = ("torch", "bench.planning.plan")
"""Slow to import, and needed by nearly everything that asks for plugins."""


def import_ahead() -> None:
    """Has the fork server import `PRELOAD` while this process imports what it needs itself: a
    command answers that much earlier. Nothing where processes cannot be forked (Windows)."""
    if hasattr(os, "fork"):
        from bench.processes.forkserver import fork_server

        fork_server().import_ahead(PRELOAD)
