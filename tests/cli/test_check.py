"""`bench check`."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench.cli import cli
from bench.errors import BenchError
from bench.registry.installed import learners
from bench.testing import CHECKS

pytestmark = pytest.mark.usefixtures("tiny_plugins")


def check(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments])


QUICK = ("--check", "declaration", "--check", "config", "--check", "two-views")


def test_a_learner_that_passes():
    ran = check("nearest-code[width=8]", *QUICK)
    assert ran.exit_code == 0, ran.output
    first, blank, header, *rows = ran.stdout.splitlines()
    assert first == "nearest-code[width=8]: 3 pass, 0 fail, 0 not applicable"
    assert (blank, header.split()) == ("", ["check", "result", "seen"])
    assert [row.split() for row in rows] == [
        ["declaration", "pass"], ["config", "pass"], ["two-views", "pass"],
    ]  # fmt: skip
    assert ran.stderr == "", "no bar in a pipe"


def test_a_leak_is_explained_and_exits_with_1():
    ran = check("leaks", "--check", "first-presentation", "--check", "query-labels")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("leaks: 1 pass, 1 fail, 0 not applicable")
    details = ran.stdout.partition("\nfirst-presentation failed: ")[2]
    assert details.startswith("100.0% at the first presentation; the ceiling is 45.7%\n")
    assert "\n  checked  Online, the first presentation of a class is not" in details
    assert "\n  hint     Look for the label of a step" in details


def test_json_has_everything():
    ran = check("leaks", *QUICK, "--format", "json")
    assert ran.exit_code == 1
    rows = json.loads(ran.stdout)
    assert [(row["learner"], row["name"], row["status"]) for row in rows] == [
        ("leaks", "declaration", "pass"),
        ("leaks", "config", "pass"),
        ("leaks", "two-views", "fail"),
    ]
    assert rows[2].keys() == {
        "learner", "name", "status", "explanation", "reason", "hint", "traceback", "seconds",
        "value",
    }  # fmt: skip
    assert rows[2]["hint"] == CHECKS["two-views"].hint
    assert rows[0]["hint"] is None


def test_an_exception_is_shown_once():
    """The same in two checks: a traceback for the first, a reference for the second."""
    ran = check("raises", "--check", "logits", "--check", "sizes", "--check", "declaration")
    assert ran.exit_code == 1
    assert ran.stdout.count("Traceback (most recent call last)") == 1
    assert "in loss" in ran.stdout
    assert "sizes failed like logits" in ran.stdout


def test_several_learners_at_once():
    ran = check("nearest-code[width=4,8]", "--check", "declaration")
    assert ran.exit_code == 0
    assert ran.stdout.count("1 pass, 0 fail") == 2
    assert "nearest-code[width=4]:" in ran.stdout


def test_a_class_that_is_not_installed(tmp_path, monkeypatch):
    """It is imported from the current folder."""
    source = "from tiny_plugins import NearestCode\nclass Mine(NearestCode): 'My own.'\n"
    (tmp_path / "my_module.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    ran = check("my_module:Mine[width=4]", "--check", "declaration")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("my_module:Mine[width=4]: 1 pass")
    for name in ("my_module.py", "my_module"):
        said = r"my_module\.py is a file; write my_module\.py:Class"
        assert re.match(said, str(check(name).exception))
        with pytest.raises(BenchError, match=said):
            learners().get(name)


def test_a_dataset():
    """The tiny one has a split whose phases share a class, on purpose."""
    ran = check("codes", "--image-size", "8")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("codes: 7 pass, 1 fail, 1 not applicable\n")
    assert "splits failed: 'overlapping' has 1 classes in two phases" in ran.stdout
    assert "\n  hint     Give each class to one phase" in ran.stdout
    rows = json.loads(check("codes", "--format", "json").stdout)
    assert {(row["dataset"], row["name"]) for row in rows} >= {
        ("codes", "load"),
        ("codes", "splits"),
    }


TRANSFER = """
name = "elsewhere"
version = 1
title = "Elsewhere"
description = "Tested on other data."
dataset = "arrays:./own.npz"
split = {train = 0.6, val = 0.2, test = 0.2}
protocol = "kshot"
image_size = 8
[settings.other]
ways = 2
shots = 1
queries = 1
dataset = "%s"
[budgets]
smoke = {examples = 100}
standard = {examples = 100}
"""


def test_what_is_known_of_other_data_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = np.random.default_rng(0).integers(0, 256, (20, 4, 8, 8), dtype=np.uint8)
    labels = np.repeat(np.arange(10), 4)
    np.savez("own.npz", images=drawn[:10].reshape(-1, 8, 8), labels=labels)
    drawn[10:, 0] = drawn[:10, 0]  # one image of each is known
    np.savez("other.npz", images=drawn[10:].reshape(-1, 8, 8), labels=labels)
    suite = tmp_path / "suite.toml"
    suite.write_text(TRANSFER % "arrays:./other.npz")
    ran = check("./suite.toml")
    assert ran.exit_code == 0, ran.output
    assert "note: 8 images are known before the meta-test on arrays:other.npz" in ran.stdout
    [note] = json.loads(check("./suite.toml", "--format", "json").stdout)["notes"]
    assert note.startswith("8 images are known")


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ("cub", "cub is not here, and cannot be downloaded for you; `bench data fetch cub` gets"),
        ("glyph", "no dataset is called 'glyph'; did you mean 'glyphs'"),
    ],
)
def test_other_data_that_is_not_there_is_told(tmp_path, monkeypatch, dataset, told):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez("own.npz", images=images, labels=np.repeat(np.arange(10), 4))
    (tmp_path / "suite.toml").write_text(TRANSFER % dataset)
    assert told in check("./suite.toml").output


def test_a_name_of_several_kinds_is_the_suite_and_says_so(tiny_probe):
    ran = check("copy")
    assert ran.stdout.startswith("copy (version 1): sequence, dataset copy")
    assert ran.stderr == "copy is a dataset too: --kind dataset\n"
    ran = check("copy", "--kind", "dataset")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("copy: 4 pass, 0 fail, 5 not applicable")


def test_a_learner_that_is_called_like_a_dataset(install):
    install("like", "from tiny_plugins import NearestCode as A", learners={"codes": "like:A"})
    ran = check("codes", "--check", "declaration")
    assert ran.stdout.startswith("codes: 1 pass")
    assert ran.stderr == "codes is a dataset too: --kind dataset\n"
    assert check("codes[width=4]", "--check", "declaration").stderr == ""


def test_check_is_for_learners():
    for thing, kind in (("codes", "dataset"), ("copy", "suite")):
        ran = check(thing, "--check", "declaration")
        assert ran.exit_code == 2
        assert f"--check is for learners, and {thing} is a {kind}" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nearest-cod"], "no suite, learner or dataset is called 'nearest-cod'; did you mean 'ne"),
        (["nearest-code", "--kind", "dataset"], "no dataset is called 'nearest-code'"),
        (["codes", "--kind", "suite"], "no suite is called 'codes'"),
        (["nearest-code[width=3"], "cannot read the learner 'nearest-code[width=3'; write NAME"),
        (["nearest-code[widht=3]"], "did you mean 'width'"),
        (["nearest-code", "--check", "two-view"], "did you mean 'two-views'"),
        (["absent_module:Mine"], "No module named 'absent_module'\nwrite NAME"),
        (["tiny_plugins:Absent"], "has no attribute 'Absent'"),
        (["tiny_plugins:Codes"], "is not a subclass of bench.api.Learner"),
    ],
)
def test_wrong_input_is_one_message(arguments, words):
    ran = check(*arguments)
    assert isinstance(ran.exception, BenchError)
    assert words in str(ran.exception)


def test_wrong_input_exits_with_2():
    command = [sys.executable, "-c", "from bench.cli import main; main()", "check", "nearest-cod"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("Error: no suite, learner or dataset is called 'nearest-cod'")
    assert "Traceback" not in ran.stderr


def test_the_shape_of_images_is_given_as_channels_height_and_width():
    ran = check("nearest-code[width=8]", "--check", "sizes", "--input", "3x8x8")
    assert "all of this with images of 3x8x8" in ran.output
    for wrong in ("64", "3x64", "0x64x64", "3x64x64x1", f"3x{'9' * 400}x3", "3,64,64"):
        ran = check("nearest-code", "--input", wrong)
        assert ran.exit_code == 2
        assert "is no shape of an image; write channels, height and width" in ran.output
    ran = check("codes", "--input", "3x8x8")
    assert ran.exit_code == 2
    assert "--input is for learners" in ran.output
