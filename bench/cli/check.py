"""`bench check`: a learner keeps the contract, a suite fits its data, a dataset is sound."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Literal

import click

from bench.cli.options import DATA_DIR, KIND

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.api import Learner
    from bench.cli.kinds import Kind
    from bench.registry.contestants import Contestant
    from bench.testing import CheckResult


ARGUMENT = "write NAME, 'NAME[option=value]' or package.module:Class"


@click.command()
@click.argument("thing", metavar="LEARNER|SUITE|DATASET")
@KIND
@click.option(
    "--check", "checks", multiple=True, metavar="NAME",
    help="Only this check of a learner. May be repeated.  [default: all]",
)  # fmt: skip
@click.option(
    "--image-size", type=click.IntRange(8, 256), default=28, show_default=True, metavar="PIXELS",
    help="What a dataset is loaded at.",
)  # fmt: skip
@DATA_DIR
@click.option(
    "--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.pass_context
def check(
    ctx: click.Context,
    /,
    thing: str,
    kind: Kind | None,
    checks: tuple[str, ...],
    image_size: int,
    data_dir: Path | None,
    fmt: Literal["table", "json"],
) -> None:
    """Checks that a learner keeps the contract: no leaks, the law of the two views, gradients, ...
    Or that a suite fits its data, or that a dataset is sound.

    LEARNER is what --learner of `bench run` takes, or package.module:Class for one that is not
    installed. The tasks are tiny and made up; a small configuration ('maml[filters=8]') is quicker.

    SUITE is a suite's name or the path of a .toml file: its data is loaded and counted, no class is
    in two phases, and every setting finds enough classes and images.

    DATASET is an installed dataset or memory probe, or folder:PATH for a folder of images by class:
    it loads, the same twice, and its splits are sound.

    Exits with 1 where a check fails.
    """
    from bench.cli.check_dataset import check_dataset
    from bench.cli.check_suite import check_suite
    from bench.cli.kinds import kind_of
    from bench.data.folders import data_folders

    kind = kind or kind_of(thing)
    if kind != "learner":
        if checks:
            raise click.UsageError(f"--check is for learners, and {thing} is a {kind}")
        folders = data_folders(data_dir)
        if kind == "suite":
            passed = check_suite(thing, folders, fmt)
        else:
            passed = check_dataset(thing, image_size, folders, fmt)
        if not passed:
            ctx.exit(1)
        return

    from bench.cli.terminal import render
    from bench.errors import unknown_name
    from bench.testing import CHECKS

    for name in checks:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS)
    chosen = [name for name in CHECKS if not checks or name in checks]
    results = {
        contestant.label: run_checks(contestant, chosen) for contestant in find(thing)
    }  # by the learner with its options
    if fmt == "json":
        rows = [
            {"learner": label, **row} for label, told in results.items() for row in map(vars, told)
        ]
        click.echo(render(rows, list(rows[0]), "json"))
    else:
        click.echo("\n\n".join(describe(label, told) for label, told in results.items()))
    if any(result.status == "fail" for told in results.values() for result in told):
        ctx.exit(1)


def find(text: str) -> list[Contestant]:
    """The learners that an argument names, each with its configuration.

    Raises:
        BenchError: nothing, or no learner, is there; see `bench.registry.contestants.contestants`.
    """
    from bench.registry.contestants import contestants
    from bench.registry.discovery import Found, learners

    name = text.partition("[")[0].strip()
    if ":" not in name:
        return contestants([text], learners())
    return contestants([text], Found({name: load(name)}, {name: "the import path"}, []))


def load(name: str) -> type[Learner]:
    """The class behind ``package.module:Class``; the current folder is on the path.

    Raises:
        BenchError: where it cannot be imported, or is no learner.
    """
    import importlib

    from bench.errors import BenchError
    from bench.registry.discovery import accept_learner

    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        thing = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # an import may raise anything
        raise BenchError(
            f"cannot import {name}: {type(error).__name__}: {error}\n{ARGUMENT}"
        ) from error
    try:
        return accept_learner(thing)
    except BenchError as error:
        raise BenchError(f"{name} cannot be checked: {error}") from error


def run_checks(contestant: Contestant, names: list[str]) -> list[CheckResult]:
    """Runs some checks; on a terminal it says which one."""
    from bench.testing import CHECKS, Subject

    subject, results = Subject(contestant.learner, contestant.config), []
    with progress(contestant.label, len(names)) as tell:
        for name in names:
            tell(name)
            results.append(CHECKS[name](subject))
    return results


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on standard error while it runs, where that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(label), total=total)
        done = iter(range(total))
        yield lambda name: bar.update(
            task, completed=next(done), description=f"{escape(label)}  {name}"
        )


def describe(label: str, results: list[CheckResult]) -> str:
    """A table, then each failure with what is checked, a hint and the learner's traceback."""
    from bench.cli.terminal import render

    rows = [
        {"check": result.name, "result": result.status, "seen": shorten(result.reason or "", 100)}
        for result in results
    ]
    counts = Counter(result.status for result in results)
    told = ", ".join(f"{counts[status]} {status}" for status in ("pass", "fail", "not applicable"))
    parts = [f"{label}: {told}\n", render(rows, ["check", "result", "seen"], "table")]
    traces: dict[str, str] = {}  # one that was shown is not shown again
    for result in results:
        if result.status != "fail":
            continue
        if result.traceback and result.traceback in traces:
            parts.append(f"\n{result.name} failed like {traces[result.traceback]}")
            continue
        parts.append(f"\n{result.name} failed: {result.reason}")
        parts += [f"  checked  {result.explanation}", f"  hint     {result.hint}"]
        if result.traceback:
            traces[result.traceback] = result.name
            parts.append("  " + result.traceback.rstrip().replace("\n", "\n  "))
    return "\n".join(parts)
