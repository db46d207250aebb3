"""`bench check` for learners: finds them and runs the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bench.registry.contestants import Contestant
    from bench.testing import CheckResult, Subject


def check_learners(
    text: str,
    checks: Sequence[str],
    input_shape: tuple[int, int, int] | None,
    fmt: Literal["table", "json"],
    step: Callable[[str], object],
) -> tuple[str, bool]:
    """What the checks say of the learners that an argument names, as text; whether all passed.

    Args:
        text: see `bench.registry.contestants.contestants`.
        checks: names; empty: all.
        input_shape: of the images, where the learner takes no others.
        fmt: a table for people, or JSON.
        step: told which check of which learner begins.

    Raises:
        BenchError: no such learner or check.
    """
    from bench.cli.check_text import describe
    from bench.cli.terminal import render
    from bench.errors import unknown_name
    from bench.testing import CHECKS

    for name in checks:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS)
    chosen = [name for name in CHECKS if not checks or name in checks]
    # by the learner with its options
    results = {found.label: run_checks(found, chosen, input_shape, step) for found in find(text)}
    passed = all(result.status != "fail" for told in results.values() for result in told)
    if fmt == "json":
        rows = [
            {"learner": label, **row} for label, told in results.items() for row in map(vars, told)
        ]
        return render(rows, list(rows[0]), "json"), passed
    return "\n\n".join(describe(label, told) for label, told in results.items()), passed


def find(text: str) -> list[Contestant]:
    """The learners that an argument names, each with its configuration.

    Raises:
        BenchError: nothing, or no learner, is there; see `bench.registry.contestants.contestants`.
    """
    from bench.registry.contestants import contestants, pattern_of
    from bench.registry.installed import learners

    return contestants([text], learners(pattern_of(text)))


def run_checks(
    contestant: Contestant,
    names: Sequence[str],
    input_shape: tuple[int, int, int] | None,
    step: Callable[[str], object],
) -> list[CheckResult]:
    """Runs some checks. One that ends the process fails."""
    from bench.testing import Subject

    subject = Subject(contestant.learner, contestant.config, input_shape)
    results = []
    for name in names:
        step(f"{contestant.label}  {name}")
        results.append(run_check(subject, name, f"the check {name} of {contestant.label}"))
    return results


def run_check(subject: Subject, name: str, what: str) -> CheckResult:
    """Runs one check."""
    from bench.apart.blame import GivenUpError, touching
    from bench.testing import CHECKS, CheckResult

    check = CHECKS[name]
    try:
        with touching(what, seconds=None):  # training takes as long as it takes
            return check(subject)
    except GivenUpError as error:
        return CheckResult(name, "fail", check.explanation, str(error), check.hint, None, 0.0)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on standard error while it runs, where that is a terminal: what it is given."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda text: bar.update(task, description=escape(text))
