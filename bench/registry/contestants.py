"""Reads ``'maml[inner_steps=1,5]'``: which learner, in which configurations.

Grammar: ``NAME`` or ``NAME[item,item,...]``. An item is ``option=value``, a further value of the
option before it, or, in front of all options, the name of a preset of the learner. Lists of values
make a product. ``none`` is None where the option's type has it. NAME may be a glob.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import itertools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from bench.errors import BenchError, unknown_name
from bench.registry.discovery import Found
from bench.registry.learners import option_types

if TYPE_CHECKING:
    from bench.api import Learner

MOST_CONFIGURATIONS = 1000
"""Of one text: a list that was pasted twice is not to fill the memory."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A learner in one configuration.

    Attributes:
        name: the entry point's name.
        label: the name with the options that differ from the defaults.
        learner: its class.
        config: an instance of the learner's Config.
    """

    name: str
    label: str
    learner: type[Learner]
    config: Any

    @property
    def options(self) -> dict[str, Any]:
        """The whole configuration, as stored."""
        return dataclasses.asdict(self.config)


def contestants(specs: Sequence[str], installed: Found[type[Learner]]) -> list[Contestant]:
    """All configurations that the given texts name, each once, in the order given.

    Args:
        specs: texts as given with ``--learner``; empty: every learner in its default.
        installed: the learners to choose from.

    Raises:
        BenchError: unknown learner, option or preset, a value of the wrong type, bad grammar.
    """
    chosen: dict[str, Contestant] = {}
    for spec in specs or sorted(installed.things):
        match = re.fullmatch(r"\s*([^\[\]\s]+)\s*(?:\[(.*)\])?\s*", spec)
        if match is None:
            raise BenchError(
                f"cannot read the learner {spec!r}; write NAME or 'NAME[option=value,...]', "
                "for instance 'maml[inner_steps=1,5]'"
            )
        pattern, items = match.groups()
        names = [name for name in sorted(installed.things) if fnmatch.fnmatch(name, pattern)]
        for name in names or [pattern]:
            learner = installed.get(name)
            for options in _products(name, learner, items or ""):
                contestant = configure(name, learner, options)
                chosen.setdefault(contestant.label, contestant)
    return list(chosen.values())


def configure(name: str, learner: type[Learner], options: dict[str, Any]) -> Contestant:
    """A learner with some options set, each checked against the type its Config states.

    Raises:
        BenchError: no such option, a value of the wrong type or one that the Config refuses, a type
            that cannot be read.
    """
    try:
        types = option_types(learner)
    except BenchError as error:
        raise BenchError(f"{name} cannot be used: {error}") from error
    values = {}
    for option, value in options.items():
        if option not in types:
            hint = f"`bench show {name}` lists them"
            raise unknown_name(f"option of {name}", option, types, hint)
        try:
            values[option] = _validated(value, types[option])
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise BenchError(f"{name}[{option}={value}]: {what}") from error
        except PydanticUserError as error:
            raise BenchError(
                f"{name}[{option}={value}]: the option's type, {types[option]!r}, cannot be read "
                "from text; it keeps its default"
            ) from error
    try:
        config = learner.Config(**values)
    except (TypeError, ValueError) as error:
        raise BenchError(f"{name}: {error}") from error
    return Contestant(name, label(name, config), learner, config)


def _validated(value: Any, type_: Any) -> Any:
    """The value as that type; the text ``none`` is None where the type has it."""
    adapter: TypeAdapter[Any] = TypeAdapter(type_)
    if isinstance(value, str) and value.lower() == "none":
        with contextlib.suppress(ValidationError):
            return adapter.validate_python(None)
    return adapter.validate_python(value)


def label(name: str, config: Any) -> str:
    """``maml[inner_steps=5]``: the name, with what differs from the defaults."""
    changed = [
        f"{field.name}={getattr(config, field.name)}"
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != field.default
    ]
    return f"{name}[{','.join(changed)}]" if changed else name


def _products(name: str, learner: type[Learner], items: str) -> list[dict[str, Any]]:
    """``paper,a=1,2,b=x`` to the preset's options with every combination of a and b."""
    base: dict[str, Any] = {}
    lists: dict[str, list[str]] = {}
    option = ""
    for item in filter(None, (part.strip() for part in items.split(","))):
        key, equals, value = item.partition("=")
        if equals:
            option = key.strip()
            lists.setdefault(option, []).append(value.strip())
        elif option:
            lists[option].append(item)
        elif item in learner.presets:
            base.update(learner.presets[item])
        else:
            raise unknown_name(
                f"preset of {name}", item, learner.presets, "options are written option=value"
            )
    if (count := math.prod(map(len, lists.values()))) > MOST_CONFIGURATIONS:
        raise BenchError(
            f"{name}: its lists of values make {count:,} configurations, and "
            f"{MOST_CONFIGURATIONS:,} is the most; write shorter lists"
        )
    return [
        base | dict(zip(lists, values, strict=True))
        for values in itertools.product(*lists.values())
    ]
