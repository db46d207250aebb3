"""Each mistake of a person is one clear message: on the command line exit code 2, no traceback."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import bench
from tests.helpers.mistakes import COMMAND_LINE, prepare

pytestmark = pytest.mark.usefixtures("tiny_plugins")

MOST_CHARACTERS = 1200


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the mistakes are about."""
    folder = tmp_path_factory.mktemp("mistakes")
    prepare(folder)
    return folder


def words_of(mistake: str, place: Path) -> list[str]:
    return [word.replace("@tmp", str(place)) for word in shlex.split(COMMAND_LINE[mistake][0])]


def judge(mistake: str, place: Path, code: int, out: str, err: str) -> None:
    """What every message keeps: it names what was wrong and what to do, once, and nothing else."""
    assert code == 2, out + err
    assert "Traceback" not in out + err
    assert out == ""
    message = err.partition("Error: ")[2]
    assert message.strip(), err
    assert len(message) < MOST_CHARACTERS
    for said in COMMAND_LINE[mistake][1]:
        assert said.replace("@tmp", str(place)) in message
    assert not (place / "new").exists(), "nothing is stored of what cannot be run"


@pytest.mark.parametrize("mistake", COMMAND_LINE)
def test_a_mistake_on_the_command_line(mistake, place):
    ran = bench(*words_of(mistake, place))
    judge(mistake, place, ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize("mistake", ["a misspelled suite", "no seeds", "list one learner"])
def test_a_mistake_in_a_process_of_its_own(mistake, place):
    command = [sys.executable, "-c", "from bench.cli import main; main()"]
    ran = subprocess.run(
        [*command, *words_of(mistake, place)], capture_output=True, text=True, check=False
    )
    judge(mistake, place, ran.returncode, ran.stdout, ran.stderr)


def test_there_are_a_hundred():
    assert len(COMMAND_LINE) >= 100
    assert len({words for words, _ in COMMAND_LINE.values()}) == len(COMMAND_LINE)
    assert all(said for _, said in COMMAND_LINE.values())


def test_what_is_right_is_no_mistake(place):
    """The frame that most mistakes are put into."""
    words = f"run --suite {place}/tiny.toml --learner untrained --results {place}/dry --dry-run"
    ran = bench(*words.split())
    assert ran.returncode == 0, ran.stderr
