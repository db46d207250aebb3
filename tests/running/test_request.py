"""What a request takes, and what it says of what it does not take."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.cli.run import run as command
from bench.errors import BenchError
from bench.running.prepare import prepare
from bench.running.request import Request


def request(**asked: Any) -> Request:
    return Request(**{"suites": ["glyphs-5way"], **asked})


WRONG = [
    # what is asked for, what the message says
    (
        {"suites": "glyphs-5way"},
        r'suites: .* list of names, as suites=\["glyphs-5way"\], got \'gly',
    ),
    ({"suites": Path("a.toml")}, "suites: expected a list of names"),
    ({"suites": []}, r'suites: the list is empty; expected one or more, as suites=\["glyphs'),
    ({"suites": None}, "suites: .* got None"),
    ({"suites": ["glyphs-5way", 5]}, r"suites: .* got \['glyphs-5way', 5\]"),
    ({"suites": [""]}, "suites: expected"),
    ({"suites": 5}, "suites: .* got 5"),
    ({"suites": b"glyphs"}, "suites: .* got b'glyphs'"),
    ({"learners": "maml"}, r'learners: .* as learners=\["maml"\], got \'maml\''),
    ({"learners": [Path("maml")]}, "learners: expected"),
    ({"learners": None}, "learners: .* got None"),
    ({"learners": [Path]}, r"learners: a class is named by where it lies.* got the class pathlib"),
    ({"seeds": 3}, r"seeds: expected a list of whole numbers of 0 or more, as seeds=\[0, 1"),
    ({"seeds": "0-2"}, "seeds: .* got '0-2'"),
    ({"seeds": []}, "seeds: the list is empty"),
    ({"seeds": [-1]}, "seeds: .* got -1"),
    ({"seeds": [1.0]}, "seeds: .* got 1.0"),
    ({"seeds": [True]}, "seeds: .* got True"),
    ({"seeds": ["0"]}, "seeds: .* got '0'"),
    ({"seeds": [2**63]}, "seeds: 9223372036854775808 is too large"),
    ({"seeds": [10**4400]}, "seeds: a number of 14617 bits is too large"),
    ({"jobs": 10**400}, r"jobs: 1000.*000 is too large; the largest is 4096"),
    ({"jobs": -(10**4400)}, "jobs: expected a whole number of 1 or more, got a number of 14617"),
    ({"threads": 10**10}, "threads: 10000000000 is too large"),
    ({"memory": 10**400}, "memory: 1000.*000 is too large"),
    ({"timeout": 10**400}, "timeout: 1000.*000 s is too large; the largest is 1000000000 s"),
    ({"devices": "cpu"}, r'devices: .* as devices=\["cpu"\], got \'cpu\''),
    ({"devices": []}, "devices: the list is empty"),
    ({"budget": 1000}, "budget: expected a text, as budget='standard', got 1000"),
    ({"budget": ""}, "budget: expected"),
    ({"precision": "fp16"}, "precision: expected 'fp32' or 'bf16', got 'fp16'"),
    ({"precision": 32}, "precision: expected 'fp32' or 'bf16', got 32"),
    ({"data_dir": 3}, "data_dir: expected the path of a folder, got 3"),
    ({"data_dir": ""}, "data_dir: expected the path of a folder, got ''"),
    ({"results": None}, "results: expected the path of a folder, got None"),
    ({"results": "a\0b"}, "results: expected the path"),
    ({"executor": None}, "executor: expected a text"),
    ({"jobs": 0}, "jobs: expected a whole number of 1 or more, got 0"),
    ({"jobs": 1.5}, "jobs: .* got 1.5"),
    ({"jobs": "2"}, "jobs: .* got '2'"),
    ({"threads": 0}, "threads: expected a whole number of 1 or more, got 0"),
    ({"threads": 2, "devices": ["cpu/1"]}, "threads: 2 are asked for, and the device cpu/1 that"),
    ({"timeout": 0}, "timeout: expected a number of seconds above 0, got 0"),
    ({"timeout": float("nan")}, "timeout: .* got nan"),
    ({"timeout": "90s"}, "timeout: .* got '90s'"),
    ({"memory": 0.5}, "memory: expected a whole number of 1 or more, got 0.5"),
    ({"memory": "4GiB"}, "memory: .* got '4GiB'"),
    ({"rerun": 1}, "rerun: expected True or False, got 1"),
    ({"retry_failed": "no"}, "retry_failed: expected True or False, got 'no'"),
    ({"store": "answers"}, r'store: expected a list of names, as store=\["answers"\]'),
    ({"store": ["weights"]}, 'store: expected a list of "answers", or an empty one'),
    ({"tracker": 3}, "tracker: expected a text, as tracker='tensorboard', got 3"),
    ({"tracker": "tensorbord"}, r"(?s)no tracker is called 'tensorbord'.*bench\.trackers"),
]


@pytest.mark.parametrize(
    ("asked", "message"), WRONG, ids=[f"{list(asked)} {said[:50]}" for asked, said in WRONG]
)
def test_a_wrong_value_is_told_with_what_was_expected(asked, message):
    with pytest.raises(BenchError, match=message):
        request(**asked)
    with pytest.raises(BenchError, match=message):
        bench.run(**{"suites": ["glyphs-5way"], **asked})


def test_a_long_value_is_told_in_short():
    with pytest.raises(BenchError) as raised:
        request(suites="x" * 10**6)
    assert len(str(raised.value)) < 200


def test_values_are_brought_into_one_form():
    asked = request(
        suites=(name for name in ["a", Path("b.toml"), "a"]), seeds=np.arange(3), jobs=np.int64(2),
        timeout=5, memory=2**30, results="there", learners=[],
    )  # fmt: skip
    assert asked.suites == ("a", "b.toml")
    assert asked.seeds == (0, 1, 2)
    assert asked.results == Path("there")
    assert [type(seed) for seed in asked.seeds] == [int] * 3
    assert (type(asked.jobs), asked.jobs) == (int, 2)
    assert asked.timeout == 5.0
    assert asked.learners == ()
    assert request(seeds=range(2)).seeds == (0, 1)
    assert replace(asked, seeds=[4]).seeds == (4,)  # what is changed is checked too
    with pytest.raises(BenchError, match="seeds"):
        replace(asked, seeds=[-4])
    with pytest.raises(FrozenInstanceError):
        asked.jobs = 3


def test_the_function_and_the_command_ask_for_the_same():
    """One list of options: `bench.run`, `bench run` and `Request` cannot drift apart."""
    defaults = {
        f.name: inspect.Parameter.empty if f.default is MISSING else f.default
        for f in fields(Request)
    }
    function = {
        p.name: p.default
        for p in inspect.signature(bench.run).parameters.values()
        if p.name not in {"listener", "notify"}
    }
    assert function == defaults
    names = {parameter.name for parameter in command.params}
    only_there = {"dry_run", "plan_only", "detach", "print_only", "option_file"}
    assert names - only_there == set(defaults)


def test_listeners_are_functions(tmp_path):
    with pytest.raises(BenchError, match="notify: expected a function of one argument, got 3"):
        prepare(request(results=tmp_path), notify=3)
