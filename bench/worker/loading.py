"""What every phase begins with: the learner, its weights, its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from bench.api import Learner
from bench.api.dataset import DataFolders, Source
from bench.api.executor import PlanMismatchError
from bench.data.own_data import own_source
from bench.episodes.banks import Bank
from bench.episodes.pools import Pool
from bench.episodes.words import Purpose
from bench.errors import BenchError
from bench.planning.jobs import Cell, TestedData, Training
from bench.planning.transfer import tested_pool
from bench.registry.contestants import configure
from bench.registry.installed import datasets, learners, protocol
from bench.registry.source_hash import source_hash
from bench.store import layout
from bench.store.checked import Json, UnreadableError, read_record
from bench.store.records import TrainingResult
from bench.worker.assignment import Assignment
from bench.worker.checkpoints import best_weights
from bench.worker.devices import Device
from bench.worker.training_loop import build_learner


def training_source(training: Training) -> Source:
    """The dataset that a training learns from.

    Raises:
        BenchError: where it is not installed.
    """
    if training.images is not None:
        return own_source(training.images)
    return datasets(training.dataset).get(training.dataset)


def load_learner(
    training: Training, device: Device, source: str | None = None
) -> tuple[Learner, str]:
    """The learner with its initial weights on the device, and the hash of its source. Imports its
    package and no other's.

    Args:
        training: says which one.
        device: where its weights are to be.
        source: the hash that it had when it was planned; None: any will do.

    Raises:
        PlanMismatchError: its source is another one.
        BenchError: it is not there, or cannot be used.
    """
    name, file = training.learner_name, training.file
    if file is not None:
        learner, code = file.load(), file.code
    else:
        learner = learners(name).get(name)
        code = source_hash(learner)
    if source not in {None, code}:
        raise PlanMismatchError(
            f"the code of {name} is not what was planned: {code} here, {source} in the plan; "
            "install the same version on both machines, or give the run again where this one is"
        )
    config = configure(name, learner, training.config).config
    return build_learner(training, learner, config).to(device.torch), code


def load_weights(learner: Learner, training: Training, results: Path) -> Json:
    """Gives the learner its best weights; returns the training's result, a
    `bench.store.records.TrainingResult` as JSON.

    Raises:
        BenchError: they are missing or damaged, or not this learner's.
    """
    folder = training.folder(results)
    path = folder / layout.RESULT
    try:
        result = read_record(path, TrainingResult, ("id", training.id))
        path = folder / layout.WEIGHTS
        if training.budget is not None:
            give_weights(learner, best_weights(folder))
    except UnreadableError as error:
        raise BenchError(
            f"the weights of this training cannot be used: {path} {error} (reference results come "
            "without weights); `bench run --rerun` trains again"
        ) from error
    return result


def give_weights(learner: Learner, weights: dict[str, Any]) -> None:
    """Loads a state dict.

    Raises:
        UnreadableError: it is of another learner, or of another version of this one.
    """
    try:
        learner.load_state_dict(weights)
    except Exception as error:  # the learner's own set_extra_state may raise anything
        raise UnreadableError(f"does not fit the learner ({error})") from error


def load_pool(
    training: Training,
    phase: Literal["train", "val", "test"],
    rotations: bool,
    folders: DataFolders,
) -> Pool:
    """What a phase draws from.

    Raises:
        PlanMismatchError: where the data has changed since the run was planned.
    """
    source, asked = training_source(training), protocol(training.task.protocol)
    data = asked.load(source, training.image_size, folders, lambda message: None)
    if data.content != training.content:
        raise _changed(training.dataset)
    split = asked.split(source, training.split, data)
    return asked.pool(data, split, phase, rotations)


def load_other(training: Training, tested: TestedData, folders: DataFolders) -> Pool:
    """What a meta-test on other data than the training's draws from.

    Raises:
        BenchError: where it is not installed, or has changed since the run was planned.
    """
    asked = protocol(training.task.protocol)
    source = (
        datasets(tested.dataset).get(tested.dataset)
        if tested.images is None
        else own_source(tested.images)
    )
    data = asked.load(source, training.image_size, folders, lambda message: None)
    if data.content != tested.content:
        raise _changed(tested.dataset)
    return tested_pool(asked, data, tested)


def _changed(dataset: str) -> PlanMismatchError:
    return PlanMismatchError(
        f"the data of {dataset} has changed since the run was planned, or is another one on this "
        "machine"
    )


def load_bank(cell: Cell, folders: DataFolders) -> Bank:
    """The episodes that the cell answers.

    Raises:
        PlanMismatchError: where they are not the ones that were planned: the data has changed.
    """
    training = cell.training
    if cell.tested is None:
        pool = load_pool(training, "test", cell.test_rotations, folders)
    else:
        pool = load_other(training, cell.tested, folders)
    bank = Bank.drawn(pool, cell.task, cell.episodes, cell.bank_seed, Purpose.TEST)
    if bank.draw.digest() != cell.bank:
        raise _changed(training.dataset if cell.tested is None else cell.tested.dataset)
    return bank


def cell_of(assignment: Assignment) -> Cell:
    assert assignment.cell is not None, "a cell is tested and timed"
    return assignment.cell
