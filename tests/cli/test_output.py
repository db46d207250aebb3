"""Any character can be printed on any console, and none of them is an instruction."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.output import literal

PRINTS = r"""
import json, sys
from bench.cli.output import write_anything
write_anything()
text = sys.argv[1].encode().decode("unicode-escape")
print(json.dumps(text, ensure_ascii=False))
print(text, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("maml[inner_steps=5]", "maml[inner_steps=5]"),
        ("日本 é\u3000±", "日本 é\u3000±"),
        ("a\r\nb\tc", "a  b c"),
        ("\x1b[2J\x9b31m\x07\0", r"\x1b[2J\x9b31m\x07\x00"),
        ("\u202eevil\u2066\u2028", r"\u202eevil\u2066\u2028"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_what_is_shown_literally(text, expected):
    assert literal(text) == expected


def test_a_long_text_is_cut():
    assert literal("x" * 100, 10) == "x" * 10 + " ..."
    assert literal("x" * 10, 10) == "x" * 10


@given(st.text(st.characters(codec=None)))
def test_nothing_of_it_moves_a_cursor(text):
    shown = literal(text)
    assert len(shown.encode().decode().splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("text", [r"\u00b1 caf\u00e9 \U0001f600", r"caf\udce9"])
def test_any_console_takes_any_character(encoding, text):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", PRINTS, text]
    ran = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert ran.stderr.strip()
    assert json.loads(ran.stdout.decode(encoding)) == text.encode().decode("unicode-escape")
