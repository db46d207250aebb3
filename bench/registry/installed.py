"""What is installed as code: learners, datasets, protocols, executors, trackers. Suites, which are
files, are found by `bench.suites.installed`.

Whoever needs one thing asks for it by name, so that no other package is imported: a worker knows
the package of its learner only."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.registry.discovery import Found, Problem, discover, subclass_of
from bench.registry.learners import accept_learner
from bench.registry.source_hash import source_hash

if TYPE_CHECKING:
    from bench.api import Learner
    from bench.api.dataset import Source
    from bench.api.executor import Executor
    from bench.api.tracker import Tracker
    from bench.protocols.base import Protocol


@cache
def learners(*patterns: str) -> Found[type[Learner]]:
    """The installed learners, or those that fit a name or glob. Imports them, and torch."""
    return discover("learner", accept_learner, patterns=patterns)


def installed_sources(names: Sequence[str]) -> dict[str, str]:
    """The source hash of each learner of those names that can be used; imports them."""
    sources = {}
    for name, learner in learners(*names).things.items() if names else ():
        with contextlib.suppress(OSError, ValueError, SyntaxError):  # code that is not to be read
            sources[name] = source_hash(learner)
    return sources


@cache
def datasets(*patterns: str) -> Found[Source]:
    """The installed datasets and memory probes, or those that fit a name or glob; each class is
    built once, without arguments."""
    from bench.api.dataset import Source

    base: type[Any] = Source
    return discover("dataset", lambda thing: subclass_of(thing, base)(), patterns=patterns)


@cache
def executors(*patterns: str) -> Found[type[Executor]]:
    """The installed executors, or those that fit a name or glob, as classes."""
    from bench.api.executor import Executor

    base: type[Any] = Executor

    def accept(thing: Any) -> type[Executor]:
        is_older = callable(getattr(thing, "run", None))
        if is_older and getattr(getattr(thing, "submit", None), "__isabstractmethod__", True):
            raise BenchError(
                f"{thing.__name__} has a method `run`, which carried out one job, and no `submit`: "
                "it was written for an older version of bench; executors are given groups now, see "
                "bench/api/executor.py"
            )
        return subclass_of(thing, base)

    return discover("executor", accept, patterns=patterns, isolated=False)


@cache
def trackers(*patterns: str) -> Found[type[Tracker]]:
    """The installed trackers, or those that fit a name or glob, as classes."""
    from bench.api.tracker import Tracker

    base: type[Any] = Tracker
    return discover(
        "tracker", lambda thing: subclass_of(thing, base), patterns=patterns, isolated=False
    )


@cache
def protocols(*patterns: str) -> Found[Protocol[Any, Any]]:
    """The installed protocols, or those that fit a name or glob; each class is built once, without
    arguments. Imports torch."""
    found = discover("protocol", _accept_protocol, patterns=patterns)
    for name in [name for name, item in found.things.items() if item.name != name]:
        reason = f"its entry point is called {name!r}, and its name is {found.things[name].name!r}"
        found.problems.append(Problem("protocol", name, found.packages[name], reason))
        del found.things[name], found.packages[name]
    return found


def _accept_protocol(thing: Any) -> Protocol[Any, Any]:
    from bench.protocols.base import Protocol
    from bench.protocols.settings import Keys, Setting

    base: type[Any] = Protocol
    kind = subclass_of(thing, base)
    for attribute, model in (("setting", Setting), ("keys", Keys)):
        stated = getattr(kind, attribute, None)
        if not (isinstance(stated, type) and issubclass(stated, model)):
            raise BenchError(
                f"{kind.__name__}.{attribute} is {stated!r}, and not a subclass of "
                f"{model.__module__}.{model.__name__}"
            )
    if not isinstance(getattr(kind, "source", None), type):
        raise BenchError(
            f"{kind.__name__} does not state its source, the class of datasets that it goes with"
        )
    built: Protocol[Any, Any] = kind()
    return built


def protocol(name: str) -> Protocol[Any, Any]:
    """The protocol of that name.

    Raises:
        BenchError: it is not installed, or cannot be used.
    """
    return protocols(name).get(name)
