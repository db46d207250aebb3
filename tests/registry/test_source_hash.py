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
    assert code_of(source) == '0 classA:\n1 x:int=1\n1 deff(self)->str:\n2 return"ä # no comment"'


LOOP = """
def total(values):
    total = 0.0
    for value in values:
        total += value  # each
    return total / len(values)
"""


@pytest.mark.parametrize(
    "written",
    [
        LOOP.replace("    ", "  "),
        LOOP.replace("    ", "\t"),
        LOOP.replace(" = ", "=").replace("  # each", ""),
        LOOP.replace("\n    for", "\n\n    # all\n    for"),
        LOOP.replace("len(values)", "len(\n        values\n    )"),
        LOOP.replace("\n", "\n\f\n", 1),
        LOOP.replace("    total = 0.0", '    """Sum\nof all."""\n    total = 0.0'),
    ],
)
def test_how_code_is_laid_out_does_not_count(written):
    assert written != LOOP
    assert code_of(written) == code_of(LOOP)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LOOP, LOOP.replace("    return", "        return")),
        ("if a:\n    b()\nc()", "if a:\n    b()\n    c()"),
        ("x = a\n(b)", "x = a(b)"),
        ("x = 'a b'", "x = 'ab'"),
        ("x = f'{a} b'", "x = f'{a}b'"),
    ],
)
def test_what_is_computed_counts(before, after):
    assert code_of(before) != code_of(after)


@pytest.mark.parametrize(
    ("relative", "absolute"),
    [
        ("from . import parts", "from hashed import parts"),
        ("from .parts import double, half", "from hashed.parts import double, half"),
        ("from .important.parts import(a)", "from hashed.important.parts import (a)"),
        ("if a:\n  from . \\\n   parts import b", "if a:\n    from hashed.parts import b"),
    ],
)
def test_a_relative_import_is_the_absolute_one(relative, absolute):
    assert code_of(relative, "hashed") == code_of(absolute, "hashed")
    assert code_of(relative, "elsewhere.hashed") != code_of(absolute, "elsewhere.hashed")


def test_the_hash_does_not_follow_how_an_import_is_spelled(package):
    same = hash_after(package, "mine.py", "")
    path = package / "mine.py"
    path.write_text(path.read_text().replace("from . import", "from hashed import"))
    assert hash_after(package, "mine.py", "") == same


def test_an_import_that_leads_out_of_the_package_is_its_learners_matter(package):
    """Python says so when it is reached, and not before."""
    late = "def never():\n    from ... import x\n"
    assert hash_after(package, "mine.py", late) != hash_after(package, "mine.py", "")


def test_characters_that_end_a_line_elsewhere_do_not_end_one_of_python():
    assert code_of("x = 'a\x1c\u2028b'  # said\ny = 1") == "0 x='a\x1c\u2028b'\n0 y=1"
