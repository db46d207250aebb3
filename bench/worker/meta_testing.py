"""The meta-test of a cell, and its result."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from bench.api.executor import Progress
from bench.planning.jobs import Cell
from bench.statistics.intervals import (
    LEAK_P,
    first_presentation_ceiling,
    first_presentation_p,
    mean_interval,
    reliability,
)
from bench.store import layout
from bench.store.atomic import save_arrays, write_json
from bench.store.records import (
    CellResult,
    EpisodeScores,
    Interval,
    ReliabilityCurve,
)
from bench.worker.assignment import Assignment
from bench.worker.devices import Device
from bench.worker.environment import environment, now
from bench.worker.evaluation import Scores, evaluate, picture
from bench.worker.loading import cell_of, load_bank, load_learner, load_weights


def test_phase(assignment: Assignment, device: Device, progress: Progress) -> None:
    cell, folder = cell_of(assignment), assignment.folder
    learner, source = load_learner(cell.training, device)
    trained = load_weights(learner, cell.training, assignment.results)
    bank = load_bank(cell, assignment.folders).to(device.torch)
    started = datetime.datetime.now(datetime.UTC)
    scores = evaluate(
        learner,
        bank,
        cell.training.precision,
        lambda done: progress({"fraction": done / cell.episodes}),
    )
    seconds = (datetime.datetime.now(datetime.UTC) - started).total_seconds()
    by_presentation, ceiling, told = _presentations(cell, scores)
    probe = cell.task.protocol == "sequence"
    write_json(
        folder / layout.EPISODES,
        EpisodeScores(
            bank=cell.bank,
            accuracy=_rounded(scores.accuracy),
            nll=_rounded(scores.nll),
            by_presentation=None
            if scores.by_presentation is None
            else [_rounded(row) for row in scores.by_presentation],
            bit_errors=scores.errors.tolist() if probe else None,
        ),
    )
    if probe and (arrays := picture(learner, bank)):
        pixels = {name: np.rint(255 * a.clip(0, 1)).astype(np.uint8) for name, a in arrays.items()}
        save_arrays(folder / layout.WEIGHTINGS, pixels)
    calibration = reliability(scores.confidence.ravel(), scores.correct.ravel())
    result = CellResult(
        **cell.described(),
        metrics={
            "accuracy": _interval(scores.accuracy),
            "nll": _interval(scores.nll),
            "ece": Interval(mean=calibration.error, ci95=None, n=scores.correct.size),
            **({"bit_errors": _interval(scores.errors)} if probe else {}),
        },
        by_presentation=by_presentation,
        ceiling=ceiling,
        bits=scores.correct.shape[1] if probe else None,
        reliability=ReliabilityCurve(
            answers=calibration.answers.tolist(),
            confidence=_rounded(calibration.confidence),
            accuracy=_rounded(calibration.accuracy),
        ),
        updates=trained.updates,
        examples=trained.examples,
        training_seconds=trained.seconds,
        best_val_accuracy=trained.best_val_accuracy,
        parameters=trained.parameters,
        transductive=trained.transductive,
        warnings=[*trained.warnings, *told],
        test_seconds=seconds,
        environment=environment(device),
        source=source,
        finished=now(),
    )
    write_json(assignment.output, result)


def _presentations(
    cell: Cell, scores: Scores
) -> tuple[list[Interval] | None, float | None, list[str]]:
    """Accuracy by presentation, the ceiling at the first, and a warning where it is exceeded."""
    if scores.by_presentation is None:
        return None, None, []
    ceiling = first_presentation_ceiling(cell.task.ways)
    first = scores.by_presentation[:, 0]
    p = first_presentation_p(first, cell.task.ways)
    told = []
    if p < LEAK_P:
        told.append(
            f"LEAK: {first.mean():.1%} at the first presentation, and an honest learner cannot be "
            f"above {ceiling:.1%} (p = {p:.1e}): it sees labels that it should not"
        )
    return [_interval(column) for column in scores.by_presentation.T], ceiling, told


def _interval(values: Any) -> Interval:
    mean, ci95 = mean_interval(values)
    return Interval(mean=mean, ci95=ci95, n=len(values))


def _rounded(values: Any) -> list[float]:
    """Six decimals: more than the answers hold, and half the file."""
    return [round(float(value), 6) for value in values]
