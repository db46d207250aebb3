"""What a suite file says, and the reader that explains what is wrong with one."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from bench.errors import BenchError, unknown_name
from bench.protocols.settings import ALL, Table, TestedOn
from bench.registry.installed import protocol, protocols
from bench.registry.names import check_name
from bench.suites.paths import FOLDER, FOLDERS, from_folder, own_path
from bench.suites.toml_files import read_toml

IMAGE_KEYS = ("image_size", "rotations", "split")
"""Keys of suites whose protocol is about images."""


class Budget(Table):
    """How much meta-training. Exactly one of examples, minutes and updates limits it."""

    examples: int | None = Field(default=None, ge=1)
    """Examples seen in meta-training, as the protocol counts them: images, support and query; of
    memory probes sequences. The update that reaches the number is the last."""
    minutes: float | None = Field(default=None, gt=0)
    """Meta-training time; meta-validation and checkpoints do not count."""
    updates: int | None = Field(default=None, ge=1)
    validations: int = Field(default=20, ge=1)
    """Meta-validations, evenly spaced over the budget."""
    patience: int | None = Field(default=None, ge=1)
    """Early stopping: after so many meta-validations without a better one, but never at chance.
    None: never. It cuts off what schedules do to the end of the budget."""
    validation_images: int = Field(default=10_000, ge=1)
    """Images in one meta-validation; it has as many whole episodes as that gives. Of memory probes
    time steps."""
    test_episodes: int | None = Field(default=None, ge=2)
    """Answers the first part of the meta-test bank only."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        limits = [self.examples, self.minutes, self.updates]
        if sum(limit is not None for limit in limits) != 1:
            raise ValueError("a budget has exactly one of examples, minutes and updates")
        return self


class Budgets(Table):
    """The presets of a suite."""

    smoke: Budget
    standard: Budget


class Rotations(Table):
    """Whether turned classes count as classes of their own."""

    train: bool = False
    test: bool = False
    """In meta-validation and meta-test."""


class MetaTest(TestedOn):
    """The frozen bank, and on which data it is where a setting does not say it."""

    episodes: int = Field(default=1000, ge=2)
    seed: int = Field(default=0, ge=0)


class Fractions(Table):
    """A seeded split of a folder's classes."""

    train: float = Field(gt=0, lt=1)
    val: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(
                f"train, val and test are fractions of the classes, and sum to 1, not {total:g}"
            )
        return self

    def __str__(self) -> str:
        return f"{self.train:g}/{self.val:g}/{self.test:g} of the classes, seed {self.seed}"


class Suite(Table):
    """A suite: what is learned from what, how it is asked, and at which cost."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: int = Field(ge=1)
    title: str
    description: str
    dataset: str
    """An installed dataset, ``folder:PATH``, a folder of images by class, or ``arrays:PATH``, an
    ``.npz`` file. `read_suite` makes paths absolute; those of a file are relative to it."""
    image_size: int = Field(default=0, ge=8, le=256)
    split: Annotated[
        Annotated[str, Tag("name")] | Annotated[Fractions, Tag("fractions")],
        Discriminator(lambda given: "fractions" if isinstance(given, dict | Fractions) else "name"),
    ] = ""
    """The name of one of the dataset's splits; of one's own classes fractions, the path of a list,
    or ``folders``."""
    protocol: str
    """An installed one. It decides what settings have, and may add keys: `suite_of`."""
    rotations: Rotations = Rotations()
    episodes_per_update: int = Field(default=16, ge=1)
    """The meta-batch of learners that do not ask for another."""
    timing_batch: int = Field(default=16, ge=1)
    """B of the throughput measurement."""
    test: MetaTest = MetaTest()
    settings: dict[str, Any] = Field(min_length=1)
    """By name, of the protocol's own kind."""
    budgets: Budgets
    _file: Path | None = PrivateAttr(default=None)

    @property
    def own(self) -> tuple[str, Path] | None:
        """The prefix and the path of data of one's own, a folder or an ``.npz`` file; None: an
        installed dataset."""
        return own_path(self.dataset)

    def tested_on(self, setting: str) -> TestedOn | None:
        """The other data that a setting tests on; None: it is that of meta-training."""
        asked: TestedOn = self.settings[setting]
        for given in (asked, self.test):
            if given.dataset is not None:
                return given
        return None

    @property
    def transfers(self) -> bool:
        """Whether a setting tests on other data than meta-training is on."""
        return any(self.tested_on(name) is not None for name in self.settings)

    @property
    def file(self) -> Path:
        """What it was read from; its name where it was made in Python."""
        return self._file or Path(self.name)

    @contextmanager
    def at(self, key: str = "") -> Iterator[None]:
        """Gives a `BenchError` that is raised inside the suite's file and a key."""
        try:
            yield
        except BenchError as error:
            where = f"{self.file}: {key}" if key else str(self.file)
            raise BenchError(f"{where}: {error}") from error

    @field_validator("settings")
    @classmethod
    def _settings_have_names(cls, settings: dict[str, Any]) -> dict[str, Any]:
        for name in settings:
            with _as_value_error(f"{reprlib.repr(name)[1:-1]}: "):
                check_name(name)
        return settings

    @field_validator("name")
    @classmethod
    def _name_is_a_name(cls, name: str) -> str:
        with _as_value_error():
            check_name(name)
        return name

    @model_validator(mode="after")
    def _data_fits_protocol(self) -> Self:
        asked = protocol(self.protocol)
        for key in IMAGE_KEYS:
            given = key in self.model_fields_set
            if key in asked.needs and not given:
                raise ValueError(f"{key}: missing")
            if given and key not in (*asked.needs, *asked.allows):
                raise ValueError(f"{key}: the {self.protocol} protocol has none")
        return self

    @model_validator(mode="after")
    def _transfer_fits_protocol(self) -> Self:
        tables = {"test": self.test, **{f"settings.{k}": v for k, v in self.settings.items()}}
        for key, table in tables.items():
            if not isinstance(table, TestedOn) or table.dataset is None:
                continue
            if not protocol(self.protocol).transfers:
                raise ValueError(
                    f"{key}.dataset: the {self.protocol} protocol tests on the data that it trains "
                    "on, and on no other"
                )
            if own_path(table.dataset) is not None and table.split != ALL:
                raise ValueError(
                    f"{key}.split: of one's own data that is only tested on, all classes are asked "
                    f"about; leave the key out, or put the classes that you want into a folder"
                )
        return self

    @model_validator(mode="after")
    def _split_fits_data(self) -> Self:
        if self.own is None and isinstance(self.split, Fractions):
            raise ValueError(
                f"split: fractions are for a folder of images, and {self.dataset!r} is none; name "
                f'one of its splits, or write dataset = "{FOLDER}PATH"'
            )
        asked = protocol(self.protocol)
        if self.own is not None and not asked.folders:
            raise ValueError(
                f"dataset: the {self.protocol} protocol is about {asked.about}, not images"
            )
        if self.own is not None and self.split == "":
            raise ValueError(f'split: fractions, "{FOLDERS}" or the path of a list, got nothing')
        return self


@contextmanager
def _as_value_error(before: str = "") -> Iterator[None]:
    """Pydantic takes a ValueError for a mistake in the file."""
    try:
        yield
    except BenchError as error:
        raise ValueError(f"{before}{error}") from error


def suite_of(name: str) -> type[Suite]:
    """The model of a suite of some protocol: with its keys, and with settings of its kind.

    Raises:
        BenchError: the protocol is not installed, or cannot be used.
    """
    asked = protocol(name)
    if taken := sorted(set(asked.keys.model_fields) & set(Suite.model_fields)):
        raise BenchError(f"the {name} protocol adds keys that suites have: {', '.join(taken)}")
    keys: Any = asked.keys
    setting: Any = asked.setting
    return _suite_with(keys, setting)


@cache
def _suite_with(keys: Any, setting: Any) -> type[Suite]:
    built: Any = create_model(
        "Suite", __base__=(Suite, keys), settings=(dict[str, setting], Field(min_length=1))
    )
    model: type[Suite] = built
    return model


def read_suite(path: Path) -> Suite:
    """Reads a suite file.

    Raises:
        BenchError: with the line of a syntax error, or each key that is wrong and why.
    """
    content = read_toml(path)
    try:
        content = from_folder(path.absolute().parent, content)
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from error
    kind = Suite
    if isinstance(named := content.get("protocol"), str):
        try:
            kind = suite_of(named)
        except BenchError as error:
            why = str(error).replace("\n", " ")
            raise BenchError(f"{path} is not a valid suite:\n  protocol: {why}") from error
    try:
        suite = kind.model_validate(content)
    except ValidationError as error:
        mistakes = "\n".join(f"  {_mistake(detail, content, kind)}" for detail in error.errors())
        raise BenchError(f"{path} is not a valid suite:\n{mistakes}") from error
    suite._file = path
    return suite


def _mistake(detail: Any, content: dict[str, Any], kind: type[Suite]) -> str:
    """One line for one pydantic error: the key, what is wrong, the nearest valid key."""
    location = [str(part) for part in detail["loc"]]
    if location[:1] == ["split"]:
        del location[1:2]  # the tag of the union is no key
    key, message = ".".join(location), detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        if "protocol" in content and _of_another_protocol(location):
            return f"{key}: the {content['protocol']} protocol has none"
        return f"{key}: unknown key" + _nearest(location[-1], _keys_beside(location, kind, content))
    if detail["type"] == "missing":
        return f"{key}: missing" + (" (the file is empty)" if not content else "")
    if key == "settings" and detail["type"] == "value_error":
        return f"{key}.{message}"
    # what was given helps, unless it is a whole table
    given = detail["input"]
    got = "" if isinstance(given, dict) else f", got {reprlib.repr(given)}"
    if detail["type"] == "value_error" and "got" in message:
        got = ""  # it says so itself
    return f"{key}: {message}{got}" if key else message


def _of_another_protocol(location: list[str]) -> bool:
    """Whether a key that its protocol does not have is one of another's."""
    known: set[str] = set()
    for other in protocols().things.values():
        if len(location) == 1:
            known |= set(other.keys.model_fields)
        elif location[0] == "settings":
            known |= set(other.setting.model_fields)
    return location[-1] in known


def _keys_beside(location: list[str], kind: type[Suite], content: dict[str, Any]) -> list[str]:
    """The valid keys of the table that an unknown key stands in."""
    if len(location) == 1:
        return list(kind.model_fields)
    if location[0] == "settings":
        return list(protocol(content["protocol"]).setting.model_fields)
    tables: dict[str, type[Table]] = {
        "rotations": Rotations,
        "split": Fractions,
        "test": MetaTest,
        "budgets": Budgets if len(location) == 2 else Budget,
    }
    return list(tables.get(location[0], kind).model_fields)


def _nearest(word: str, known: list[str]) -> str:
    return "; " + str(unknown_name("key", word, known)).partition("; ")[2]
