"""The suites that are installed: files, or folders of them, behind entry points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.registry.discovery import Found, Problem, discover
from bench.registry.installed import datasets, executors, learners, protocols
from bench.suites.schema import Suite, read_suite


def suites() -> Found[Suite]:
    """The installed suites."""
    files: Found[list[Path]] = discover(
        "suite", _suite_files, unique=False, isolated=False
    )
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
        paths = " and ".join(str(suite.file) for suite, _ in claims)
        reason = f"the name is claimed by {len(claims)} files, {paths}; uninstall all but one"
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


def all_problems() -> Iterator[Problem]:
    """Everything installed that cannot be used."""
    for found in (learners(), suites(), datasets(), protocols(), executors()):
        yield from found.problems
