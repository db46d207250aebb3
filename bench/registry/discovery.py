"""Discovery: learners, suites, datasets, protocols and executors are found through entry points.

A plugin that cannot be used (it fails to import, is no learner, was written for another version of
the contract, shares its name with another package's) is a `Problem` with the package and the
reason. It never disturbs the others. One that lacks something optional is a `Problem` too, with the
command that installs it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import inspect
import re
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from bench.apart.blame import GivenUpError, touching
from bench.api import CONTRACT_VERSION, CONTRACTS, MissingRequirementError
from bench.api.files import is_file
from bench.errors import BenchError, unknown_name
from bench.registry.names import check_name
from bench.registry.stated import check_stated
from bench.registry.unchanged import unchanged

Thing = TypeVar("Thing")


Base = TypeVar("Base")


class UnusableError(BenchError):
    """Something is installed and broken: its own fault, not a mistake of whoever asks for it."""


@dataclass(frozen=True)
class Problem:
    """Why something that is installed cannot be used."""

    kind: str
    """"learner", "suite", "dataset", "protocol" or "executor"."""
    name: str
    package: str
    reason: str
    traceback: str | None = None
    install: str | None = None
    """The command that installs what it needs; None: it is broken."""
    fatal: bool = False
    """Whether it ended or hung the process that looked at it."""


@dataclass(frozen=True)
class Found(Generic[Thing]):
    """What is installed of one kind."""

    kind: str
    """"learner", "suite", "dataset", "protocol" or "executor"."""
    things: dict[str, Thing]
    packages: dict[str, str]
    """Package and version behind each name."""
    problems: list[Problem]
    names: frozenset[str] = frozenset()
    """All that is installed of the kind, looked at or not."""

    def get(self, name: str) -> Thing:
        """The thing of that name.

        Raises:
            UnusableError: where it, or all that a glob matches, is broken, with the reason.
            BenchError: where it lacks something that can be installed; where there is none, with
                the nearest names.
        """
        if name in self.things:
            return self.things[name]
        for problem in self.problems:
            if fnmatch.fnmatch(problem.name, name):
                told = (
                    f"the {self.kind} {problem.name!r} of {problem.package} cannot be used: "
                    f"{problem.reason}"
                )
                if problem.install:
                    raise BenchError(told)
                raise UnusableError(f"{told}\n`bench doctor` shows more")
        hint = f"`bench list {self.kind}s` shows all"
        if self.kind == "dataset" and re.search(r"[/\\.]", name):
            hint = (
                f"your own data: folder:{name} for images by class, arrays:{name} for an .npz file"
            )
        if self.kind == "learner":
            hint = file_hint(name) or hint
        raise unknown_name(self.kind, name, self.names | set(self.things), hint)


def file_hint(name: str) -> str | None:
    """What to write for a Python file that somebody names without a class; None: there is none."""
    file = name if name.endswith(".py") else f"{name}.py"
    if not is_file(file):
        return None
    return f"{file} is a file; write {file}:Class, with the name of the learner's class"


def names_of(kind: str) -> frozenset[str]:
    """The names of all that is installed of a kind; nothing is imported."""
    return frozenset(point.name for point in _points(kind))


def _points(kind: str) -> Collection[EntryPoint]:
    """The entry points of a kind."""
    found: Collection[EntryPoint] = installed_points(tuple(sys.path)).select(group=f"bench.{kind}s")
    return found


@cache
def installed_points(path: tuple[str, ...]) -> Any:
    """All entry points of the distributions on that path: `EntryPoints`, or what older versions of
    Python have for it. To look for them takes 20 ms, and a command asks for many kinds."""
    return entry_points()


def fits(name: str, pattern: str) -> bool:
    """Whether a pattern is the name, or a glob that the name fits."""
    return name == pattern or fnmatch.fnmatch(name, pattern)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def discover(
    kind: str,
    accept: Callable[[Any], Thing],
    *,
    patterns: Collection[str] = (),
    unique: bool = True,
    isolated: bool = True,
) -> Found[Thing]:
    """Loads the entry points of a kind. What a plugin prints meanwhile goes to standard error, and
    what it sets for the whole process is put back.

    Args:
        kind: "learner", for instance.
        accept: returns the thing or raises a `BenchError`.
        patterns: names and globs: nothing else is imported; empty: everything.
        unique: a name that two packages claim is nobody's; else both are found, by name and
            package.
        isolated: torch is put back too, which imports it.
    """
    points: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in _points(kind):
        if point not in points[point.name]:  # one distribution may be on the path twice
            points[point.name].append(point)
    found: Found[Thing] = Found(kind, {}, {}, [], names_of(kind))
    for claimed, claims in sorted(points.items()):
        if patterns and not any(fits(claimed, pattern) for pattern in patterns):
            continue
        if unique and len(claims) > 1:
            packages = ", ".join(sorted({_package(claim) for claim in claims}))
            reason = f"the name is claimed by {len(claims)} entry points; uninstall all but one"
            found.problems.append(Problem(kind, claimed, packages, reason))
            continue
        for point in claims:
            package = _package(point)
            name = claimed if len(claims) == 1 else f"{claimed} of {package}"
            try:
                check_name(claimed)
                found.things[name] = _load(point, kind, accept, isolated)
                found.packages[name] = package
            except BenchError as error:
                fatal = isinstance(error, GivenUpError)
                found.problems.append(Problem(kind, name, package, str(error), fatal=fatal))
            except BaseException as error:  # an import may raise anything, SystemExit too
                if isinstance(error, KeyboardInterrupt):
                    raise
                found.problems.append(_failed_import(kind, name, package, error))
    return found


def _load(point: EntryPoint, kind: str, accept: Callable[[Any], Thing], isolated: bool) -> Thing:
    """What an entry point means. Its module is touched for itself: others may lie in it too."""
    with contextlib.redirect_stdout(sys.stderr), unchanged(torch=isolated):
        with touching(f"importing {point.module}"):
            importlib.import_module(point.module)
        with touching(f"loading the {kind} {point.name}"):
            return accept(point.load())


def _failed_import(kind: str, name: str, package: str, error: BaseException) -> Problem:
    """The problem that an import's error is."""
    if isinstance(error, MissingRequirementError):
        return Problem(kind, name, package, str(error), install=error.install)
    reason = f"importing it failed: {type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return Problem(kind, name, package, reason, trace)


def check_contract(thing: Any) -> None:
    """Raises a `BenchError` where a plugin states a version of the contract that is not known."""
    contract = getattr(thing, "contract", CONTRACT_VERSION)
    if contract not in CONTRACTS:
        known = " and ".join(map(str, CONTRACTS))
        raise BenchError(
            f"it was written for version {contract} of the contract, and this understands versions "
            f"{known}; install a matching version of one of the two"
        )


def check_complete(thing: type) -> None:
    """Raises a `BenchError` where a class lacks what its base has marked as abstract.

    It is looked up by hand: ABC collects these names where a class has its metaclass only, and
    learners have that of `torch.nn.Module`.
    """
    missing = [
        name
        for name in sorted(dir(thing))
        if getattr(inspect.getattr_static(thing, name, None), "__isabstractmethod__", False)
    ]
    if missing:
        raise BenchError(f"{thing.__name__} does not define {', '.join(missing)}")


def subclass_of(thing: Any, base: type[Base]) -> type[Base]:
    """Returns a plugin's class as it is.

    Raises:
        BenchError: where it is no complete subclass of `base`, of this contract.
    """
    if not (isinstance(thing, type) and issubclass(thing, base)):
        home = "bench.api" if base.__module__.startswith("bench.api.") else base.__module__
        raise BenchError(f"{thing!r} is not a subclass of {home}.{base.__name__}")
    check_contract(thing)
    check_complete(thing)
    check_stated(thing, base)
    return thing
