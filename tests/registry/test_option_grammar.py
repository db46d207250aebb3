"""How options are typed: words, lists, quotes, and what is told of mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.registry.option_grammar import DEEPEST, Group, Word, quoted, read_items


def group(*items: Word | Group, bracket: str = "(") -> Group:
    return Group(items, bracket)


ONE, TWO = Word("1"), Word("2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("paper", [("", Word("paper"))]),
        ("a=1,2,b = x ", [("a", ONE), ("", TWO), ("b", Word("x"))]),
        ("a=", [("a", Word(""))]),
        ("a=(1,2)", [("a", group(ONE, TWO))]),
        ("a=[1, 2]", [("a", group(ONE, TWO, bracket="["))]),
        ("a=(1,),()", [("a", group(ONE)), ("", group())]),
        ("a=((1,2),[1])", [("a", group(group(ONE, TWO), group(ONE, bracket="[")))]),
        ('a="x,y",(1)', [("a", Word("x,y", True)), ("", group(ONE))]),
        (r'a="\"\\\n\u00e9"', [("a", Word('"\\\né', True))]),
        (r"a='\n\"'", [("a", Word(r"\n\"", True))]),
        ("a=('it, is',1)", [("a", group(Word("it, is", True), ONE))]),
        ("a=''", [("a", Word("", True))]),
        ("a=don't,b=x=y", [("a", Word("don't")), ("b", Word("x=y"))]),
        ("a=f(1)", [("a", Word("f(1)"))]),  # as ever: brackets begin a list in front only
        ("a=C:\\x", [("a", Word("C:\\x"))]),
    ],
)
def test_items(text, expected):
    assert list(read_items(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=(1,2", r"a '\(' has no '\)'"),
        ("a=(1,2]", r"a '\(' has no '\)'"),
        ("a=(1))", r"a comma is missing before '\)'"),
        ('a="x', 'in " text ends with "'),
        (r'a="\q"', "is written as in JSON"),
        ("a='x", "in ' text ends with '"),
        ('a="x"y', "a comma is missing before 'y'"),
        ("a=" + "(" * (DEEPEST + 1), "more than 20 deep"),
        ("a=" + "[" * 100_000, "more than 20 deep"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(BenchError, match=message):
        list(read_items(text))


@given(st.text())
def test_text_in_quotes_is_read_again_and_shows(text):
    assert list(read_items(f"a={quoted(text)}")) == [("a", Word(text, quoted=True))]
    assert quoted(text).isprintable()


@given(st.text(alphabet="a=,()[]\"'\\ 1\n"))
def test_any_text_is_read_or_refused(text):
    try:
        read = list(read_items(text))
    except BenchError:
        return
    for _, value in read:  # what was read is written such that it is read again
        assert list(read_items(f"a={value}")) in ([("a", value)], [])
