"""The names of a results folder: written down once, and what they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.store import layout
from bench.worker.devices import Device

BENCH = Path(layout.__file__).parents[1]
NAMES = {
    name: value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)
}
FILES = [value for value in NAMES.values() if "." in value]
FOLDERS = [value for value in NAMES.values() if "." not in value]


def spelled(source: str) -> Iterator[str]:
    """Texts of a module that name a file or folder of a results folder, docstrings left out."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    files = re.compile("|".join(rf"(?<![\w.-]){re.escape(name)}\b" for name in FILES))
    folders = re.compile(rf"({'|'.join(FOLDERS)})/")
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                if files.search(text) or folders.match(text):
                    yield text
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=text)) if text in FOLDERS:
                yield text


def test_no_other_module_spells_a_name():
    assert (len(FILES), len(FOLDERS)) == (18, 5)
    found = {
        str(path.relative_to(BENCH)): texts
        for path in sorted(BENCH.rglob("*.py"))
        if path != Path(layout.__file__) and (texts := list(spelled(path.read_text("utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        'folder / "result.json"', 'root / "cells"', 'f"{cell}/episodes.json"',
        'folder.glob("timings/*.json")', 'raise ValueError("no best.pt")',
    ],
)  # fmt: skip
def test_a_planted_name_is_found(source):
    assert list(spelled(source))
    assert not list(spelled(f"'''{source}'''"))  # a docstring may


def test_names_of_stored_files_are_pinned():
    """Another name, and nobody finds what is stored."""
    training = layout.training_folder("results", "maml-0123")
    cell = layout.cell_folder("results", "tiny", "5way", "maml-4567")
    paths = [
        training / layout.RESULT, layout.failure_file(training / layout.RESULT),
        layout.failure_file(training / layout.AUDITS), training / layout.WEIGHTS,
        cell / layout.CELL, cell / layout.EPISODES, layout.timing_file(cell, "cpu/1"),
        layout.failure_file(layout.timing_file(cell, "cpu/1")),
    ]  # fmt: skip
    assert [path.as_posix() for path in paths] == [
        "results/trainings/maml-0123/result.json",
        "results/trainings/maml-0123/failure.json",
        "results/trainings/maml-0123/audits.failure.json",
        "results/trainings/maml-0123/best.pt",
        "results/cells/tiny/5way/maml-4567/cell.json",
        "results/cells/tiny/5way/maml-4567/episodes.json",
        "results/cells/tiny/5way/maml-4567/timings/cpu-1.json",
        "results/cells/tiny/5way/maml-4567/timings/cpu-1.failure.json",
    ]


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("cpu", "cpu"), ("cpu/1", "cpu-1"), ("cpu/16", "cpu-16"), ("cuda:0", "cuda-0"),
        ("cuda:11", "cuda-11"), ("mps", "mps"),
    ],
)  # fmt: skip
def test_the_device_of_a_timing_is_read_off_its_file(tmp_path, device, name):
    path = layout.timing_file(tmp_path, Device.parse(device).name)
    assert path == tmp_path / "timings" / f"{name}.json"
    assert layout.timed_device(path.name) == device
    assert layout.timed_device(layout.failure_file(path).name) == device


def test_failures_of_a_folder(tmp_path):
    (tmp_path / "timings").mkdir()
    for name in ("failure.json", "audits.failure.json", "timings/cpu.failure.json"):
        (tmp_path / name).touch()
    for name in ("result.json", "audits.json", "timings/cpu.json"):
        (tmp_path / name).touch()
    assert {path.name for path in layout.failures(tmp_path)} == {
        "failure.json", "audits.failure.json", "cpu.failure.json",
    }  # fmt: skip
    assert not list(layout.failures(tmp_path / "absent"))
