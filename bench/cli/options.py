"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class Word(click.ParamType[str]):
    """A text that is not empty, as ``--suite=`` would make it."""

    name = "word"

    def __init__(self, example: str) -> None:
        self.example = example

    def convert(self, value: str, param: Any, ctx: Any) -> str:
        if not value.strip():
            self.fail(f"it is empty; write one, as {self.example}", param, ctx)
        return value


RESULTS = click.option(
    "--results", type=Word("results"), default="results", show_default=True, metavar="DIR",
    help="The results folder.",
)  # fmt: skip

STORED_SUITES = click.option(
    "--suite", "suites", multiple=True, metavar="NAME",
    help="Only this suite; a glob. May be repeated.  [default: all]",
)  # fmt: skip

STORED_LEARNERS = click.option(
    "--learner", "learners", multiple=True, metavar="NAME",
    help="Only this learner, whatever its options; a glob. May be repeated.  [default: all]",
)  # fmt: skip

DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path), default=None, metavar="DIR",
    help="Where the datasets lie.  [default: $BENCH_DATA_DIR, the cache, or a download]",
)  # fmt: skip

TABLE_FORMAT = click.option(
    "--format", "fmt", type=click.Choice(["table", "csv", "json"]), default="table",
    show_default=True,
)  # fmt: skip

KINDS = ("learners", "suites", "datasets", "protocols", "executors", "trackers")
"""What is found through entry points."""

KIND = click.option(
    "--kind", type=click.Choice(["suite", "learner", "dataset"]), default=None,
    help="Which is meant, where several have the name.  [default: the first of these that has it]",
)  # fmt: skip
