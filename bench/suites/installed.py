"""The suites that are installed: files, or folders of them, behind entry points."""

from __future__ import annotations

import fnmatch
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.registry.discovery import Found, Problem, discover
from bench.suites import FOLDER
from bench.suites.schema import Suite, read_suite


def suites(pattern: str = "*", *, check_own: bool = True) -> Found[Suite]:
    """The installed suites, or those that fit a name or glob.

    Args:
        pattern: files that say another name are not looked at any further.
        check_own: the built-in ones are validated too, which imports their protocols, and torch.
    """
    files: Found[list[Path]] = discover("suite", _suite_files, unique=False, isolated=False)
    found: Found[Suite] = Found("suite", {}, {}, list(files.problems))
    origins = {path.resolve(): name for name, paths in files.things.items() for path in paths}
    named: dict[str, list[tuple[Suite, str]]] = defaultdict(list)
    for path, origin in origins.items():
        if pattern != "*" and not fnmatch.fnmatch(_name(path) or "", pattern):
            continue
        package = files.packages[origin]
        try:
            own = path.parent == Path(FOLDER)
            suite = as_written(path) if own and not check_own else read_suite(path)
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


def files_called(name: str) -> list[Path]:
    """The installed files that say this name, without their symbolic links; they may be no suites
    otherwise."""
    files: Found[list[Path]] = discover("suite", _suite_files, unique=False, isolated=False)
    paths = {path.resolve() for found in files.things.values() for path in found}
    return sorted(path for path in paths if _name(path) == name)


def _name(path: Path) -> str | None:
    """What a file says that its suite is called; None: it cannot be read, or does not say."""
    try:
        name = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def as_written(path: Path) -> Suite:
    """A suite of which nothing was checked."""
    return Suite.model_construct(**tomllib.loads(path.read_text(encoding="utf-8")))


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
