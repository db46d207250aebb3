"""Each mistake of a person in Python is a `BenchError` that says what was expected.

The arguments of `bench.run` have a table of their own in tests/running/test_request.py, and images
and labels in tests/trained/test_learner.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import TaskSpec
from bench.errors import BenchError
from tests.helpers.synthetic import write_cell

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def seeds() -> Iterator[Any]:
    """A generator, with a mistake at its end."""
    yield from (0, 1)
    yield -1


def run(message: str, **asked: Any) -> tuple[Callable[..., Any], dict[str, Any], str]:
    return bench.run, {"suites": ["glyphs-5way"], "learners": ["untrained"]} | asked, message


def results(message: str, *given: Any) -> tuple[Callable[..., Any], dict[str, Any], str]:
    names = ("path", "sources")
    return bench.load_results, dict(zip(names, given, strict=False)), message


def learner(message: str, **asked: Any) -> tuple[Callable[..., Any], dict[str, Any], str]:
    return bench.load_learner, asked, message


def task(message: str, **asked: Any) -> tuple[Callable[..., Any], dict[str, Any], str]:
    return TaskSpec, {"input_shape": (1, 28, 28), "ways": 5} | asked, message


MISTAKES: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    # bench.run
    "a misspelled argument": run("is called 'learner'; did you mean 'learners'", learner=["maml"]),
    "no suites at all": (bench.run, {}, "missing a required argument: 'suites'"),
    "a text for suites": run("suites: expected a list of names", suites="glyphs-5way"),
    "a path for suites": run("suites: expected a list of names", suites=Path("a.toml")),
    "no suites": run("suites: the list is empty", suites=[]),
    "a dict in suites": run("suites: expected a list", suites=[{}]),
    "an array of numbers as suites": run("suites: expected a list", suites=np.arange(2)),
    "bytes in suites": run("suites: expected a list", suites=[b"glyphs-5way"]),
    "a misspelled suite": run("did you mean 'glyphs-5way'", suites=["glyphs-5wya"]),
    "a path that is not there": run("cannot read the suite file", suites=[Path("/no/a.toml")]),
    "a text for learners": run("learners: expected a list of names", learners="maml"),
    "a class as a learner": run("learners: a class is named by where it lies", learners=[object]),
    "a learner and None": run("learners: expected a list of names", learners=["maml", None]),
    "a misspelled learner": run("did you mean 'untrained'", learners=["untraind"]),
    "a number for seeds": run("seeds: expected a list of whole numbers", seeds=3),
    "a text for seeds": run("seeds: .* got '0-2'", seeds="0-2"),
    "no seeds": run("seeds: the list is empty", seeds=()),
    "an empty generator": run("seeds: the list is empty", seeds=iter(())),
    "a generator with a negative seed": run("seeds: .* got -1", seeds=seeds()),
    "numpy's negative seeds": run("seeds: .* got ", seeds=np.array([-3])),
    "numpy's floats as seeds": run("seeds: .* got ", seeds=np.linspace(0, 1, 3)),
    "NaN as a seed": run("seeds: .* got nan", seeds=[float("nan")]),
    "a bool as a seed": run("seeds: .* got True", seeds=[True]),
    "seeds in a dict": run("seeds: .* got 'a'", seeds={"a": 1}),
    "a nested list of seeds": run(r"seeds: .* got \[0\]", seeds=[[0]]),
    "a text for devices": run("devices: expected a list of names", devices="cpu"),
    "a device that is none": run("no device is called 'tpu'", devices=["tpu"]),
    "a number as budget": run("budget: expected a text", budget=1000),
    "a budget that is none": run("no budget is called 'big'", budget="big"),
    "NaN seconds": run("timeout: .* got nan", timeout=float("nan")),
    "endless seconds": run("timeout: .* got inf", timeout=float("inf")),
    "numpy's NaN seconds": run("timeout: .* got ", timeout=np.float32("nan")),
    "half a job": run("jobs: .* got 1.5", jobs=1.5),
    "a text for jobs": run("jobs: .* got '2'", jobs="2"),
    "true jobs": run("jobs: .* got True", jobs=True),
    "a text for memory": run("memory: .* got '4GiB'", memory="4GiB"),
    "a text for compile": run("compile: expected True or False, got 'yes'", compile="yes"),
    "options of an executor in a list": run("options: expected names and values", options=["a"]),
    "a number for results": run("results: expected the path", results=3),
    "an executor's class": run("executor: expected a text", executor=dict),
    "a listener that is none": run("listener: expected a function", listener="print"),
    "a notify that is none": run("notify: expected a function", notify=True),
    # bench.load_results
    "results that are None": results("path: expected the path of a folder, got None", None),
    "results in a list": results("path: expected the path", ["results"]),
    "results in bytes": results("path: expected the path", b"results"),
    "results without a name": results("path: expected the path", ""),
    "results misspelled": (
        bench.load_results,
        {"results": "."},
        "no argument of bench.load_results is called",
    ),
    "results with a null": results("path: expected the path", "a\0b"),
    "results that are not there": results("does not exist\nname another", "/nowhere"),
    "results that are a file": results("is no folder", __file__),
    "sources that are a list": results("sources: expected a dict", ".", ["a"]),
    "sources of numbers": results("sources: expected a dict", ".", {"a": 1}),
    # bench.load_learner
    "seeds of one learner": learner("is called 'seeds'; did you mean 'seed'", seeds=0),
    "a learner of nothing": learner("results: expected the path of a folder", results=None),
    "a learner of a list": learner("results: expected the path", results=["results"]),
    "a learner's class": learner("learner: expected a text", learner=dict),
    "a learner without a name": learner("learner: expected a text", learner=""),
    "suites of one learner": learner("suite: expected a text", suite=["tiny"]),
    "a setting's number": learner("setting: expected a text", setting=5),
    "a text for one seed": learner("seed: expected a whole number", seed="0"),
    "seeds for one seed": learner("seed: expected a whole number", seed=[0]),
    "half a seed": learner("seed: expected a whole number", seed=0.5),
    "a true seed": learner("seed: expected a whole number", seed=True),
    "a budget of minutes": learner("budget: expected a text", budget=10),
    "a device's number": learner("device: expected a text", device=0),
    "a learner's device that is none": learner("no device is called 'gpu'", device="gpu"),
    "a learner of nowhere": learner("does not exist", results="/nowhere"),
    # bench.Suite
    "a suite of nothing": (bench.Suite, {}, "a name and a dataset are wanted"),
    "a suite of a number": (bench.Suite, {"name": "mine", "dataset": 3}, "expected a name, arrays"),
    # bench.api.TaskSpec, which who tests a learner builds by hand
    "a side for a shape": task("input_shape: .* got 28", input_shape=28),
    "a shape of texts": task("input_shape: a task needs a tuple", input_shape=("1", "28", "28")),
    "ways in words": task("ways: a task needs a whole number, got '5'", ways="5"),
    "half a way": task("ways: .* got 2.5", ways=2.5),
    "NaN shots": task("shots: .* got nan", shots=float("nan")),
    "three numbers of shots": task(r"shots: .* a pair .* got \(1, 2, 3\)", shots=(1, 2, 3)),
    "a list of shots": task(r"shots: .* got \[1, 2\]", shots=[1, 2]),
    "no queries": task("queries: .* got None", queries=None),
    "a protocol's class": task("protocol: a task needs a text", protocol=dict),
    "no way at all": task("ways and episodes_per_update must be at least 1", ways=0),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_python(mistake, tmp_path):
    function, asked, message = MISTAKES[mistake]
    defaults = {"results": tmp_path} if function is bench.run else {}
    with pytest.raises(BenchError, match=message) as raised:
        function(**{**defaults, **asked})
    assert len(str(raised.value)) < 600
    assert list(tmp_path.rglob("result.json")) == []


def test_there_are_forty_and_of_every_public_function():
    assert len(MISTAKES) >= 40
    functions = {name for name in bench.__all__ if callable(getattr(bench, name))}
    tried = {function.__name__ for function, _, _ in MISTAKES.values()}
    assert tried == {*functions, "TaskSpec"}
    for function in (bench.run, bench.load_results, bench.load_learner):
        asked = {key for own, given, _ in MISTAKES.values() if own is function for key in given}
        checked = {
            "data_dir",
            "precision",
            "rerun",
            "retry_failed",
            "store",
            "threads",
            "tracker",
        }  # in test_request
        assert asked | checked >= set(inspect.signature(function).parameters)


def test_what_is_right_is_taken(tmp_path):
    write_cell(tmp_path, "maml", episodes=4)
    assert len(bench.load_results(str(tmp_path), {"maml": "5ec0de"})) == 1
    with pytest.raises(BenchError, match="is not there"):  # the cell's training was not copied
        bench.load_learner(tmp_path, learner="maml", seed=np.int64(0))
