"""What is installed as code: learners, datasets, protocols, executors. Suites, which are files, are
found by `bench.suites.installed`."""

from __future__ import annotations

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
    from bench.protocols.base import Protocol


@cache
def learners() -> Found[type[Learner]]:
    """The installed learners. Imports them, and torch."""
    return discover("learner", accept_learner)


def installed_sources() -> dict[str, str]:
    """The source hash of each installed learner, by name."""
    return {name: source_hash(learner) for name, learner in learners().things.items()}


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


@cache
def protocols() -> Found[Protocol[Any, Any]]:
    """The installed protocols; each class is built once, without arguments. Imports torch."""
    found = discover("protocol", _accept_protocol)
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
    return protocols().get(name)
