"""``'maml[inner_steps=1,5]'``: grammar, products, presets, types and what is told of mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from bench.api import Learner, option
from bench.errors import BenchError
from bench.registry.contestants import configure, contestants
from bench.registry.discovery import Found


class Toy(Learner):
    family, contract = "test", 1
    presets: ClassVar = {"paper": {"lr": 0.5, "steps": 60}, "plain": {}}

    @dataclass(frozen=True)
    class Config:
        steps: int = option(1, "inner steps")
        lr: float = option(0.1, "learning rate")
        first_order: bool = option(False, "no second derivatives")
        encoder: Literal["conv4", "pixels"] = option("conv4", "encoder")
        clip: float | None = option(None, "norm")
        rate: float | None = option(0.5, "dropout")
        word: str = option("one", "any")

        def __post_init__(self) -> None:
            if self.steps < 0:
                raise ValueError(f"steps must not be negative, got {self.steps}")


class Bare(Learner):
    family, contract = "test", 1


INSTALLED: Found[type[Learner]] = Found(
    "learner", {"toy": Toy, "tonic": Bare, "bare": Bare}, {}, []
)


def labels(*specs: str) -> list[str]:
    return [contestant.label for contestant in contestants(specs, INSTALLED)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("toy", ["toy"]),
        ("toy[]", ["toy"]),
        (" toy [ steps = 5 ] ", ["toy[steps=5]"]),
        ("toy[steps=1,5]", ["toy", "toy[steps=5]"]),  # the default needs no telling
        ("toy[steps=2,3,lr=1,0.5]",
         ["toy[steps=2,lr=1.0]", "toy[steps=2,lr=0.5]",
          "toy[steps=3,lr=1.0]", "toy[steps=3,lr=0.5]"]),
        ("toy[lr=1e-3]", ["toy[lr=0.001]"]),
        ("toy[first_order=true]", ["toy[first_order=True]"]),
        ("toy[encoder=pixels,conv4]", ["toy[encoder=pixels]", "toy"]),
        ("toy[clip=2]", ["toy[clip=2.0]"]),
        ("toy[clip=none,None,2]", ["toy", "toy[clip=2.0]"]),
        ("toy[rate=none]", ["toy[rate=None]"]),
        ("toy[rate=None]", ["toy[rate=None]"]),  # a label can be given again
        ("toy[word=none]", ["toy[word=none]"]),  # its type has no None
        ("toy[paper]", ["toy[steps=60,lr=0.5]"]),
        ("toy[paper,steps=5,6]", ["toy[steps=5,lr=0.5]", "toy[steps=6,lr=0.5]"]),
        ("toy[plain]", ["toy"]),
        ("to*", ["tonic", "toy"]),
        ("bare[]", ["bare"]),
    ],
)  # fmt: skip
def test_specs(spec, expected):
    assert labels(spec) == expected


def test_nothing_asked_for_is_everything_that_is_installed():
    assert labels() == ["bare", "tonic", "toy"]


def test_each_configuration_comes_once_in_the_order_given():
    assert labels("toy[steps=5]", "toy[lr=0.1]", "toy", "toy[steps=5,5]") == ["toy[steps=5]", "toy"]


def test_values_have_the_type_that_the_config_states():
    [contestant] = contestants(["toy[steps=5,lr=1,first_order=1,clip=3]"], INSTALLED)
    assert contestant.options == {
        "steps": 5, "lr": 1.0, "first_order": True, "encoder": "conv4", "clip": 3.0, "rate": 0.5,
        "word": "one",
    }  # fmt: skip
    assert isinstance(contestant.options["lr"], float)
    assert contestant.options["first_order"] is True
    assert contestant.name == "toy"
    assert contestant.learner is Toy


def test_stored_options_give_the_same_contestant_again():
    [contestant] = contestants(["toy[paper,first_order=yes]"], INSTALLED)
    assert configure("toy", Toy, contestant.options) == contestant


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("tou", "no learner is called 'tou'; did you mean 'toy'"),
        ("tx*", "no learner is called 'tx*'"),
        ("toy[step=1]", "no option of toy is called 'step'; did you mean 'steps'"),
        ("bare[x=1]", "no option of bare is called 'x'; none is known"),
        ("toy[papr]", "no preset of toy is called 'papr'; did you mean 'paper'"),
        ("bare[paper]", "no preset of bare is called 'paper'; none is known"),
        ("toy[steps=few]", "toy[steps=few]: Input should be a valid integer"),
        ("toy[steps=1.5]", "toy[steps=1.5]: Input should be a valid integer"),
        ("toy[steps=]", "toy[steps=]: Input should be a valid integer"),
        ("toy[steps=none]", "toy[steps=none]: Input should be a valid integer"),
        ("toy[clip=nine]", "toy[clip=nine]: Input should be a valid number"),
        ("toy[encoder=conv5]", "toy[encoder=conv5]: Input should be 'conv4' or 'pixels'"),
        ("toy[steps=1,paper]", "toy[steps=paper]: Input should be a valid integer"),
        ("toy[steps=-1]", "toy: steps must not be negative, got -1"),
        ("toy[steps=1", "cannot read the learner 'toy[steps=1'; write NAME or"),
        ("toy steps=1", "cannot read the learner"),
        ("", "cannot read the learner ''"),
    ],
)
def test_mistakes_are_told(spec, said):
    with pytest.raises(BenchError) as caught:
        contestants([spec], INSTALLED)
    assert str(caught.value).startswith(said)


class Unresolved(Learner):
    family, contract = "test", 1

    @dataclass(frozen=True)
    class Config:
        schedule: Schedule = option(None, "imported for the type checker only")  # noqa: F821


def test_types_that_cannot_be_resolved_are_told_with_the_learner():
    with pytest.raises(
        BenchError,
        match=r"^unresolved cannot be used: the types of its Config .*"
        "NameError: name 'Schedule' is not defined; .* to be imported",
    ):
        configure("unresolved", Unresolved, {})


class Opaque:
    pass


class Foreign(Learner):
    family, contract = "test", 1

    @dataclass(frozen=True)
    class Config:
        opaque: Opaque | None = option(None, "no text makes one")


def test_a_type_that_no_text_makes_is_told_when_it_is_asked_for():
    assert configure("foreign", Foreign, {}).name == "foreign"
    with pytest.raises(BenchError, match=r"^foreign\[opaque=1\]: the option's type, .*Opaque"):
        configure("foreign", Foreign, {"opaque": "1"})
