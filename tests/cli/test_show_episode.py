"""`bench show-episode`."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench.cli.show_episode import shaded, show_episode
from bench.errors import BenchError
from tests.helpers.kept_answers import write_answers
from tests.helpers.synthetic import write_cell


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_answers(write_cell(tmp_path, "a", setting="5way1shot"))
    write_answers(write_cell(tmp_path, "a", setting="5way1shot", seed=3), right=1.0)
    write_answers(write_cell(tmp_path, "a", setting="5way5shot"), right=0.0)
    write_cell(tmp_path, "b\x1b[31m")
    return tmp_path


def shown(results: Path, *arguments: str) -> Result:
    return CliRunner().invoke(show_episode, [*arguments, "--results", str(results)])


def test_an_episode_with_its_images(results: Path) -> None:
    text = shown(results, "glyphs-5way", "a", "0", "--seed", "3").output
    assert text.startswith("a on glyphs-5way, 5way1shot, seed 3, episode 0: 100.00 % right")
    assert "support set" in text
    assert text.count("right") == 1 + 4  # of ten queries four are enough
    assert "and 6 more, of which 0 are wrong" in text
    assert "letter" in text
    assert "█" in text


def test_wrong_answers_come_first(results: Path) -> None:
    text = shown(results, "glyphs-5way", "a", "1", "--setting", "5way5shot").output
    assert "0.00 % right" in text
    assert text.count("WRONG") == 8
    assert "and 2 more, of which 2 are wrong" in text


def test_an_episode_without_images_is_a_list(results: Path) -> None:
    text = shown(results, "glyphs-5way", "a", "7").output
    assert "support set" not in text
    assert "classes: 0: letter" in text
    assert text.count("right") + text.count("WRONG") == 11


def test_a_cell_with_answers_comes_first(results: Path) -> None:
    """A seed that is lower and a setting that comes before have none."""
    write_cell(results, "c", setting="5way1shot")
    write_cell(results, "c", setting="5way5shot", seed=1)
    write_answers(write_cell(results, "c", setting="5way5shot", seed=2))
    text = shown(results, "glyphs-5way", "c", "0").output
    assert text.startswith("c on glyphs-5way, 5way5shot, seed 2, episode 0: ")


def test_budgets_and_precisions_are_told_apart(results: Path) -> None:
    write_cell(results, "c")
    write_answers(write_cell(results, "c", budget="smoke"), right=1.0)
    write_answers(write_cell(results, "c", budget="9min", precision="bf16"), right=0.0)
    where = "c on glyphs-5way, 5way1shot, seed 0, budget"
    text = shown(results, "glyphs-5way", "c", "0", "--budget", "smoke").output
    assert text.startswith("c on glyphs-5way, 5way1shot, seed 0, episode 0: 100.00 % right")
    text = shown(results, "glyphs-5way", "c", "0", "--precision", "bf16").output
    assert "seed 0, episode 0: 0.00 % right" in text
    text = shown(results, "glyphs-5way", "c", "0").output
    assert text.startswith(f"{where} 9min, precision bf16, episode 0: 0.00 % right")
    error = shown(results, "glyphs-5way", "c", "0", "--budget", "smok").exception
    assert "no budget is called 'smok'" in str(error)
    assert "smoke" in str(error)


def test_the_command_that_keeps_answers_makes_the_same_cell(results: Path) -> None:
    write_cell(
        results, "c[x=1]", budget="9min", precision="bf16", seed=4, suite="mine",
        suite_file="/of mine/mine.toml",
    )  # fmt: skip
    error = str(shown(results, "mine", "c", "0").exception)
    command = shlex.split(error.partition(":\n")[2])
    assert command[:2] == ["bench", "run"]
    asked = dict(zip(command[2::2], command[3::2], strict=True))
    assert asked.items() >= {
        "--suite": "/of mine/mine.toml", "--learner": "c[x=1]", "--seeds": "4", "--budget": "9min",
        "--precision": "bf16", "--results": str(results), "--store": "answers",
    }.items()  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), [
    (["glyphs-5way", "a", "20"], "there is no episode 20: the bank has 20, 0 to 19"),
    (["glyphs-5way", "a", "0", "--setting", "5way2shot"], "no setting is called '5way2shot'"),
    (["glyphs-5way", "a", "0", "--seed", "9"], "nothing is stored of a on glyphs-5way with seed 9"),
    (["glyphs-5way", "nobody", "0"], "no learner is called 'nobody'"),
    (["nowhere", "a", "0"], "no suite is called 'nowhere'"),
    (["glyphs-5way", "b*", "0"], "no answers are stored"),
])  # fmt: skip
def test_mistakes_are_said(results: Path, arguments: list[str], message: str) -> None:
    error = shown(results, *arguments).exception
    assert isinstance(error, BenchError)
    assert message in str(error)


def test_shades_by_hand() -> None:
    image = np.zeros((1, 4, 2), np.uint8)
    image[0, 2:, 1] = 255
    assert shaded(image) == ["  ", " █"]
    assert shaded(255 - image) == ["  ", " █"]
    assert shaded(np.zeros((3, 28, 28), np.uint8)) == [" " * 14] * 7
