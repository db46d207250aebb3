"""`bench list`: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench.tables import Format


@click.command("list")
@click.argument("kind", type=click.Choice(["learners", "suites", "datasets", "executors"]))
@click.option(
    "--format", "fmt", type=click.Choice(["table", "csv", "json"]), default="table",
    show_default=True,
)  # fmt: skip
def list_(kind: str, fmt: Format) -> None:
    """Lists the installed learners, suites, datasets or executors.

    What is installed and cannot be used is listed too, with the reason.
    """
    from bench import plugins
    from bench.tables import render

    found: plugins.Found[Any] = getattr(plugins, kind)()
    describe = {"learners": _learner, "suites": _suite}.get(kind, _described)
    rows = [
        {"name": name, **describe(thing), "package": found.packages[name], "problem": None}
        for name, thing in found.things.items()
    ]
    rows += [
        {"name": problem.name, "package": problem.package, "problem": problem.reason}
        for problem in found.problems
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not found.problems and fmt == "table":
        columns = [column for column in columns if column != "problem"]
    click.echo(render(rows, columns, fmt))


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


def first_line(text: str | None) -> str:
    """The first line of a docstring or description."""
    return (text or "").strip().partition("\n")[0]
