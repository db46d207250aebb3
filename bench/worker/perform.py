"""What a worker process does: one training, its audits, one meta-test, or one timing.

Everything is read from the `Assignment` and written into the job's folder, so that an assignment
can be carried out in this process, in another, or on another machine that shares the folder.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bench.api import Learner
from bench.api.dataset import DataFolders, DatasetSource
from bench.data.probes import Probe
from bench.episodes.classes import Bank, Pool, Purpose, class_pool, training_batch, typical
from bench.errors import BenchError
from bench.planning.data import training_source
from bench.planning.jobs import Cell, Training
from bench.registry.contestants import configure
from bench.registry.discovery import learners
from bench.registry.source_hash import source_hash
from bench.statistics.intervals import (
    LEAK_P,
    first_presentation_ceiling,
    first_presentation_p,
    mean_interval,
    reliability,
)
from bench.store.atomic import locked, save_arrays, write_json
from bench.store.records import (
    AuditResult,
    CellResult,
    CurvePoint,
    EpisodeScores,
    Interval,
    ReliabilityCurve,
    TimingResult,
    TrainingResult,
)
from bench.worker.auditing import audit_training
from bench.worker.environment import Device, environment
from bench.worker.evaluation import Scores, evaluate, picture
from bench.worker.timing import Stopwatch, peak_memory
from bench.worker.training_loop import (
    MetaTraining,
    Progress,
    best_weights,
    build_learner,
    examples,
    validation_bank,
    warnings,
)

SMOKE_SECONDS, SMOKE_BATCH = 0.2, 4
"""A smoke run shows that all works: no phase is timed for longer, no batch is larger."""


Phase = Literal["train", "audit", "test", "time"]


@dataclass(frozen=True)
class Assignment:
    """One thing to do.

    Attributes:
        phase: ``train`` or ``audit`` a training, ``test`` or ``time`` a cell.
        training: the training; a cell's own.
        cell: the cell; None when it is about a training.
        results: the results folder.
        folders: where data lies.
        device: where to do it.
        threads: CPU threads for a device that names none; None: all cores.
    """

    phase: Phase
    training: Training
    cell: Cell | None
    results: Path
    folders: DataFolders
    device: str
    threads: int | None = None

    @property
    def folder(self) -> Path:
        """The job's folder."""
        job = self.cell or self.training
        return job.folder(self.results)

    @property
    def output(self) -> Path:
        """The file whose presence means that it is done."""
        if self.phase == "time":
            return self.folder / "timings" / f"{Device.parse(self.device).file_name}.json"
        if self.phase == "audit":
            return self.folder / "audits.json"
        return self.folder / "result.json"

    @property
    def failure(self) -> Path:
        """The file that says why it failed."""
        if self.phase in {"audit", "time"}:
            return self.output.with_suffix(".failure.json")
        return self.folder / "failure.json"


def perform(assignment: Assignment, progress: Progress) -> None:
    """Does it, unless it is done. Whatever a learner raises comes through."""
    device = Device.parse(assignment.device)
    device.use(assignment.threads)
    with locked(assignment.folder):
        if assignment.output.exists():
            return
        phases = {"train": _train, "audit": _audit, "test": _test, "time": _time}
        phases[assignment.phase](assignment, device, progress)


def _train(assignment: Assignment, device: Device, progress: Progress) -> None:
    training, folder = assignment.training, assignment.folder
    learner, source = _learner(training, device)
    fields: dict[str, Any] = {"curve": [], "warnings": []}
    if training.budget is None:
        fields |= {"updates": 0, "examples": 0, "seconds": 0.0, "validation_seconds": 0.0}
        fields |= {"stopped": "nothing to train", "best_update": 0, "best_val_accuracy": None}
        fields |= {"overhead": 0.0}
    else:
        train = _pool(training, "train", training.train_rotations, assignment.folders)
        val = _pool(training, "val", training.val_rotations, assignment.folders)
        train, bank = train.to(device.torch), validation_bank(training, val.to(device.torch))
        history = MetaTraining(training, learner, train, bank, folder, progress).run()
        assert history.best is not None  # a training ends with a meta-validation
        fields |= {
            "updates": history.updates,
            "examples": history.examples,
            "seconds": history.seconds,
            "overhead": history.overhead,
            "validation_seconds": history.validation_seconds,
            "stopped": history.stopped,
            "best_update": history.best["updates"],
            "best_val_accuracy": history.best["val_accuracy"],
            "curve": [CurvePoint(**point) for point in history.curve],
            "warnings": warnings(history, bank),
        }
    asked = training.model_dump(mode="json")
    result = TrainingResult(
        **{key: asked[key] for key in ("learner", "learner_name", "family", "config", "task")},
        **{key: asked[key] for key in ("seed", "device", "precision")},
        **fields,
        id=training.id,
        budget=training.budget_name,
        parameters=sum(p.numel() for p in learner.parameters()),
        transductive=bool(learner.transductive),
        environment=environment(device),
        source=source,
        finished=_now(),
    )
    write_json(assignment.output, result)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _audit(assignment: Assignment, device: Device, progress: Progress) -> None:
    training, started = assignment.training, time.perf_counter()
    learner, source = _learner(training, device)
    _trained(learner, training, assignment.results)
    pool = _pool(training, "val", training.val_rotations, assignment.folders).to(device.torch)
    weights = learner.state_dict()

    def build() -> Learner:
        """One with weights of its own, for a check to do with as it likes."""
        made = build_learner(training, type(learner), learner.config).to(device.torch)
        made.load_state_dict(weights)
        return made

    # Answers are held to rounding, and TF32 has three digits.
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        audits = audit_training(training, type(learner), build, pool)
    result = AuditResult(
        audits=audits,
        seconds=time.perf_counter() - started,
        environment=environment(device),
        source=source,
        finished=_now(),
    )
    write_json(assignment.output, result)


def _test(assignment: Assignment, device: Device, progress: Progress) -> None:
    cell, folder = _cell(assignment), assignment.folder
    learner, source = _learner(cell.training, device)
    trained = _trained(learner, cell.training, assignment.results)
    bank = _bank(cell, assignment.folders).to(device.torch)
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
        folder / "episodes.json",
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
        save_arrays(folder / "weightings.npz", pixels)
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
        finished=_now(),
    )
    write_json(assignment.output, result)


def _time(assignment: Assignment, device: Device, progress: Progress) -> None:
    cell, training = _cell(assignment), assignment.training
    learner, source = _learner(training, device)
    _trained(learner, training, assignment.results)
    bank = _bank(cell, assignment.folders).to(device.torch)
    smoke = training.budget_name == "smoke"
    watch = Stopwatch(learner, device, training.precision, SMOKE_SECONDS if smoke else None)
    progress({"fraction": 0.1})
    phases = watch.answers(bank)
    progress({"fraction": 0.4})
    together = min(SMOKE_BATCH if smoke else cell.timing_batch, len(bank))
    throughput = watch.throughput(bank, together)
    progress({"fraction": 0.7})
    if training.budget is not None:
        pool = _pool(training, "train", training.train_rotations, assignment.folders)
        task = typical(training.task)
        batch = training_batch(pool.to(device.torch), task, training.seed, 0)
        phases |= watch.meta_train(batch, examples(task, training.seed, 0))
    result = TimingResult(
        device=device.name,
        phases=phases,
        throughput_batch=together,
        throughput=throughput,
        peak_memory=peak_memory(device),
        environment=environment(device),
        source=source,
        finished=_now(),
    )
    write_json(assignment.output, result)


def _learner(training: Training, device: Device) -> tuple[Learner, str]:
    """The learner with its initial weights on the device, and the hash of its source."""
    learner = learners().get("learner", training.learner_name)
    config = configure(training.learner_name, learner, training.config).config
    return build_learner(training, learner, config).to(device.torch), source_hash(learner)


def _trained(learner: Learner, training: Training, results: Path) -> TrainingResult:
    """Gives the learner its best weights; returns the training's result."""
    folder = training.folder(results)
    result = TrainingResult.model_validate_json((folder / "result.json").read_bytes())
    if training.budget is not None:
        if not (folder / "best.pt").exists():
            raise BenchError(
                f"the weights {folder / 'best.pt'} are gone (reference results come without "
                "weights); `bench run --rerun` trains again"
            )
        learner.load_state_dict(best_weights(folder))
    return result


def _pool(
    training: Training,
    phase: Literal["train", "val", "test"],
    rotations: bool,
    folders: DataFolders,
) -> Pool:
    """What a phase draws from.

    Raises:
        BenchError: where the data has changed since the run was planned.
    """
    source = training_source(training)
    if isinstance(source, Probe):
        return source
    assert isinstance(source, DatasetSource), "planned as one of the two"
    data = source.load(training.image_size, folders, lambda message: None)
    if data.content != training.content:
        raise _changed(training)
    split = source.split(training.split, data)
    return class_pool(data, getattr(split, phase), rotations)


def _changed(training: Training) -> BenchError:
    return BenchError(f"the data of {training.dataset} has changed since the run was planned")


def _bank(cell: Cell, folders: DataFolders) -> Bank:
    """The episodes that the cell answers.

    Raises:
        BenchError: where they are not the ones that were planned: the data has changed.
    """
    training = cell.training
    pool = _pool(training, "test", cell.test_rotations, folders)
    bank = Bank.drawn(pool, cell.task, cell.episodes, cell.bank_seed, Purpose.TEST)
    if bank.draw.digest() != cell.bank:
        raise _changed(training)
    return bank


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


def _cell(assignment: Assignment) -> Cell:
    assert assignment.cell is not None, "a cell is tested and timed"
    return assignment.cell


def _interval(values: Any) -> Interval:
    mean, ci95 = mean_interval(values)
    return Interval(mean=mean, ci95=ci95, n=len(values))


def _rounded(values: Any) -> list[float]:
    """Six decimals: more than the answers hold, and half the file."""
    return [round(float(value), 6) for value in values]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
