"""Options as text and as JSON: both give back what they were made of, whatever the type."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from bench.api import Learner, option
from bench.errors import BenchError
from bench.planning.jobs import Training
from bench.registry.contestants import configure, contestants
from bench.registry.discovery import Found
from bench.registry.option_values import as_json, as_text, fit
from bench.store.options import without_paths


class Pool(enum.Enum):
    MEAN = "mean"
    MAX = "max, or so"
    NONE = "none"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Betas(NamedTuple):
    first: float
    second: float


TEXT = st.text(max_size=8) | st.sampled_from(
    ["", " ", "none", "None", "true", "1", "1.5", "inf", "a,b", "(1)", '"', "'", "a=b", "é", "\\"]
)
FLOAT = st.floats()
INT = st.integers()

KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (bool, st.booleans()),
    (int, INT),
    (float, FLOAT),
    (str, TEXT),
    (Path, TEXT.filter(lambda text: "\0" not in text).map(Path)),
    (int | None, INT | st.none()),
    (float | None, FLOAT | st.none()),
    (str | None, TEXT | st.none()),
    (bool | str, st.booleans() | TEXT),
    (int | str | None, INT | TEXT | st.none()),
    (float | str, FLOAT | TEXT),
    (Literal["conv4", "none", 4, 2.5, None, True], st.sampled_from(["conv4", "none", 4, None])),
    (Literal["1", 1], st.sampled_from(["1", 1])),
    (Pool, st.sampled_from(Pool)),
    (Level, st.sampled_from(Level)),
    (Pool | None, st.sampled_from([*Pool, None])),
    (Betas, st.builds(Betas, FLOAT, FLOAT)),
    (Annotated[int, Field(ge=0)], st.integers(min_value=0)),
    (tuple[int, ...], st.lists(INT, max_size=3).map(tuple)),
    (tuple[int, str], st.tuples(INT, TEXT)),
    (tuple[str, ...] | None, st.lists(TEXT, max_size=3).map(tuple) | st.none()),
    (tuple[int, ...] | int, st.lists(INT, max_size=3).map(tuple) | INT),
    (list[str | None], st.lists(TEXT | st.none(), max_size=3)),
    (list[float] | tuple[float, ...], st.lists(FLOAT, max_size=2) | st.tuples(FLOAT)),
    (tuple[tuple[Pool | int, ...], ...],
     st.lists(st.lists(st.sampled_from(Pool) | INT, max_size=3).map(tuple), max_size=3).map(tuple)),
    (frozenset[str], st.frozensets(TEXT, max_size=3)),
]  # fmt: skip


def learner_of(type_: Any, default: Any) -> type[Learner]:
    config = make_dataclass(
        "Config", [("first", type_, option(default, "any")), ("second", int, option(1, "any"))]
    )
    return type("Made", (Learner,), {"family": "test", "contract": 1, "Config": config})


@pytest.mark.parametrize(("type_", "values"), KINDS, ids=[str(type_) for type_, _ in KINDS])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_label_gives_back_the_contestant_and_so_does_json(type_, values, data):
    default, value = data.draw(values), data.draw(values)
    learner = learner_of(type_, default)
    installed: Found[type[Learner]] = Found("learner", {"made": learner}, {}, [])
    made = configure("made", learner, {"first": value, "second": 2})
    [again] = contestants([made.label], installed)
    assert again.label == made.label
    assert again.options == made.options
    assert type(again.config.first) is type(value)
    stored = json.loads(json.dumps(made.options, allow_nan=False))
    assert configure("made", learner, stored).options == made.options


def test_values_that_differ_have_json_of_their_own():
    numbers = [math.inf, -math.inf, math.nan, None, "inf", "nan", 0.0, -0.0, 1, "1", True, "True"]
    told = {json.dumps(as_json(number)) for number in numbers}
    assert len(told) == len(numbers)


def test_infinities_and_nan_are_trainings_of_their_own(make_training):
    values = [math.inf, -math.inf, math.nan, None, 0.0]
    ids = {make_training(config={"clip": as_json(value)}).id for value in values}
    assert len(ids) == len(values)


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (1e-3, float, "0.001"),
        (True, bool, "True"),
        (None, float | None, "None"),
        ("none", str, "none"),
        ("none", str | None, '"none"'),
        ("5", str | int, '"5"'),
        ("a b", str, "a b"),
        ("a,b", str, '"a,b"'),
        ("", str, '""'),
        ("a\tb", str, r'"a\tb"'),
        ((64, 64), tuple[int, ...], "(64,64)"),
        ([64], list[int], "[64]"),
        ((), tuple[int, ...], "()"),
        (((1, 2), (3,)), tuple[tuple[int, ...], ...], "((1,2),(3))"),
        (("a,b", "c"), tuple[str, ...], '("a,b",c)'),
        (Pool.MEAN, Pool, "mean"),
        (Pool.MAX, Pool, '"max, or so"'),
        (Level.HIGH, Level, "2"),
        (Path("a/b"), Path, "a/b"),
    ],
)
def test_what_is_written(value, type_, text):
    assert as_text(value, type_) == text


class Widths(Learner):
    family, contract = "test", 1
    presets: ClassVar = {"deep": {"widths": (32, 32, 32)}}

    @dataclass(frozen=True)
    class Config:
        widths: tuple[int, ...] = option((16, 16), "widths")
        sizes: list[int] = option([3], "sizes")
        pool: Pool = option(Pool.MEAN, "pool")
        rate: float = option(1.0, "rate")
        clip: float | None = option(None, "clip")
        word: str = option("x", "word")


INSTALLED: Found[type[Learner]] = Found("learner", {"widths": Widths}, {}, [])


@pytest.mark.parametrize(
    ("spec", "labels"),
    [
        ("widths[widths=(32,32)]", ["widths[widths=(32,32)]"]),
        ("widths[widths=[32,32]]", ["widths[widths=(32,32)]"]),
        ("widths[widths=(16,16),(8,),()]", ["widths", "widths[widths=(8)]", "widths[widths=()]"]),
        ("widths[deep]", ["widths[widths=(32,32,32)]"]),
        ("widths[sizes=(3),(4)]", ["widths", "widths[sizes=[4]]"]),
        ("widths[pool=MAX,none]", ['widths[pool="max, or so"]', "widths[pool=none]"]),
        ("widths[clip=inf,nan,-inf]",
         ["widths[clip=inf]", "widths[clip=nan]", "widths[clip=-inf]"]),
        ("widths[word=\"a,b\",'c=d']", ['widths[word="a,b"]', 'widths[word="c=d"]']),
    ],
)  # fmt: skip
def test_specs(spec, labels):
    assert [contestant.label for contestant in contestants([spec], INSTALLED)] == labels


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("widths[widths=32]", "widths[widths=32]: a list belongs here, in parentheses: (32,...)"),
        ("widths[widths=(a)]", "widths[widths=(a)]: Input should be a valid integer"),
        ("widths[word=(a)]", "widths[word=(a)]: a list is given where one value belongs"),
        ("widths[pool=mode]", "widths[pool=mode]: Input should be 'mean'"),
        ("widths[rate=1e999]", "widths[rate=1e999]: the number is too large"),
        (f"widths[rate={'9' * 400}]", "widths[rate=999"),
        (f"widths[clip={'9' * 400}]", "widths[clip=999"),
        (f"widths[rate={'9' * 4400}]", "widths[rate=999"),
        (f"widths[widths=({'9' * 4400})]", "widths[widths=(999"),
        ("widths[word=\udcff]", "cannot read the learner"),
        (r'widths[word="\ud800"]', """cannot read '"\\\\ud800"'"""),
    ],
)
def test_mistakes_are_told_in_short(spec, said):
    with pytest.raises(BenchError) as caught:
        contestants([spec], INSTALLED)
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 400


# -- files ----------------------------------------------------------------------------------------


class Backbone(Learner):
    family, contract = "test", 1

    @dataclass(frozen=True)
    class Config:
        weights: str | None = option(None, "weights to start from", file=True)
        more: tuple[Path, ...] = option((), "others")
        log: Path = option(Path("log"), "where to write", file=False)


def training_of(make_training, **options: Any) -> Training:
    return make_training(config=configure("backbone", Backbone, options).options)


def test_the_content_of_a_file_is_the_identity_and_its_path_is_not(make_training, tmp_path):
    one, other = tmp_path / "one.pt", tmp_path / "other.pt"
    one.write_bytes(b"zeros")
    first = training_of(make_training, weights=str(one))
    assert first.config["weights"]["file"] == str(one)
    other.write_bytes(b"zeros")
    assert training_of(make_training, weights=str(other)).id == first.id
    one.write_bytes(b"others")
    assert training_of(make_training, weights=str(one)).id != first.id
    assert training_of(make_training).id != first.id


def test_a_path_to_a_file_is_told_by_content_where_nothing_is_declared(make_training, tmp_path):
    one = tmp_path / "one.pt"
    absent = training_of(make_training, more=[one])
    one.write_bytes(b"zeros")
    there = training_of(make_training, more=[one])
    assert there.id != absent.id
    one.write_bytes(b"others")
    assert len({absent.id, there.id, training_of(make_training, more=[one]).id}) == 3


def test_a_path_that_is_declared_to_be_no_file_is_text(make_training, tmp_path):
    log = tmp_path / "log"
    before = training_of(make_training, log=log)
    log.write_bytes(b"written")
    assert training_of(make_training, log=log).id == before.id
    assert before.config["log"] == str(log)


@pytest.mark.parametrize("name", ["gone.pt", "", "\0", "x" * 300, "."])
def test_a_declared_file_that_cannot_be_read_is_told(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match=r"^backbone, option weights: cannot read the file"):
        configure("backbone", Backbone, {"weights": name})


def test_stored_options_name_the_file_that_was_planned_with(tmp_path):
    one = tmp_path / "one.pt"
    one.write_bytes(b"zeros")
    stored = configure("backbone", Backbone, {"weights": str(one)}).options
    assert configure("backbone", Backbone, stored).config.weights == str(one)
    one.write_bytes(b"others")
    with pytest.raises(BenchError, match="has changed: it was"):
        configure("backbone", Backbone, stored)
    one.unlink()
    with pytest.raises(BenchError, match="cannot read the file"):
        configure("backbone", Backbone, stored)


def test_without_paths_leaves_all_else():
    config = {"a": [1, {"float": "inf"}], "b": {"file": "x", "sha256": "y"}, "c": "file"}
    assert without_paths(config) == config | {"b": {"sha256": "y"}}


def test_fit_takes_values_as_they_are():
    assert fit((1, 2), tuple[int, ...]) == (1, 2)
    assert fit(Pool.MEAN, Pool) is Pool.MEAN
    assert math.isnan(fit({"float": "nan"}, float))


def test_unions_that_differ_in_their_order_are_read_in_their_own():
    assert type(fit("1", int | float)) is int
    assert type(fit("1", float | int)) is float
