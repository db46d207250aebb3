"""What is installed: learners, suites, datasets, executors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.registry.discovery import Found, Problem, discover, subclass_of
from bench.registry.learners import accept_learner
from bench.registry.source_hash import source_hash
from bench.suites.schema import Suite, read_suite

if TYPE_CHECKING:
    from bench.api import Learner
    from bench.api.dataset import Source
    from bench.api.executor import Executor


@cache
def learners() -> Found[type[Learner]]:
    """The installed learners. Imports them, and torch."""
    return discover("learner", accept_learner)


def installed_sources() -> dict[str, str]:
    """The source hash of each installed learner, by name."""
    return {name: source_hash(learner) for name, learner in learners().things.items()}


def suites() -> Found[Suite]:
    """The installed suites."""
    files: Found[list[Path]] = discover("suite", _suite_files, unique=False)
    found: Found[Suite] = Found("suite", {}, {}, list(files.problems))
    origins = {path.resolve(): name for name, paths in files.things.items() for path in paths}
    named: dict[str, list[tuple[Suite, str]]] = defaultdict(list)
    for path, origin in origins.items():
        package = files.packages[origin]
        try:
            suite = read_suite(path)
        except BenchError as error:
            found.problems.append(Problem("suite", path.stem, package, str(error)))
            continue
        named[suite.name].append((suite, package))
    for name, claims in sorted(named.items()):
        if len(claims) == 1:
            found.things[name], found.packages[name] = claims[0]
            continue
        packages = ", ".join(sorted({package for _, package in claims}))
        told = " and ".join(str(suite.file) for suite, _ in claims)
        reason = f"the name is claimed by {len(claims)} files, {told}; uninstall all but one"
        found.problems.append(Problem("suite", name, packages, reason))
    return found


def _suite_files(thing: Any) -> list[Path]:
    try:
        path = Path(thing)
    except TypeError as error:
        raise BenchError(f"{thing!r} is no path of a suite file or of a folder of them") from error
    if path.is_dir():
        return sorted(path.glob("*.toml"))
    if path.is_file():
        return [path]
    raise BenchError(f"{path} is neither a suite file nor a folder of suite files")


@cache
def datasets() -> Found[Source]:
    """The installed datasets and memory probes; each class is built once, without arguments."""
    from bench.api.dataset import Source

    base: type[Any] = Source
    return discover("dataset", lambda thing: subclass_of(thing, base)())


@cache
def executors() -> Found[type[Executor]]:
    """The installed executors, as classes."""
    from bench.api.executor import Executor

    base: type[Any] = Executor
    return discover("executor", lambda thing: subclass_of(thing, base))


def all_problems() -> Iterator[Problem]:
    """Everything installed that cannot be used."""
    for found in (learners(), suites(), datasets(), executors()):
        yield from found.problems
