"""Names that become folders: the same on every file system, and never elsewhere."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.registry.discovery import discover
from bench.registry.names import check_name


@pytest.mark.parametrize("name", ["maml", "5way1shot", "glyphs-5way", "A.b_c-1", "x" * 100, "con1"])
def test_names(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "a\n", "a\0", "é", "x.", "x" * 101,
     "con", "CON", "nul.txt", "COM1", "lpt9.a.b"],
)  # fmt: skip
def test_names_that_some_system_refuses(name):
    with pytest.raises(BenchError):
        check_name(name)


def test_a_plugin_of_such_a_name_is_a_problem_and_stops_nobody(install):
    install("odd", learners={"../evil": "odd:X", ".hidden": "odd:X", "x" * 300: "odd:X"})
    found = discover("learner", lambda thing: thing)
    told = {problem.name: problem.reason for problem in found.problems if "odd" in problem.package}
    assert set(told) == {"../evil", ".hidden", "x" * 300}
    assert all(reason.startswith("a name ") for reason in told.values())
    assert "maml" in found.things
