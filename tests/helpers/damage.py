"""A small finished results folder, and the ways in which a file of it may be damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.running.prepare import prepare
from bench.running.request import Request

# Everything that two runs of the same cells may differ in: when and how fast.
NOT_RESULTS = {
    "seconds", "training_seconds", "test_seconds", "validation_seconds", "overhead", "finished",
}  # fmt: skip


def results_of(folder: Path) -> dict[str, object]:
    """Every result, score and audit file, without times."""

    def without_times(content: Any) -> Any:
        if isinstance(content, dict):
            return {k: without_times(v) for k, v in content.items() if k not in NOT_RESULTS}
        if isinstance(content, list):
            return [without_times(item) for item in content]
        return content

    names = ("result.json", "episodes.json", "audits.json")
    files = [file for name in names for file in folder.glob(f"**/{name}")]
    return {
        str(file.relative_to(folder)): without_times(json.loads(file.read_text())) for file in files
    }


def asked_of(suites: list[Path], results: Path, **more: Any) -> Request:
    """What the folder was made by."""
    return Request(
        suites=suites, learners=["nearest-code", "recurrent"], budget="smoke", threads=1,
        results=results, **{"executor": "inline", **more},
    )  # fmt: skip


def make_finished(suites: list[Path], results: Path) -> None:
    """Runs the suites, each to its end."""
    prepare(asked_of(suites, results)).run()


FILES = {
    "cell": "cells/*/5way1shot/*/cell.json",
    "cell's result": "cells/*/5way1shot/*/result.json",
    "scores": "cells/*/5way1shot/*/episodes.json",
    "timing": "cells/*/5way1shot/*/timings/cpu.json",
    "picture": "cells/*/length2/*/weightings.npz",
    "training": "trainings/nearest-code-*/training.json",
    "training's result": "trainings/nearest-code-*/result.json",
    "training's start": "trainings/nearest-code-*/started.json",
    "audits": "trainings/nearest-code-*/audits.json",
}
"""A glob for each kind of file that is read."""

FAILURES = {
    "cell's failure": "cells/*/5way1shot/*/failure.json",
    "timing's failure": "cells/*/5way1shot/*/timings/cpu.failure.json",
    "training's failure": "trainings/nearest-code-*/failure.json",
    "audits' failure": "trainings/nearest-code-*/audits.failure.json",
}
"""The same for what lies beside them where something failed."""


def one_file(results: Path, glob: str) -> Path:
    """The first file that matches, or that would lie in the first folder that does."""
    folder, _, name = glob.rpartition("/")
    return sorted(results.glob(folder))[0] / name


def _json_with(**fields: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        record = json.loads(path.read_bytes()) if path.suffix == ".json" else {}
        path.write_text(json.dumps(record | fields))

    return change


def _not_a_number(path: Path) -> None:
    text = path.read_bytes().decode("latin-1")
    path.write_bytes(re.sub(r"(?<=[ \[])\d+(\.\d+)?", "NaN", text, count=3).encode("latin-1"))


def _zeros(path: Path) -> None:
    """A block that never reached the disk."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])


def _huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(80 * 2**20)


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink(missing_ok=True)
        make(path)

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "of zeros": _zeros,
    "foreign": lambda path: path.write_text('{"name": "something else", "version": 3}'),
    "a list": lambda path: path.write_text("[1, 2]"),
    "nested": lambda path: path.write_text("[" * 100_000),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "not UTF-8": lambda path: path.write_bytes(path.read_bytes().replace(b"e", b"\xe9", 1)),
    "NaN": _not_a_number,
    "of another": _json_with(
        id="0123456789ab", training="0123456789ab", bank="f" * 64, device="cuda:7"
    ),
    "huge": _huge,
    "a pipe": _replaced(os.mkfifo),
    "a folder": _replaced(Path.mkdir),
    "a link to itself": _replaced(lambda path: path.symlink_to(path.name)),
    "a device": _replaced(lambda path: path.symlink_to("/dev/zero")),
}


def damaged_copy(finished: Path, to: Path, file: str, damage: str) -> Path:
    """A copy of a finished folder in which one file is damaged; gives its path."""
    shutil.copytree(finished, to)
    glob = {**FILES, **FAILURES}[file]
    path = one_file(to, glob)
    if file in FAILURES:
        path.write_text('{"kind": "error", "reason": "it was so", "phase": "test", "finished": ""}')
    DAMAGES[damage](path)
    return path


def one_setting(suite: Path, to: Path) -> Path:
    """A copy of the tiny suite with its first setting only."""
    before, _, after = suite.read_text().partition("[settings.5way5shot]")
    to.write_text(before + "[budgets" + after.partition("[budgets")[2])
    return to
