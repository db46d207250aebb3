"""What is installed, and what of it cannot be used: for `bench list` and `bench doctor`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bench.apart.blame import touching
from bench.cli.options import KINDS
from bench.registry.discovery import Problem


@dataclass(frozen=True)
class Listed:
    """What is installed of a kind."""

    rows: list[dict[str, Any]]
    problems: list[Problem]


def listed(kind: str) -> Listed:
    """What is installed of one of `bench.cli.options.KINDS`; imports it."""
    from bench.cli.kinds import of_kind

    found = of_kind(kind, check_own=False)
    describe = {"learners": _learner, "suites": _suite, "trackers": _tracker}.get(kind, _described)
    rows = []
    for name, thing in found.things.items():
        with touching(f"describing {name}"):
            row = describe(thing)
        rows.append({"name": name, **row, "package": found.packages[name], "problem": None})
    return Listed(rows, found.problems)


def _learner(learner: Any) -> dict[str, Any]:
    return {
        "family": learner.family,
        "summary": first_line(learner.__doc__),
        "presets": ", ".join(learner.presets),
    }


def _suite(suite: Any) -> dict[str, Any]:
    return {
        "title": suite.title,
        "protocol": suite.protocol,
        "dataset": suite.dataset,
        "split": str(suite.split) or None,
        "settings": ", ".join(suite.settings),
    }


def _tracker(tracker: Any) -> dict[str, Any]:
    return {"summary": first_line(tracker.__doc__)}


def _described(thing: Any) -> dict[str, Any]:
    return {"summary": first_line(thing.description)}


def unavailable(problems: Iterable[Problem]) -> list[str]:
    """For each command that would install what some plugins need: their names, and the command."""
    names: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        if problem.install:
            names[problem.reason].append(problem.name)
    return [f"Unavailable: {', '.join(given)}: {reason}" for reason, given in names.items()]


def first_line(text: str | None) -> str:
    """The first line of a docstring or description."""
    return (text or "").strip().partition("\n")[0]


def everything() -> tuple[dict[str, list[str]], list[Problem]]:
    """The names of all that can be used, by kind, and what cannot be; imports it."""
    from bench.cli.kinds import of_kind

    found = {kind: of_kind(kind) for kind in KINDS}
    names = {kind: list(one.things) for kind, one in found.items()}
    return names, [problem for one in found.values() for problem in one.problems]
