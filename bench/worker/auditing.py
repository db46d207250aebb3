"""Audits of a training: the checks for leaks, transduction and order on its trained weights.

They are made on episodes of the training's own task from the meta-validation classes (the bank of
the meta-test stays closed), and on few of them: a training is audited in about a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench.api.executor import Progress
from bench.episodes.banks import typical
from bench.episodes.classes import ClassPool
from bench.episodes.pools import Batch, Pool
from bench.episodes.words import Purpose
from bench.planning.jobs import Training
from bench.store.atomic import write_json
from bench.store.records import (
    Audit,
    AuditResult,
)
from bench.testing.audits import Trained, audit
from bench.testing.check import CheckResult
from bench.worker.assignment import Assignment
from bench.worker.devices import Device
from bench.worker.environment import environment, now
from bench.worker.loading import load_learner, load_pool, load_weights
from bench.worker.training_loop import (
    build_learner,
)


def audit_phase(assignment: Assignment, device: Device, progress: Progress) -> None:
    training, started = assignment.training, time.perf_counter()
    learner, source = load_learner(training, device)
    load_weights(learner, training, assignment.results)
    pool = load_pool(training, "val", training.val_rotations, assignment.folders).to(device.torch)
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
        finished=now(),
    )
    write_json(assignment.output, result)


MOST, FEWEST = 8, 2
"""Episodes."""


IMAGES, STEPS = 160, 1600
"""Images, or steps of memory probes, that they have together, about."""


WAYS, QUERIES, PRESENTATIONS = 20, 2, 2
"""What a task is cut down to; presentations where a learner conditions on every prefix."""


def audit_training(
    training: Training, learner: type[Learner], build: Callable[[], Learner], pool: Pool
) -> list[Audit]:
    """What the audits find.

    Args:
        training: says the task, the budget and the seed of the episodes.
        learner: its class.
        build: makes a new learner with the trained weights, on the device.
        pool: the meta-validation classes, or the probe, on the device.
    """
    trained = Trained(learner, build, *audit_episodes(training, learner, pool))
    return [_recorded(result) for result in audit(trained)]


def audit_episodes(
    training: Training, learner: type[Learner], pool: Pool
) -> tuple[Batch, Batch, Batch]:
    """Episodes to answer, as many others, and a batch as `Learner.loss` is given it."""
    task, inputs = _task(training, learner, pool)
    room = IMAGES if isinstance(pool, ClassPool) else STEPS
    count = FEWEST if training.budget_name == "smoke" else max(FEWEST, min(MOST, room // inputs))

    def drawn(number: int, episodes: int, classes: bool = False) -> Batch:
        # Number 0 is the bank of meta-validation.
        draw = pool.draw(task, episodes, training.bank_seed, Purpose.VALIDATION, number)
        return pool.build(task, draw, classes)

    given = drawn(3, FEWEST, classes=True)
    if isinstance(given, Episodes | Stream) and given.classes is not None:
        given.classes %= max(1, training.task.classes)  # the learner knows those of meta-training
    return drawn(1, count), drawn(2, count), given


def _task(training: Training, learner: type[Learner], pool: Pool) -> tuple[TaskSpec, int]:
    """The training's task, of a range of shots or items the middle, cut down where it is large;
    and the images or steps that answering an episode of it takes."""
    task = typical(training.task)
    if not isinstance(pool, ClassPool):
        return task, pool.inputs(task)
    ways = min(task.ways, len(pool), WAYS)
    if task.protocol == "kshot":
        shots, queries = sum(task.shot_range) // 2, min(task.queries, QUERIES)
        task = task.but(ways=ways, shots=shots, queries=queries)
        return task, pool.inputs(task)
    if learner.unroll is Learner.unroll:  # T (T - 1) / 2 images, and as many times what adapts
        length = ways * min(task.presentations, PRESENTATIONS)
        return task.but(ways=ways, length=length), max(1, length * (length - 1) // 2)
    length = ways * task.presentations
    return task.but(ways=ways, length=length), length


def _recorded(result: CheckResult) -> Audit:
    measured = result.status == "not applicable" and result.value is not None
    outcome = {"pass": "passed", "fail": "failed", "not applicable": "not applicable"}
    return Audit(
        name=result.name,
        outcome="measured" if measured else outcome[result.status],  # type: ignore[arg-type]
        explanation=result.explanation,
        found=result.reason,
        value=result.value,
        traceback=result.traceback,
    )
