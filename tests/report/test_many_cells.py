"""A report of 10,000 cells: 16 learners, 25 seeds and 25 settings."""

from __future__ import annotations

import resource
import sys
import time
from itertools import product
from pathlib import Path

import pytest

from bench.report import write_report
from bench.results.boards import FAMILIES
from bench.results.table import load_results
from bench.store.records import CurvePoint, ReliabilityCurve
from tests.helpers.synthetic import write_cell, write_training

SUITES, SETTINGS, LEARNERS, SEEDS = 5, 5, 16, 25


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_report_of_10000_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda file: None)  # 30,000 files
    bins = [(k + 0.5) / 15 for k in range(15)]
    calibration = ReliabilityCurve(answers=[10] * 15, confidence=bins, accuracy=bins)
    curve = [
        CurvePoint(
            updates=100 * k, examples=50_000 * k, seconds=20.0 * k, loss=1 / k,
            val_accuracy=1 - 0.5 / k, val_nll=1 / k,
        )
        for k in range(1, 21)
    ]  # fmt: skip
    for suite, setting, learner, seed in product(*map(range, (SUITES, SETTINGS, LEARNERS, SEEDS))):
        name = f"learner-{learner}"
        cell = write_cell(
            tmp_path, name, FAMILIES[learner % 3], suite=f"suite-{suite}",
            setting=f"5way{setting + 1}shot", seed=seed, accuracy=0.9 - 0.01 * learner,
            timed={"cpu": 0.01 * (1 + learner)}, training=f"{name}-{suite}-{seed}",
            reliability=calibration,
        )  # fmt: skip
        if setting == 0:
            write_training(tmp_path, cell, curve=curve)

    began = time.process_time()
    (page,) = write_report(tmp_path, formats=["html"], single=True)
    seconds = time.process_time() - began
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = page.stat().st_size
    print(f"{seconds:.1f} s CPU, {peak / 2**30:.2f} GiB, a page of {size / 2**20:.1f} MiB")
    assert len(load_results(tmp_path)) == 10_000
    assert "10,000 of 10,000 cells are done" in page.read_text(encoding="utf-8")
    assert seconds < 60
    assert peak < 2 * 2**30
