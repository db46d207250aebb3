"""docs/security.md: each statement names tests that hold it, and they exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.helpers.pages import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("| ").split(" | "))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| statement", "| ---"))
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def names_in(path: str) -> set[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("statement", "held_by"), ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_statement_is_held_by_tests_that_exist(statement, held_by):
    named = NAMED.findall(held_by)
    assert named
    assert len(named) == held_by.count("::")
    for path, name in named:
        assert name in names_in(path), f"{path} has no {name}"


def test_the_page_is_read():
    assert len(ROWS) >= 15
    assert len(NAMED.findall(PAGE)) >= 25
    assert "test_of_nothing" not in names_in("tests/test_security.py")
