"""A plan is read back as it was written, wherever its folder lies by then; what is none is told."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.groups.plan_file import PlanFile, write_plan
from bench.running.prepare import prepare
from bench.running.request import Request

pytestmark = pytest.mark.usefixtures("tiny_plugins")


@pytest.fixture
def planned(tiny_suite, tmp_path):
    """The file of a plan, and its groups."""
    request = Request(
        suites=[tiny_suite], learners=["nearest-code", "untrained"], budget="smoke", threads=3,
        timeout=90.0, devices=["cpu", "cpu/1"], results=tmp_path / "r",
    )  # fmt: skip
    return prepare(request).write_plan()


def test_it_is_read_back_as_it_was(planned):
    path, groups = planned
    plan = PlanFile(path)
    assert plan.names == [group.name for group in groups]
    assert [plan.group(index) for index in range(len(groups))] == groups
    assert len({group.name for group in groups}) == len(groups) == 3 * 4
    assert [group.kind for group in groups] == ["train"] * 4 + ["time"] * 8


def test_wherever_the_results_folder_is_mounted(planned, tmp_path):
    path, groups = planned
    shutil.move(tmp_path / "r", tmp_path / "elsewhere")
    moved = PlanFile(tmp_path / "elsewhere" / path.relative_to(tmp_path / "r")).group(0)
    assert moved.frame.results == tmp_path / "elsewhere"
    assert moved.train().output.relative_to(tmp_path / "elsewhere") == (
        groups[0].train().output.relative_to(tmp_path / "r")
    )


def test_options_keep_their_values(planned, tmp_path):
    from dataclasses import replace

    _, groups = planned
    config = {"inf": math.inf, "text": "é\ud800"[:1], "none": None, "sizes": [1, 2]}
    training = groups[0].training.model_copy(update={"config": config})
    cells = tuple(cell.model_copy(update={"training": training}) for cell in groups[0].cells)
    group = replace(groups[0], training=training, cells=cells)
    path = tmp_path / "r" / ".runs" / "other" / "plan.json"
    write_plan(path, [group])
    assert PlanFile(path).group(0).training.config == config


def changed(path: Path, **fields) -> None:
    content = json.loads(path.read_text())
    content.update(fields)
    path.write_text(json.dumps(content))


WRONG = {
    "another version": (lambda path: changed(path, bench="9.9"), "written by bench 9.9, and this"),
    "no JSON": (lambda path: path.write_text("no"), "is no plan"),
    "a list": (lambda path: path.write_text("[]"), "is no plan"),
    "nothing": (lambda path: path.write_bytes(b""), "is no plan"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:900]), "is no plan"),
    "deep": (lambda path: path.write_text("[" * 100_000), "is no plan"),
    "absent": (Path.unlink, "cannot read .*No such file"),
    "no groups": (lambda path: changed(path, groups=[3]), "is no plan"),
    "a damaged group": (
        lambda path: changed(path, groups=[{"name": "x", "kind": "train", "training": {}}]),
        "is no plan",
    ),
    "too few": (lambda path: changed(path, groups=[]), "has no group 0"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_plan_is_told(wrong, planned):
    path, _ = planned
    change, words = WRONG[wrong]
    change(path)
    with pytest.raises(BenchError, match=words):
        PlanFile(path).group(0)
