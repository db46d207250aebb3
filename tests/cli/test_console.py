"""Whatever a console can show: texts of every kind come out, and JSON stays JSON."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from bench.cli.console import use_any_console

TEXT = "é ± → 😀 \udcff"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "é ± → 😀 \\udcff"),
        ("latin-1", "é ± \\u2192 \\ud83d\\ude00 \\udcff"),
        ("cp1252", "é ± \\u2192 \\ud83d\\ude00 \\udcff"),
        ("ascii", "\\u00e9 \\u00b1 \\u2192 \\ud83d\\ude00 \\udcff"),
    ],
)
def test_what_an_encoding_lacks_is_spelled(monkeypatch, encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)  # closed
    use_any_console()
    print(TEXT, end="", flush=True)
    assert stream.buffer.getvalue() == shown.encode(encoding)
    spelled = json.loads(json.dumps(shown).replace("\\\\u", "\\u"))
    assert spelled == TEXT


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp437"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_the_real_command_prints_on_any_console(tmp_path, environment):
    suite = tmp_path / os.fsdecode(b"\xff.toml")
    suite.write_text("version = '→'", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", "from bench.cli import main; main()", "show", suite],
        env=os.environ | environment, capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
    assert b"is not a valid suite" in ran.stderr
