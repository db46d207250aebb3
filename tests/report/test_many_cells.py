"""A report of 20,000 cells: 16 learners, 50 seeds and 25 settings; and how work grows."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from bench.report import write_report
from bench.report.content import gather
from bench.results.boards import FAMILIES
from bench.results.reading import read_results
from bench.results.table import load_results
from bench.store.records import CurvePoint, ReliabilityCurve
from tests.helpers.synthetic import write_cell, write_training

SUITES, SETTINGS, LEARNERS, SEEDS = 5, 5, 16, 50


def write(root: Path, suites: int, settings: int, learners: int, seeds: int) -> None:
    """Cells with all that a page shows of them: timings, calibration, learning curves."""
    bins = [(k + 0.5) / 15 for k in range(15)]
    calibration = ReliabilityCurve(answers=[10] * 15, confidence=bins, accuracy=bins)
    curve = [
        CurvePoint(
            updates=100 * k, examples=50_000 * k, seconds=20.0 * k, loss=1 / k,
            val_accuracy=1 - 0.5 / k, val_nll=1 / k,
        )
        for k in range(1, 21)
    ]  # fmt: skip
    for suite, setting, learner, seed in product(*map(range, (suites, settings, learners, seeds))):
        name = f"learner-{learner}"
        cell = write_cell(
            root, name, FAMILIES[learner % 3], suite=f"suite-{suite}",
            setting=f"5way{setting + 1}shot", seed=seed, accuracy=0.9 - 0.01 * learner,
            timed={"cpu": 0.01 * (1 + learner)}, training=f"{name}-{suite}-{seed}",
            reliability=calibration,
        )  # fmt: skip
        if setting == 0:
            write_training(root, cell, curve=curve)


def calls(function: Callable[[], object]) -> int:
    """How many calls it makes: what time it takes varies with what else the machine does."""
    counted = 0

    def count(frame: object, event: str, what: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda file: None)  # 60,000 files


@pytest.mark.parametrize("dimension", ["suites", "settings", "seeds"])
def test_reading_and_gathering_grow_as_the_cells_do(tmp_path: Path, dimension: str) -> None:
    """What is not linear in seeds or settings, comparisons of all with all, would show here: four
    times the cells are at most four times the work."""
    least = {"suites": 1, "settings": 2, "learners": 4, "seeds": 4}
    made = []
    for factor in (1, 4, 16):
        root = tmp_path / str(factor)
        write(root, **least | {dimension: factor * least[dimension]})
        gather(read_results(root))  # what is imported and read once
        made.append(calls(lambda root=root: gather(read_results(root))))  # type: ignore[misc]
    small, middle, large = made
    assert large - middle < 4 * 1.15 * (middle - small)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_report_of_20000_cells(tmp_path: Path) -> None:
    write(tmp_path, SUITES, SETTINGS, LEARNERS, SEEDS)
    began, children = time.process_time(), os.times().children_user
    (page,) = write_report(tmp_path, formats=["html"], single=True)
    seconds = time.process_time() - began + os.times().children_user - children
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = page.stat().st_size
    print(f"{seconds:.1f} s CPU, {peak / 2**30:.2f} GiB, a page of {size / 2**20:.1f} MiB")
    assert len(load_results(tmp_path)) == 20_000
    assert "20,000 of 20,000 cells are done" in page.read_text(encoding="utf-8")
    assert seconds < 90  # 30 on a machine that does nothing else
    assert peak < 0.75 * 2**30
    assert size < 22 * 2**20
