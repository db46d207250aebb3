"""The hash of a learner's code."""

from __future__ import annotations

import importlib
from pathlib import Path
from textwrap import dedent

import pytest

from bench.registry.source_hash import code_of, source_hash

FILES = {
    "__init__.py": "",
    "base.py": "from bench.api import Learner\nclass Base(Learner): pass\n",
    "mine.py": "from hashed.base import Base\nfrom . import parts\nclass Mine(Base): pass\n",
    "parts.py": "from hashed.constants import TWO\ndef double(x): return TWO * x\n",
    "constants.py": "TWO = 2\ndef unused(): pass\n",
    "stranger.py": "ONE = 1\n",
}


@pytest.fixture
def package(tmp_path, put_on_path, monkeypatch) -> Path:
    """A package with a learner ``hashed.mine.Mine``, fresh for each test."""
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "hashed"]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "hashed"
    folder.mkdir()
    for name, source in FILES.items():
        (folder / name).write_text(source)
    put_on_path(tmp_path)
    importlib.invalidate_caches()
    return folder


def hash_after(package: Path, file: str, more: str) -> str:
    """The hash with something appended to a file."""
    learner = importlib.import_module("hashed.mine").Mine
    path = package / file
    before = path.read_text()
    path.write_text(before + more)
    changed = source_hash(learner)
    path.write_text(before)
    return changed


def test_it_follows_the_learner_its_base_and_the_parts_it_uses(package):
    same = hash_after(package, "mine.py", "")
    files = ("mine.py", "base.py", "parts.py", "constants.py")
    assert len({same, *(hash_after(package, file, "x = 1\n") for file in files)}) == 5
    assert hash_after(package, "stranger.py", "x = 1\n") == same


def test_it_does_not_follow_comments_docstrings_and_layout(package):
    same = hash_after(package, "mine.py", "")
    for more in ("# said\n", '"""told\nat length"""\n', "\n\n"):
        assert hash_after(package, "mine.py", more) == same


def test_the_harness_is_left_out(package):
    learner = importlib.import_module("hashed.mine").Mine
    from bench import api
    from bench.registry import source_hash as module

    files = module._files(learner)
    assert {Path(file).name for file in files} == {*FILES} - {"stranger.py"}
    assert api.__file__ not in files


def test_what_is_left_of_a_source():
    source = dedent(
        '''
        """Module – with bytes outside ASCII."""
        class A:  # a comment
            """Class."""
            x: int = 1
            """Attribute."""

            def f(self) -> str:
                """Method,
                on two lines."""
                return "ä # no comment"  # é
        '''
    )
    assert code_of(source) == 'classA:x:int=1deff(self)->str:return"ä#nocomment"'
