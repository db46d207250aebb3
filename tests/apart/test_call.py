"""What a plugin does to the process that touches it costs that plugin and nothing else."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from bench.apart.blame import GivenUpError, touching
from bench.apart.call import apart, plain
from bench.errors import BenchError
from bench.processes.forkserver import close_server, fork_server


def end_here(how: str) -> None:
    match how:
        case "exits":
            os._exit(3)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs":
            time.sleep(1000)
        case "prints":
            os.write(1, b"x" * 50_000_000)


def touch_all(names: list[str], tell: Callable[[str], object]) -> dict[str, str]:
    """Touches one after the other."""
    found = {}
    for name in names:
        try:
            with touching(f"touching {name}", seconds=20 if name == "hangs" else None):
                tell(name)
                end_here(name)
            found[name] = "sound"
        except GivenUpError as error:
            found[name] = str(error)
    return found


def test_whatever_ends_the_process_is_left_out_and_all_else_is_done():
    told: list[str] = []
    names = ["first", "exits", "prints", "killed", "hangs", "last"]
    found = apart(touch_all, preload=())(names, told.append)
    assert list(found) == names
    assert {name for name, what in found.items() if what == "sound"} == {"first", "prints", "last"}
    assert found["exits"].startswith("touching exits ended the interpreter with exit code 3")
    assert found["killed"].startswith("touching killed was ended by SIGKILL")
    assert found["hangs"] == "touching hangs did not come back within 20 s"
    assert "last" in told


def number_of_process() -> int:
    return os.getpid()


def mistaken() -> None:
    raise BenchError("no such thing; name another")


def broken() -> None:
    raise ZeroDivisionError


def untouched() -> None:
    os._exit(4)


def test_it_is_another_process():
    assert apart(number_of_process, preload=())() != os.getpid()


def has_imported(module: str) -> bool:
    return module in sys.modules


def test_one_server_imports_what_each_call_asks_for():
    close_server()  # another test's has imported what that asked for
    assert not apart(has_imported, preload=())("colorsys")
    server = fork_server()
    assert apart(has_imported, preload=("colorsys",))("colorsys")
    assert fork_server() is server


def test_a_server_may_import_before_it_is_asked():
    close_server()
    fork_server().import_ahead(("colorsys",))
    assert apart(has_imported, preload=())("colorsys")


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        (mistaken, BenchError, "^no such thing; name another$"),
        (broken, RuntimeError, "(?s)ZeroDivisionError.*in broken"),
        (untouched, BenchError, "ended the interpreter with exit code 4"),
    ],
)
def test_what_it_raises_is_raised_here(function, kind, words):
    with pytest.raises(kind, match=words):
        apart(function, preload=())()


def test_texts_can_be_shown_anywhere():
    assert plain("caf\udce9 \x1b[2J\nline") == "caf\\udce9 \\x1b[2J\nline"
