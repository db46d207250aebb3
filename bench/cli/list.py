"""`bench list`: what is installed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bench.apart.blame import touching
from bench.cli.options import KINDS, TABLE_FORMAT
from bench.registry.discovery import Problem

if TYPE_CHECKING:
    from bench.cli.terminal import Format


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
@TABLE_FORMAT
def list_(kind: str, fmt: Format) -> None:
    """Lists the installed learners, suites, datasets, protocols or executors.

    What is installed and cannot be used is listed too, with the reason.
    """
    from bench.apart.call import PRELOAD, apart
    from bench.cli.terminal import render

    without_torch = kind in {"suites", "executors"}
    found = apart(listed, preload=() if without_torch else PRELOAD)(kind)
    rows = found.rows
    # A table has no room for commands: they stand below it.
    problems = [told for told in found.problems if fmt != "table" or not told.install]
    rows += [
        {"name": problem.name, "package": problem.package, "problem": problem.reason}
        for problem in problems
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not problems and fmt == "table":
        columns = [column for column in columns if column != "problem"]
    click.echo(render(rows, columns, fmt))
    if fmt == "table":
        for line in unavailable(found.problems):
            click.echo(f"\n{line}")


@dataclass(frozen=True)
class Listed:
    """What is installed of a kind."""

    rows: list[dict[str, Any]]
    problems: list[Problem]


def listed(kind: str) -> Listed:
    """What is installed of one of `bench.cli.options.KINDS`; imports it."""
    from bench.cli.kinds import of_kind

    found = of_kind(kind, check_own=False)
    describe = {"learners": _learner, "suites": _suite}.get(kind, _described)
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
