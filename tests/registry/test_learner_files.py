"""Learners without a package: where they are found, and what they are."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.registry.contestants import contestants
from bench.registry.discovery import Found
from bench.registry.learner_files import find

NOTHING = Found("learner", {}, {}, [])

SOURCE = """
import random
from helper_of_mine import WIDTH
from tiny_plugins import NearestCode

class Mine(NearestCode):
    width = WIDTH
"""


@pytest.fixture
def folder(tiny_plugins, tmp_path, monkeypatch):
    """Where somebody works, with a module that is called like one of Python's."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "random.py").write_text("raise RuntimeError('the wrong one')")
    (place / "helper_of_mine.py").write_text("WIDTH = 3")
    (place / "learner_of_mine.py").write_text(SOURCE)
    monkeypatch.chdir(place)
    return place


@pytest.mark.usefixtures("folder")
def test_a_file_and_a_module_are_the_same_learner():
    by_file, by_module = find("learner_of_mine.py:Mine"), find("learner_of_mine:Mine")
    assert by_file == by_module
    assert by_file[0].name == "learner_of_mine:Mine"
    assert by_file[1].width == 3
    [one] = contestants(["learner_of_mine.py:Mine[width=8]"], NOTHING)
    assert one.label == "learner_of_mine:Mine[width=8]"
    assert one.file.load() is one.learner


@pytest.mark.usefixtures("folder")
def test_what_is_not_there_is_named():
    with pytest.raises(BenchError, match=r"there is no file .*absent\.py"):
        find("absent.py:Mine")
    with pytest.raises(BenchError, match="has no attribute 'Absent'"):
        find("learner_of_mine.py:Absent")


@pytest.mark.parametrize("name", ["{}:Plugin", "{}.py:Plugin", "~{}/x.py:Plugin", "a\0:Plugin"])
def test_a_name_that_no_file_can_have_is_told(name):
    with pytest.raises(BenchError, match="cannot import"):
        find(name.format("A" * 400))
