"""Targets of text that a person writes: suites, learners, values of options."""

from __future__ import annotations

import contextlib
import enum
import importlib
import json
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, Literal
from unittest.mock import patch

from bench.api import Learner, TaskSpec, option
from bench.cli.run import DURATION, SIZE, Seeds
from bench.data.class_splits import split_by_list
from bench.planning.plan import read_budget
from bench.registry.contestants import Contestant, contestants
from bench.registry.discovery import Found
from bench.running.request import Request
from bench.suites import FOLDER
from bench.suites.schema import read_suite
from bench.worker.devices import Device
from tests.fuzz.mutations import ODD_BYTES, as_toml, mutate_bytes, mutate_tree
from tests.fuzz.target import Target

SUITES = [path.read_bytes() for path in sorted(FOLDER.glob("*.toml"))]
FOLDER_SUITE = b"""\
name = "own"
version = 1
title = "Own"
description = "Of one's own."
dataset = "folder:images"
image_size = 16
split = { train = 0.6, val = 0.2, test = 0.2, seed = 3 }
protocol = "kshot"
rotations = { train = true }
test = { episodes = 60, seed = 7 }
settings = { 5way1shot = { ways = 5, shots = 1, queries = 3 } }
budgets = { smoke = { examples = 100 }, standard = { minutes = 1.5, patience = 3 } }
"""


@cache
def scratch() -> Path:
    """A folder for files, in memory where there is such a place; removed with the process."""
    memory = Path("/dev/shm")
    holder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    scratch.holder = holder  # type: ignore[attr-defined] # kept as long as the function
    return Path(holder.name)


def written(name: str, content: bytes) -> Path:
    """A file in the scratch folder."""
    path = scratch() / name
    path.write_bytes(content)
    return path


# -- suites ---------------------------------------------------------------------------------------


def read_suite_text(content: bytes) -> None:
    """A suite file, and what is asked of a suite that was read."""
    suite = read_suite(written("suite.toml", content))
    json.dumps(suite.model_dump(mode="json"), allow_nan=True)
    str(suite.split)


def mutate_suite(content: bytes, random: Random) -> bytes:
    """As a tree, where it is one, so that most of it stays valid."""
    try:
        return as_toml(mutate_tree(tomllib.loads(content.decode()), random)).encode(
            "utf-8", "surrogatepass"
        )
    except (ValueError, TypeError, AttributeError):
        return mutate_bytes(content, random)


# -- learners -------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Optioned(Learner):
    """Options of every type."""

    family = "metric-based"
    contract = 1
    presets = {"wide": {"width": 64}, "none": {}}

    @dataclass(frozen=True)
    class Config:
        width: int = option(16, "int")
        lr: float = option(1e-2, "float")
        shows: bool = option(True, "bool")
        encoder: str = option("conv4", "str")
        kind: Literal["a", "b"] = option("a", "Literal")
        most: int | None = option(None, "int or None")
        sizes: tuple[int, ...] = option((1, 2), "tuple")
        names: tuple[str, ...] = option((), "tuple of texts")
        pair: tuple[int, float] = option((1, 0.5), "pair")
        colour: Colour = option(Colour.RED, "Enum")
        either: int | str = option(1, "int or str")


LEARNERS: Found[type[Learner]] = Found(
    "learner", {"maml": Optioned, "maml-l2l": Optioned}, {"maml": "p 1", "maml-l2l": "p 1"}, []
)
SPECS = [
    b"maml", b"m*", b"maml[width=8]", b"maml[wide,lr=1e-3]", b"maml[width=1,2,lr=0.1,0.2]",
    b"maml[most=none]", b"maml[encoder=conv4,kind=b,shows=false]", b"maml[sizes=1,2,3]",
    b"maml[sizes=(1,2)]", b"maml[names=a,b,pair=(1,2.5)]", b"maml[colour=blue,either=x]",
    b"maml[lr=inf]", b"maml[lr=nan]", b'maml[encoder="a,b"]', b" maml [ width = 3 ] ",
    b"maml[sizes=[1,2]]", b"maml[none]", b"maml-l2l[width=5]",
]  # fmt: skip


def read_spec(content: bytes) -> None:
    """A learner's text, its label, and the label read again."""
    text = as_text(content)
    with no_module() if ":" in text else contextlib.nullcontext():
        for chosen in contestants([text], LEARNERS):
            json.dumps(chosen.options, default=str)
            again = contestants([chosen.label], LEARNERS)
            assert [other.label for other in again] == [chosen.label], chosen.label


@contextlib.contextmanager
def no_module() -> Iterator[None]:
    """``c:Class`` is a class of a module: whatever is called so here is not to be run."""
    absent = ModuleNotFoundError("not while fuzzing")
    with contextlib.chdir(scratch()), patch.object(importlib, "import_module", side_effect=absent):
        yield


# -- values of options ----------------------------------------------------------------------------


def as_text(content: bytes) -> str:
    """As a command line gives it: bytes that are no UTF-8 become surrogates."""
    return content.decode("utf-8", "surrogateescape")


def read_value(content: bytes) -> None:
    """``name value``: one of the values of `bench run`."""
    name, _, text = as_text(content).partition(" ")
    reader = READERS.get(name)
    if reader is not None:
        reader(text)


@cache
def some_suite() -> Any:
    return read_suite(FOLDER / "glyphs-5way.toml")


@cache
def some_learner() -> Contestant:
    return contestants(["maml"], LEARNERS)[0]


def _budget(text: str) -> None:
    task = TaskSpec((1, 28, 28), 5)
    if (budget := read_budget(text, some_suite(), some_learner(), task)) is not None:
        assert (budget.examples or budget.minutes or budget.updates or 0) > 0


def _request(name: str, text: str) -> None:
    Request(**{"suites": ["x"], name: text})


READERS: dict[str, Callable[[str], Any]] = {
    "budget": _budget,
    "seeds": lambda text: Request(suites=["x"], seeds=Seeds().convert(text, None, None)),
    "timeout": lambda text: Request(suites=["x"], timeout=DURATION.convert(text, None, None)),
    "memory": lambda text: Request(suites=["x"], memory=int(SIZE.convert(text, None, None))),
    "device": Device.parse,
    "devices": lambda text: Request(suites=["x"], devices=text.split(",")),
    "precision": partial(_request, "precision"),
    "results": partial(_request, "results"),
    "data_dir": partial(_request, "data_dir"),
}
VALUES = [
    b"budget smoke", b"budget 2_000_000examples", b"budget 10min", b"budget 1.5 min",
    b"budget paper", b"seeds 0-2", b"seeds 0,3,7", b"seeds 5", b"timeout 90s", b"timeout 2h",
    b"timeout 10min", b"timeout 1.5h", b"memory 4GiB", b"memory 500MB", b"memory 7",
    b"device cpu", b"device cpu/1", b"device cuda:1", b"device mps", b"devices cpu,cpu/1",
    b"precision bf16", b"results results", b"data_dir data",
]  # fmt: skip
ODD_VALUES = (*ODD_BYTES, "٣".encode(), "²".encode(), b"0-99999999999", b"_", b"e5", b"0" * 5000)


def mutate_value(content: bytes, random: Random) -> bytes:
    """The name stays."""
    name, _, text = content.partition(b" ")
    return name + b" " + mutate_bytes(text, random, ODD_VALUES)


# -- lists of classes -----------------------------------------------------------------------------

CLASSES = ["a", "b", "c", "d e", "é"]
LISTS = [
    b"class,split\na,train\nb,val\nc,test\n",
    '\ufeffclass,split\r\n"d e",train\r\né,val\r\n\r\na,test'.encode(),
]


def read_list(content: bytes) -> None:
    """A CSV file of classes."""
    split_by_list(CLASSES, written("classes.csv", content))


TARGETS = [
    Target("suites-text", read_suite_text, mutate_bytes, [*SUITES, FOLDER_SUITE], 40),
    Target("suites-tree", read_suite_text, mutate_suite, [*SUITES, FOLDER_SUITE], 30),
    Target("learners", read_spec, mutate_bytes, SPECS, 200),
    Target("values", read_value, mutate_value, VALUES, 300),
    Target("class-lists", read_list, mutate_bytes, LISTS, 150),
]
