"""What installed packages say of learners that have results: their code, and which are controls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def sources_for(results: str | Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The source hash of each learner that has results in a folder and is installed.

    Args:
        results: the results folder.
        known: hashes that need not be looked up; of those that are not, learners are imported in a
            process apart.
    """
    from bench.apart.call import apart
    from bench.registry.discovery import names_of
    from bench.registry.installed import installed_sources
    from bench.store.layout import learners_in

    sources = dict(known or {})
    others = sorted((learners_in(results) & names_of("learner")) - set(sources))
    return sources | (apart(installed_sources)(others) if others else {})


def installed_controls() -> frozenset[str]:
    """Names of learners that their packages call controls; nothing is imported."""
    from bench.registry.discovery import names_of

    return names_of("control")
