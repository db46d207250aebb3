"""What an installed learner has to be."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from bench.errors import BenchError
from bench.registry.discovery import check_complete, check_contract
from bench.registry.option_values import as_json
from bench.registry.stated import check_stated

if TYPE_CHECKING:
    from bench.api import Learner


def accept_learner(thing: Any) -> type[Learner]:
    """Returns a learner class as it is.

    Raises:
        BenchError: where it is no learner of this contract.
    """
    from bench.api import CONTRACT_VERSION, Learner

    if not (isinstance(thing, type) and issubclass(thing, Learner)):
        raise BenchError(f"{thing!r} is not a subclass of bench.api.Learner")
    if getattr(thing, "contract", None) is None:
        raise BenchError(f"it does not state its contract; add `contract = {CONTRACT_VERSION}`")
    check_contract(thing)
    if not isinstance(getattr(thing, "family", None), str):
        raise BenchError('it does not state its family, for instance `family = "metric-based"`')
    if not is_dataclass(thing.Config):
        raise BenchError("its Config is not a dataclass")
    _check_attributes(thing)
    option_types(thing)
    try:
        config = thing.Config()
    except Exception as error:  # a plugin may raise anything
        raise BenchError(
            f"its Config cannot be made: {type(error).__name__}: {error}; every option needs a "
            "default, and one that fits"
        ) from error
    try:
        as_json(config)
    except Exception as error:  # the values may be anything too
        raise BenchError(
            f"its Config cannot be stored: {error}; an option is a number, a text, a path, an "
            "enum, or a list of these"
        ) from error
    check_complete(thing)
    return thing


def _check_attributes(learner: type[Learner]) -> None:
    """Raises BenchError where what a class states of itself cannot be read."""
    from bench.api import Learner

    check_stated(learner, Learner)
    for name, example in (
        ("presets", '{"small": {"filters": 16}}'),
        ("protocol_defaults", '{"regression": {"encoder": "mlp"}}'),
    ):
        value = getattr(learner, name)
        if not (_is_table(value) and all(_is_table(options) for options in value.values())):
            raise BenchError(
                f"its {name} are no mapping of names to options, as {example}: "
                f"{reprlib.repr(value)}"
            )


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def option_types(learner: type[Learner]) -> dict[str, Any]:
    """The type of each option that a learner's Config has.

    Raises:
        BenchError: where an annotation cannot be resolved.
    """
    try:
        types = get_type_hints(learner.Config)
    except Exception as error:  # an annotation may be any expression
        raise BenchError(
            f"the types of its Config cannot be resolved: {type(error).__name__}: {error}; what "
            "they name is to be imported, and not under TYPE_CHECKING only"
        ) from error
    return {field.name: types[field.name] for field in fields(learner.Config) if field.init}


def default_of(option: Field[Any]) -> Any:
    """The value of an option that nobody has given."""
    return option.default if option.default_factory is MISSING else option.default_factory()
