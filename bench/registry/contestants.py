"""Reads ``'maml[inner_steps=1,5]'``: which learner, in which configurations.

Grammar: ``NAME`` or ``NAME[item,item,...]``. An item is ``option=value``, a further value of the
option before it, or, in front of all options, the name of a preset of the learner. Further values
make a product. `bench.registry.option_grammar` says what a value is. NAME may be a glob.

A label is written by the same grammar: given as a learner it is the same contestant.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import PydanticUserError, ValidationError
from pydantic_core import PydanticSerializationError

from bench.apart.blame import touching
from bench.api.files import is_utf8
from bench.errors import BenchError, unknown_name
from bench.registry.discovery import Found, UnusableError
from bench.registry.learner_files import LearnerFile, find, is_file
from bench.registry.learners import default_of, option_types
from bench.registry.option_grammar import Group, Word, read_items
from bench.registry.option_values import as_json, as_text, fit

if TYPE_CHECKING:
    from bench.api import Learner

MOST_CONFIGURATIONS = 1000
"""Of one text: a list that was pasted twice is not to fill the memory."""


MOST_TOLD = 120
"""Characters of what was given, in a message."""


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
    options: dict[str, Any] = dataclasses.field(compare=False)
    """The whole of it as JSON, as stored: it decides which result this is."""
    file: LearnerFile | None = None
    """Where it lies, of a learner that is not installed."""
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    """The options that were asked for."""

    def within(self, protocol: str) -> Contestant:
        """The same learner in a protocol, which may have defaults of its own: those of
        `bench.api.Learner.protocol_defaults`, but for the options that were asked for.

        Raises:
            BenchError: defaults that the Config refuses.
        """
        defaults = self.learner.protocol_defaults.get(protocol)
        if not defaults:
            return self
        return configure(self.name, self.learner, dict(self.given), self.file, defaults)


def contestants(specs: Sequence[str], installed: Found[type[Learner]]) -> list[Contestant]:
    """All configurations that the given texts name, each once, in the order given.

    Args:
        specs: texts as given with ``--learner``; empty: every learner in its default.
        installed: the learners to choose from.

    Raises:
        BenchError: unknown learner, option or preset, a value of the wrong type, bad grammar, a
            file that is not there.
    """
    chosen: dict[str, Contestant] = {}
    for spec in specs or sorted(installed.things):
        for contestant in _named(spec, installed):
            before = chosen.setdefault(contestant.label, contestant)
            if before.file != contestant.file:
                raise BenchError(
                    f"two learners are called {contestant.label!r}; give one of the files another "
                    "name"
                )
    return list(chosen.values())


def pattern_of(spec: str) -> str:
    """The name or glob that a text begins with, without its options.

    Raises:
        BenchError: bad grammar.
    """
    return _read(spec)[0]


def each_learner(spec: str, installed: Found[type[Learner]]) -> list[str]:
    """A text with a glob as one text for each learner that fits; any other as it is.

    Raises:
        BenchError: bad grammar.
    """
    pattern, items = _read(spec)
    names = [] if is_file(pattern) else fnmatch.filter(sorted(installed.things), pattern)
    return [f"{name}[{items}]" if items else name for name in names] or [spec]


def _read(spec: str) -> tuple[str, str]:
    """``'maml[inner_steps=1,5]'`` to the name and what stands in brackets."""
    match = re.fullmatch(r"\s*([^\[\]\s]+|[^\[\]]+:\w+)\s*(?:\[(.*)\])?\s*", spec, re.DOTALL)
    if match is None or not is_utf8(spec):
        raise BenchError(
            f"cannot read the learner {_short(spec)!r}; write NAME or "
            "'NAME[option=value,...]', for instance 'maml[inner_steps=1,5]'"
        )
    return match[1], match[2] or ""


def _named(spec: str, installed: Found[type[Learner]]) -> Iterator[Contestant]:
    """The configurations that one text names."""
    pattern, items = _read(spec)
    if is_file(pattern):
        file, learner = find(pattern)
        for options in _products(file.name, learner, items):
            yield configure(file.name, learner, options, file)
        return
    names = [name for name in sorted(installed.things) if fnmatch.fnmatch(name, pattern)]
    for name in names or [pattern]:
        learner = installed.get(name)
        for options in _products(name, learner, items):
            yield configure(name, learner, options)


def _short(text: str) -> str:
    return text if len(text) <= MOST_TOLD else f"{text[: MOST_TOLD - 20]}...{text[-17:]}"


def configure(
    name: str,
    learner: type[Learner],
    options: dict[str, Any],
    file: LearnerFile | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Contestant:
    """A learner with some options set, each checked against the type its Config states.

    Args:
        name: its entry point's.
        learner: its class.
        options: by name the values, or texts to read them from.
        file: where it lies, of a learner that is not installed.
        defaults: of options whose default is not that of the Config.

    Raises:
        BenchError: no such option, a value of the wrong type or one that the Config refuses, a type
            that cannot be read, a file that is not there or not the one that is stored.
    """
    try:
        types = option_types(learner)
    except BenchError as error:
        raise BenchError(f"{name} cannot be used: {error}") from error
    values, usual = {}, dict(defaults or {})
    for option, given in {**usual, **options}.items():
        if option not in types:
            hint = f"`bench show {name}` lists them"
            raise unknown_name(f"option of {name}", option, types, hint)
        told = f"{name}[{option}={_short(str(given))}]"
        try:
            values[option] = fit(given, types[option])
        except ValidationError as error:
            raise BenchError(f"{told}: {error.errors()[0]['msg']}") from error
        except ValueError as error:
            raise BenchError(f"{told}: {error}") from error
        except PydanticUserError as error:
            raise BenchError(
                f"{told}: the option's type, {types[option]!r}, cannot be read from text; it keeps "
                "its default"
            ) from error
    try:
        with touching(f"Config of {name}"):
            config = learner.Config(**values)
    except (TypeError, ValueError) as error:
        raise BenchError(f"{name}: {error}") from error
    except BenchError:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        told = f"{name}: its Config failed: {type(error).__name__}: {error}"
        raise UnusableError(told) from error
    stored = _stored(name, config, options)
    told = label(name, config, types, usual)
    asked = {option: values[option] for option in options}
    return Contestant(name, told, learner, config, stored, file, asked)


def within(learner: type[Learner], config: Any, protocol: str) -> Any:
    """A configuration in a protocol, where nobody knows which options were asked for: those that
    have their ordinary default get the protocol's."""
    given = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.init and getattr(config, field.name) != default_of(field)
    }
    defaults = learner.protocol_defaults.get(protocol)
    return learner.Config(**{**defaults, **given}) if defaults else config


def _stored(name: str, config: Any, given: Collection[str]) -> dict[str, Any]:
    stored = {}
    for field in dataclasses.fields(config):
        value, file = getattr(config, field.name), field.metadata.get("file")
        try:
            stored[field.name] = as_json(value, file)
        except BenchError as error:
            # Of an option that nobody gave it is the learner that cannot be used.
            kind = BenchError if field.name in given else UnusableError
            raise kind(f"{name}, option {field.name}: {error}") from error
        except PydanticSerializationError as error:
            raise BenchError(f"{name}, option {field.name}: cannot be stored: {error}") from error
    return stored


def label(
    name: str, config: Any, types: dict[str, Any], defaults: Mapping[str, Any] | None = None
) -> str:
    """``maml[inner_steps=5]``: the name, with what differs from the defaults: those of the Config,
    or where they are given others."""
    usual, changed = defaults or {}, []
    for field in dataclasses.fields(config):
        type_ = types.get(field.name, Any)
        text = _told(getattr(config, field.name), type_)
        if text != _told(usual.get(field.name, default_of(field)), type_):
            changed.append(f"{field.name}={text}")
    return f"{name}[{','.join(changed)}]" if changed else name


def _told(value: Any, type_: Any) -> str:
    """A value as text; 1 where a float belongs is 1.0."""
    with contextlib.suppress(ValueError, PydanticUserError):  # a default may be of another type
        value = fit(value, type_)
    return as_text(value, type_)


def _products(name: str, learner: type[Learner], items: str) -> list[dict[str, Any]]:
    """``paper,a=1,2,b=x`` to the preset's options with every combination of a and b."""
    base: dict[str, Any] = {}
    lists: dict[str, list[Word | Group]] = {}
    option = ""
    for key, value in read_items(items):
        option = key or option
        if option:
            lists.setdefault(option, []).append(value)
        elif isinstance(value, Word) and value.text in learner.presets:
            base.update(learner.presets[value.text])
        else:
            raise unknown_name(
                f"preset of {name}", str(value), learner.presets, "options are written option=value"
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
