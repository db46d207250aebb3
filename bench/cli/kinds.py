"""What a name means that may be a suite's, a learner's or a dataset's."""

from __future__ import annotations

import fnmatch
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.api.dataset import Notify
from bench.api.files import is_folder
from bench.errors import BenchError, unknown_name
from bench.registry.discovery import file_hint
from bench.suites.paths import FOLDER, OWN
from bench.suites.schema import Suite, read_suite

if TYPE_CHECKING:
    from bench.registry.discovery import Found

Kind = Literal["suite", "learner", "dataset"]


def kind_of(text: str, tell: Notify) -> Kind:
    """The kind of thing that an argument names: the first of suite, learner and dataset that has
    the name, whether or not it can be used. Imports suites only.

    Args:
        text: a name; ``PATH.toml``, a suite; ``folder:PATH``, a dataset; a learner with options,
            as a glob, or as ``package.module:Class``.
        tell: told where others have the name too.

    Raises:
        BenchError: nothing has that name.
    """
    if text.endswith(".toml"):
        return "suite"
    if text.startswith(OWN):
        return "dataset"
    name = text.partition("[")[0].strip()
    if ":" in name:
        return "learner"
    known = installed()
    kinds = [kind for kind in known if name in known[kind]]
    if "[" in text and "learner" in kinds:
        return "learner"
    if kinds:
        for other in kinds[1:]:
            tell(f"{name} is a {other} too: --kind {other}")
        return kinds[0]
    if fnmatch.filter(known["learner"], name):
        return "learner"
    if is_folder(text):
        raise BenchError(f"{text} is a folder; write {FOLDER}{text} for its images by class")
    if hint := file_hint(text):
        raise BenchError(hint)
    names = {name for names in known.values() for name in names}
    hint = "`bench list suites`, `bench list learners` and `bench list datasets` show all"
    raise unknown_name("suite, learner or dataset", name, names, hint)


def one_suite(text: str) -> Suite:
    """The suite of that name, or of that ``.toml`` file.

    Raises:
        BenchError: there is none, or it is not valid.
    """
    from bench.suites.installed import suites

    return read_suite(Path(text)) if text.endswith(".toml") else suites().get(text)


def of_kind(kinds: str, *, check_own: bool = True) -> Found[Any]:
    """What is installed of one of `bench.cli.options.KINDS`.

    Args:
        kinds: ``learners``, ``suites``, ``datasets``, ``protocols``, ``executors`` or ``trackers``.
        check_own: see `bench.suites.installed.suites`.
    """
    from bench import registry as plugins
    from bench.suites.installed import suites

    finders: dict[str, Any] = {
        "learners": plugins.learners,
        "suites": partial(suites, check_own=check_own),
        "datasets": plugins.datasets,
        "protocols": plugins.protocols,
        "executors": plugins.executors,
        "trackers": plugins.trackers,
    }
    found: Found[Any] = finders[kinds]()
    return found


def installed() -> dict[Kind, set[str]]:
    """The names of each kind, of what cannot be used too."""
    from bench.registry.discovery import names_of
    from bench.suites.installed import suites

    found = suites(check_own=False)
    return {
        "suite": {*found.things, *(problem.name for problem in found.problems)},
        "learner": set(names_of("learner")),
        "dataset": set(names_of("dataset")),
    }
