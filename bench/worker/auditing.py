"""Audits of a training: the checks for leaks, transduction and order on its trained weights.

They are made on episodes of the training's own task from the meta-validation classes (the bank of
the meta-test stays closed), and on few of them: a training is audited in about a second.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from bench.api import Learner
from bench.api.executor import Progress
from bench.episodes.banks import typical
from bench.episodes.pools import Pool
from bench.episodes.words import Purpose
from bench.planning.jobs import Training
from bench.registry.installed import protocol
from bench.store.atomic import write_json
from bench.store.records import Audit, AuditResult
from bench.testing.audits import Trained, audit
from bench.testing.check import CheckResult
from bench.worker.assignment import Assignment
from bench.worker.devices import Device
from bench.worker.environment import environment, now
from bench.worker.evaluation import fitting
from bench.worker.loading import load_learner, load_pool, load_weights
from bench.worker.training_loop import build_learner


def audit_phase(assignment: Assignment, device: Device, progress: Progress) -> None:
    training, started = assignment.training, time.perf_counter()
    learner, source = load_learner(training, device, assignment.source)
    load_weights(learner, training, assignment.results)
    pool = load_pool(training, "val", training.val_rotations, assignment.folders).to(device.torch)
    weights = learner.state_dict()

    def build() -> Learner:
        """One with weights of its own, for a check to do with as it likes."""
        twin = build_learner(training, type(learner), learner.config).to(device.torch)
        twin.load_state_dict(copy.deepcopy(weights))  # extra state is taken as it is
        return twin

    audits = audit_training(training, type(learner), build, pool)
    result = AuditResult(
        training=assignment.training.id,
        audits=audits,
        seconds=time.perf_counter() - started,
        environment=environment(device),
        source=source,
        finished=now(),
    )
    write_json(assignment.output, result)


MOST, FEWEST = 8, 2
"""Episodes."""


def audit_training(
    training: Training, learner: type[Learner], build: Callable[[], Learner], pool: Pool
) -> list[Audit]:
    """What the audits find.

    Args:
        training: says the task, the budget and the seed of the episodes.
        learner: its class.
        build: makes a new learner with the trained weights, on the device.
        pool: what meta-validation draws from, on the device.
    """
    episodes = audit_episodes(training, learner, pool)
    trained = Trained(protocol(training.task.protocol), learner, build, *episodes)
    return [_recorded(result) for result in audit(trained)]


def audit_episodes(training: Training, learner: type[Learner], pool: Pool) -> tuple[Any, Any, Any]:
    """Episodes to answer, as many others, and a batch as `Learner.loss` is given it."""
    own = protocol(training.task.protocol)
    task, inputs = own.audit_task(typical(training.task), pool, learner)
    room = fitting(task, own.audit_room) // inputs
    count = FEWEST if training.budget_name == "smoke" else max(FEWEST, min(MOST, room))

    def drawn(number: int, episodes: int, classes: bool = False) -> Any:
        # Number 0 is the bank of meta-validation.
        draw = pool.draw(task, episodes, training.bank_seed, Purpose.VALIDATION, number)
        return pool.build(task, draw, classes)

    given = drawn(3, FEWEST, classes=True)
    if getattr(given, "classes", None) is not None:
        given.classes %= max(1, training.task.classes)  # the learner knows those of meta-training
    return drawn(1, count), drawn(2, count), given


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
