"""The meta-test of a cell, and its result."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from torch import Tensor

from bench.api.executor import Progress
from bench.protocols.answers import rounded
from bench.store import layout
from bench.store.atomic import save_arrays, write_json
from bench.store.records import CellResult, EpisodeScores
from bench.worker.assignment import ANSWERS, Assignment
from bench.worker.devices import Device
from bench.worker.environment import environment, now
from bench.worker.evaluation import evaluate, picture, protocol_of
from bench.worker.keeping import keep
from bench.worker.loading import cell_of, load_bank, load_learner, load_weights

OF_THE_TRAINING = ("updates", "examples", "best_val_accuracy", "parameters", "transductive")
"""What the result of a test repeats of it."""


def test_phase(assignment: Assignment, device: Device, progress: Progress) -> None:
    cell, folder = cell_of(assignment), assignment.folder
    learner, source = load_learner(cell.training, device, assignment.source)
    trained = load_weights(learner, cell.training, assignment.results)
    bank = load_bank(cell, assignment.folders).to(device.torch)
    kept: list[dict[str, Tensor]] | None = [] if ANSWERS in assignment.store else None
    started = time.perf_counter()
    scores = evaluate(
        learner,
        bank,
        cell.training.precision,
        lambda done: progress({"fraction": done / cell.episodes}),
        kept,
    )
    seconds = time.perf_counter() - started
    summary = protocol_of(bank).summarise(scores, cell.task)
    stored: dict[str, Any] = {name: rounded(values) for name, values in scores.values.items()}
    write_json(folder / layout.EPISODES, EpisodeScores(bank=cell.bank, **stored))
    if kept is not None:
        keep(folder, bank, protocol_of(bank), kept)
    if arrays := picture(learner, bank):
        pixels = {name: np.rint(255 * a.clip(0, 1)).astype(np.uint8) for name, a in arrays.items()}
        save_arrays(folder / layout.WEIGHTINGS, pixels)
    result = CellResult(
        **cell.described(),
        metrics=summary.metrics,
        **summary.fields,
        **{key: trained[key] for key in OF_THE_TRAINING},
        published_updates=trained.get("published_updates"),
        training_seconds=trained["seconds"],
        warnings=[*trained.get("warnings", []), *summary.warnings],
        test_seconds=seconds,
        environment=environment(device),
        source=source,
        finished=now(),
    )
    write_json(assignment.output, result)
