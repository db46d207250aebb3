"""Discovery: learners, suites, datasets and executors are found through entry points.

A plugin that cannot be used (it fails to import, is no learner, was written for another version of
the contract, shares its name with another package's) is a `Problem` with the package and the
reason. It never disturbs the others.
"""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bench.errors import BenchError, unknown_name
from bench.source_hash import source_hash
from bench.suites.schema import Suite, read_suite

if TYPE_CHECKING:
    from bench.api import Learner
    from bench.data.base import Source
    from bench.executors.base import Executor


Thing = TypeVar("Thing")
Base = TypeVar("Base")


@dataclass(frozen=True)
class Problem:
    """Why something that is installed cannot be used."""

    kind: str
    """"learner", "suite", "dataset" or "executor"."""
    name: str
    package: str
    reason: str
    traceback: str | None = None


@dataclass(frozen=True)
class Found(Generic[Thing]):
    """What is installed of one kind."""

    things: dict[str, Thing]
    packages: dict[str, str]
    """Package and version behind each name."""
    problems: list[Problem]

    def get(self, kind: str, name: str) -> Thing:
        """The thing of that name.

        Raises:
            BenchError: with the reason where it is installed and broken, else the nearest names.
        """
        if name in self.things:
            return self.things[name]
        for problem in self.problems:
            if problem.name == name:
                raise BenchError(
                    f"the {kind} {name!r} of {problem.package} cannot be used: {problem.reason}\n"
                    "`bench doctor` shows more"
                )
        raise unknown_name(kind, name, self.things, f"`bench list {kind}s` shows all")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def _discover(kind: str, accept: Callable[[Any], Thing]) -> Found[Thing]:
    """Loads the entry points of a kind. `accept` returns the thing or raises a BenchError."""
    points: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points(group=f"bench.{kind}s"):
        if point not in points[point.name]:  # one distribution may be on the path twice
            points[point.name].append(point)
    found: Found[Thing] = Found({}, {}, [])
    for name, claims in sorted(points.items()):
        point, packages = claims[0], ", ".join(sorted({_package(claim) for claim in claims}))
        if len(claims) > 1:
            reason = f"the name is claimed by {len(claims)} entry points; uninstall all but one"
            found.problems.append(Problem(kind, name, packages, reason))
            continue
        try:
            found.things[name] = accept(point.load())
            found.packages[name] = packages
        except BenchError as error:
            found.problems.append(Problem(kind, name, packages, str(error)))
        except BaseException as error:  # an import may raise anything, SystemExit too
            if isinstance(error, KeyboardInterrupt):
                raise
            reason = f"importing it failed: {type(error).__name__}: {error}"
            found.problems.append(Problem(kind, name, packages, reason, traceback.format_exc()))
    return found


# -- learners -------------------------------------------------------------------------------------


@cache
def learners() -> Found[type[Learner]]:
    """The installed learners. Imports them, and torch."""
    return _discover("learner", accept_learner)


def accept_learner(thing: Any) -> type[Learner]:
    """Returns a learner class as it is.

    Raises:
        BenchError: where it is no learner of this contract.
    """
    from bench.api import CONTRACT_VERSION, Learner

    if not (isinstance(thing, type) and issubclass(thing, Learner)):
        raise BenchError(f"{thing!r} is not a subclass of bench.api.Learner")
    contract = getattr(thing, "contract", None)
    if contract is None:
        raise BenchError(f"it does not state its contract; add `contract = {CONTRACT_VERSION}`")
    if contract != CONTRACT_VERSION:
        raise BenchError(
            f"it was written for version {contract} of the contract, and this is version "
            f"{CONTRACT_VERSION}; install a matching version of one of the two"
        )
    if not isinstance(getattr(thing, "family", None), str):
        raise BenchError('it does not state its family, for instance `family = "metric-based"`')
    if not is_dataclass(thing.Config):
        raise BenchError("its Config is not a dataclass")
    return thing


def installed_sources() -> dict[str, str]:
    """The source hash of each installed learner, by name."""
    return {name: source_hash(learner) for name, learner in learners().things.items()}


# -- suites ---------------------------------------------------------------------------------------


def suites() -> Found[Suite]:
    """The installed suites."""
    files: Found[list[Path]] = _discover("suite", _suite_files)
    found: Found[Suite] = Found({}, {}, list(files.problems))
    for origin, paths in files.things.items():
        for path in paths:
            package = files.packages[origin]
            try:
                suite = read_suite(path)
            except BenchError as error:
                found.problems.append(Problem("suite", path.stem, package, str(error)))
                continue
            if suite.name in found.things:
                reason = f"{found.packages[suite.name]} has a suite of that name too"
                found.problems.append(Problem("suite", suite.name, package, reason))
                continue
            found.things[suite.name], found.packages[suite.name] = suite, package
    return found


def _suite_files(thing: Any) -> list[Path]:
    path = Path(thing)
    if path.is_dir():
        return sorted(path.glob("*.toml"))
    if path.is_file():
        return [path]
    raise BenchError(f"{path} is neither a suite file nor a folder of suite files")


# -- datasets and executors -----------------------------------------------------------------------


@cache
def datasets() -> Found[Source]:
    """The installed datasets and memory probes; each class is built once, without arguments."""
    from bench.data.base import Source

    base: type[Any] = Source
    return _discover("dataset", lambda thing: _subclass(thing, base)())


@cache
def executors() -> Found[type[Executor]]:
    """The installed executors, as classes."""
    from bench.executors.base import Executor

    base: type[Any] = Executor
    return _discover("executor", lambda thing: _subclass(thing, base))


def _subclass(thing: Any, base: type[Base]) -> type[Base]:
    if not (isinstance(thing, type) and issubclass(thing, base)):
        raise BenchError(f"{thing!r} is not a subclass of {base.__module__}.{base.__name__}")
    return thing


def all_problems() -> Iterator[Problem]:
    """Everything installed that cannot be used."""
    for found in (learners(), suites(), datasets(), executors()):
        yield from found.problems
