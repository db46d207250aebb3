"""The first phase: a meta-training, and its result."""

from __future__ import annotations

from typing import Any

import torch

from bench.api import Learner, TaskSpec
from bench.api.executor import Cancelled, Progress
from bench.store import layout
from bench.store.atomic import write_json
from bench.store.checked import UnreadableError, set_aside
from bench.store.records import CurvePoint, TrainingResult
from bench.worker.assignment import Assignment
from bench.worker.devices import Device
from bench.worker.environment import environment, now
from bench.worker.loading import load_learner, load_pool
from bench.worker.tracking import Watch
from bench.worker.training_loop import History, MetaTraining, validation_bank, warnings


def train_phase(assignment: Assignment, device: Device, progress: Progress) -> None:
    training, folder = assignment.training, assignment.folder
    learner, source = load_learner(training, device, assignment.source)
    fields: dict[str, Any] = {"curve": [], "warnings": []}
    if training.budget is None:
        fields |= {"updates": 0, "examples": 0, "seconds": 0.0, "validation_seconds": 0.0}
        fields |= {"stopped": "nothing to train", "best_update": 0, "best_val_accuracy": None}
        fields |= {"overhead": 0.0, "compile_seconds": None}
    else:
        train = load_pool(training, "train", training.train_rotations, assignment.folders)
        val = load_pool(training, "val", training.val_rotations, assignment.folders)
        train, bank = train.to(device.torch), validation_bank(training, val.to(device.torch))
        watch = Watch(assignment.tracker, training, folder, lambda note: progress({"note": note}))
        running: list[History] = []

        def told(event: dict[str, Any]) -> None:
            progress(event)
            for history in running:
                watch.see(history)

        try:
            run = MetaTraining(training, learner, train, bank, folder, told, source)
        except UnreadableError as error:
            checkpoint = folder / layout.CHECKPOINT
            progress({"note": f"{checkpoint} {error}: it is set aside, and trained from the start"})
            set_aside(checkpoint)
            learner, _ = load_learner(training, device, assignment.source)
            run = MetaTraining(training, learner, train, bank, folder, told, source)
        watch.begin(run.history)
        running.append(run.history)
        try:
            history = run.run()
        except Cancelled:
            run.checkpoint()
            raise
        finally:
            watch.end()
        assert history.best is not None  # a training ends with a meta-validation
        fields |= {
            "updates": history.updates,
            "examples": history.examples,
            "seconds": history.seconds,
            "overhead": history.overhead,
            "validation_seconds": history.validation_seconds,
            "compile_seconds": history.compile_seconds if training.compiles else None,
            "stopped": history.stopped,
            "best_update": history.best["updates"],
            "best_val_accuracy": history.best["val_accuracy"],
            "curve": [CurvePoint(**point) for point in history.curve],
            "warnings": warnings(history, bank),
        }
    asked = training.model_dump(mode="json")
    result = TrainingResult(
        **{key: asked[key] for key in ("learner", "learner_name", "family", "config", "task")},
        **{key: asked[key] for key in ("seed", "device", "precision", "compiled")},
        **fields,
        id=training.id,
        budget=training.budget_name,
        published_updates=published_updates(learner, training.task),
        threads=torch.get_num_threads(),
        parameters=sum(p.numel() for p in learner.parameters()),
        transductive=bool(learner.transductive),
        environment=environment(device),
        source=source,
        finished=now(),
    )
    write_json(assignment.output, result)
    (folder / layout.CHECKPOINT).unlink(missing_ok=True)


def published_updates(learner: Learner, task: TaskSpec) -> int | None:
    """Of the schedule in its paper. None where it has none, and where it does not answer as
    promised: a training is not lost over that, and ``bench check`` says it."""
    try:
        updates = learner.published_updates(learner.config, task)
    except Exception:  # a learner may raise anything
        return None
    return updates if type(updates) is int and updates > 0 else None
