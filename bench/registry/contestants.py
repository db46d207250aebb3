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
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from bench.errors import BenchError, unknown_name
from bench.registry.discovery import Found
from bench.registry.learners import option_types

if TYPE_CHECKING:
    from bench.api import Learner


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A learner in one configuration.

    Attributes:
        name: the entry point's name.
        label: the name with the options that differ from the defaults.
        learner: its class.
        config: an instance of the learner's Config.
        given: the options that were asked for.
    """

    name: str
    label: str
    learner: type[Learner]
    config: Any
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The whole configuration, as stored."""
        return dataclasses.asdict(self.config)

    def within(self, protocol: str) -> Contestant:
        """The same learner in a protocol, which may have defaults of its own: those of
        `bench.api.Learner.protocol_defaults`, but for the options that were asked for.

        Raises:
            BenchError: defaults that the Config refuses.
        """
        defaults = self.learner.protocol_defaults.get(protocol)
        if not defaults:
            return self
        return configure(self.name, self.learner, dict(self.given), defaults)


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


def configure(
    name: str,
    learner: type[Learner],
    options: dict[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> Contestant:
    """A learner with some options set, each checked against the type its Config states.

    Args:
        name: its entry point's.
        learner: its class.
        options: by name the values, or texts to read them from.
        defaults: of options whose default is not that of the Config.

    Raises:
        BenchError: no such option, a value of the wrong type or one that the Config refuses, a type
            that cannot be read.
    """
    try:
        types = option_types(learner)
    except BenchError as error:
        raise BenchError(f"{name} cannot be used: {error}") from error
    values, usual = {}, dict(defaults or {})
    for option, value in {**usual, **options}.items():
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
    given = {option: values[option] for option in options}
    return Contestant(name, label(name, config, usual), learner, config, given)


def within(learner: type[Learner], config: Any, protocol: str) -> Any:
    """A configuration in a protocol, where nobody knows which options were asked for: those that
    have their ordinary default get the protocol's."""
    given = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.init and getattr(config, field.name) != field.default
    }
    defaults = learner.protocol_defaults.get(protocol)
    return learner.Config(**{**defaults, **given}) if defaults else config


def _validated(value: Any, type_: Any) -> Any:
    """The value as that type; the text ``none`` is None where the type has it."""
    adapter: TypeAdapter[Any] = TypeAdapter(type_)
    if isinstance(value, str) and value.lower() == "none":
        with contextlib.suppress(ValidationError):
            return adapter.validate_python(None)
    return adapter.validate_python(value)


def label(name: str, config: Any, defaults: Mapping[str, Any] | None = None) -> str:
    """``maml[inner_steps=5]``: the name, with what differs from the defaults: those of the Config,
    or where they are given others."""
    usual = defaults or {}
    changed = [
        f"{field.name}={getattr(config, field.name)}"
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != usual.get(field.name, field.default)
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
    return [
        base | dict(zip(lists, values, strict=True))
        for values in itertools.product(*lists.values())
    ]
