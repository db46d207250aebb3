"""`bench check` for learners: finds them and runs the checks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.api import Learner
    from bench.registry.contestants import Contestant
    from bench.testing import CheckResult


ARGUMENT = "write NAME, 'NAME[option=value]' or package.module:Class"


def find(text: str) -> list[Contestant]:
    """The learners that an argument names, each with its configuration.

    Raises:
        BenchError: nothing, or no learner, is there; see `bench.registry.contestants.contestants`.
    """
    from bench.registry.contestants import contestants
    from bench.registry.discovery import Found
    from bench.registry.installed import learners

    name = text.partition("[")[0].strip()
    if ":" not in name:
        return contestants([text], learners())
    return contestants([text], Found("learner", {name: load(name)}, {name: "the import path"}, []))


def load(name: str) -> type[Learner]:
    """The class behind ``package.module:Class``; the current folder is on the path.

    Raises:
        BenchError: where it cannot be imported, or is no learner.
    """
    import importlib

    from bench.errors import BenchError
    from bench.registry.learners import accept_learner

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


def run_checks(
    contestant: Contestant, names: list[str], input_shape: tuple[int, int, int] | None
) -> list[CheckResult]:
    """Runs some checks; on a terminal it says which one."""
    from bench.testing import CHECKS, Subject

    subject, results = Subject(contestant.learner, contestant.config, input_shape), []
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
