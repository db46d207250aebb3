"""Every function of the harness that is called in a process apart can be asked and can answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.apart.wire import adapters, decode, encode, named, place_of
from bench.cli.check_data import check_data
from bench.cli.check_learner import check_learners
from bench.cli.describe import described
from bench.cli.kinds import kind_of
from bench.cli.listed import everything, listed
from bench.registry.installed import installed_sources
from bench.running.estimate import seconds_of
from bench.running.prepare import plan_run

ASKED = (
    check_data, check_learners, described, everything, installed_sources, kind_of, listed, plan_run,
    seconds_of,
)  # fmt: skip


@pytest.mark.parametrize("function", ASKED, ids=lambda function: function.__name__)
def test_its_types_can_be_written_as_json(function: Callable[..., Any]) -> None:
    assert "return" in adapters(function)
    assert named(place_of(function)) is function


def test_an_argument_is_read_back_as_it_was() -> None:
    names = ["maml", "café"]
    assert decode(installed_sources, "names", encode(installed_sources, "names", names)) == names
