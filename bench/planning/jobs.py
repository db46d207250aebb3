"""Trainings and cells: what decides them, and where they lie.

Nothing here imports torch, so that a process which only has others work need not.

A *training* makes weights. A *cell* is a training on a test setting. Both are folders named by a
hash of all that decides them and of nothing else: a suite's name does not make another training,
and neither does a timing on a further device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

from bench.api import TaskSpec
from bench.data.class_folder import ClassFolder
from bench.registry.learner_files import LearnerFile
from bench.store import layout
from bench.store.atomic import write_json
from bench.store.checked import Part, Problem, UnreadableError, missing, read_json, record_part
from bench.store.files import check_picture, check_scores
from bench.store.options import without_paths
from bench.store.records import CellResult, Failure, Measure, TrainingResult
from bench.suites.schema import Budget

Precision = Literal["fp32", "bf16"]


DeviceKind = Literal["cpu", "cuda", "mps"]


Status = Literal["done", "failed", "unfinished"]


KEPT = "kept_id"
"""Where a job keeps its id; no field."""


class Job(BaseModel):
    """Base of trainings and cells: an identity, a folder, a status."""

    model_config = ConfigDict(frozen=True)

    @property
    def id(self) -> str:
        """12 hex digits that name what decides this and nothing else.

        Computed each time, in some 0.05 ms, unless `keep_id` was called: kept, it would outlive a
        change of what it names. Who looks jobs up by it many times groups them first.
        """
        kept: str | None = self.__dict__.get(KEPT)
        if kept is not None:
            return kept
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def keep_id(self) -> None:
        """Computes the id for the last time: for who changes nothing any more and asks often."""
        self.__dict__[KEPT] = self.id

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Another one, with an id of its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop(KEPT, None)
        return copied

    def identity(self) -> dict[str, Any]:
        """All that decides it, as JSON."""
        raise NotImplementedError

    def folder(self, results: Path) -> Path:
        """Where it lies."""
        raise NotImplementedError

    def parts(self, results: Path) -> list[Part]:
        """The files that it has when it is done, the last one written first."""
        raise NotImplementedError

    def damaged(self, results: Path) -> list[Problem]:
        """What is of no use of that which was finished, or said to be; nothing where nothing was.

        Raises:
            BenchError: a file is from a newer version of bench.
        """
        result, *others = self.parts(results)
        if missing(result.path):
            return []
        found = ((part.path, part.damage()) for part in (result, *others))
        return [Problem(str(path), why) for path, why in found if why is not None]

    def status(self, results: Path) -> Status:
        """The result is written last: what has one, whole and its own, with all that belongs to it,
        is done."""
        result, *others = self.parts(results)
        if all(part.damage() is None for part in (result, *others)):
            return "done"
        return "unfinished" if self.failure(results) is None else "failed"

    def failure(self, results: Path) -> str | None:
        """Why it failed; None where that is not said, or not readable, and where another process
        has finished it since."""
        path = self.folder(results) / layout.FAILURE
        if missing(path) or record_part(path, Failure).damage() is not None:
            return None
        if all(part.damage() is None for part in self.parts(results)):
            return None
        try:
            return str(read_json(path)["reason"])
        except UnreadableError:  # another run has removed it at this moment
            return None


class Training(Job):
    """A meta-training: everything needed to do it again."""

    learner: str
    """Label: the name with the options that differ from the defaults."""
    learner_name: str
    family: str
    config: dict[str, Any]
    """As JSON: `bench.registry.contestants.Contestant.options`."""
    file: LearnerFile | None = None
    """Where the learner lies, and its code, where it is not installed."""
    task: TaskSpec
    """What it is trained with."""
    dataset: str
    content: str
    """Hash of the dataset's pixels."""
    image_size: int
    split: str
    images: ClassFolder | None = None
    """Where data of the user's own lies and how its classes are split, to load it; `dataset`,
    `content` and `split` say what it is. None: an installed dataset."""
    train_rotations: bool
    val_rotations: bool
    budget_name: str
    budget: Budget | None
    """None: nothing to train."""
    bank_seed: int
    """Of the meta-validation bank."""
    seed: int
    precision: Precision
    compiled: bool = False
    """Whether the update is compiled, which rounds differently."""
    captured: bool = False
    """Whether the update is a CUDA graph where it can be, which is the same by another way."""
    device: DeviceKind
    """The kind: which one of several it was is told to the worker, and stands in the environment of
    the result."""

    def identity(self) -> dict[str, Any]:
        """Everything but the names that only describe, and the way by which it is computed. An
        installed learner is what its name says; of one that is not, the code counts, and not the
        place."""
        descriptive = {"learner", "family", "budget_name", "images", "file", "captured"}
        content = self.model_dump(mode="json", exclude=descriptive)
        if self.file is not None:
            content["code"] = self.file.code
        if not self.compiled:  # younger than the first results, which keep their names
            del content["compiled"]
        content["task"] = task_identity(self.task)
        content["config"] = without_paths(content["config"])
        if self.budget is not None:  # how long the meta-test is does not change the weights
            content["budget"].pop("test_episodes")
        return content

    @property
    def compiles(self) -> bool:
        """Whether something is made of the update before it is used."""
        return self.compiled or self.captured

    def folder(self, results: Path) -> Path:
        """``trainings/<learner>-<id>``."""
        return layout.training_folder(results, f"{folder_name(self.learner_name)}-{self.id}")

    def parts(self, results: Path) -> list[Part]:
        """Its result. The weights are looked at where they are needed: reference results come
        without."""
        return [record_part(self.folder(results) / layout.RESULT, TrainingResult, id=self.id)]


class TestedData(BaseModel):
    """Other data than a training's, that a cell is tested on."""

    __test__ = False  # of pytest's collection
    model_config = ConfigDict(frozen=True)

    dataset: str
    split: str
    content: str
    """Hash of the dataset's pixels."""
    classes: tuple[int, ...]
    """Their numbers: those of the split that are new."""
    images: ClassFolder | None = None
    """Where data of the user's own lies. None: an installed dataset."""


class Cell(Job):
    """A training on a test setting of a suite."""

    training: Training
    suite: str
    suite_version: int
    suite_file: str | None = None
    """The path that the suite was asked for by, where it is not installed; it decides nothing."""
    setting: str
    task: TaskSpec
    """What it is tested with."""
    tested: TestedData | None = None
    """None: it is tested on the training's dataset."""
    test_rotations: bool
    bank_seed: int
    bank_episodes: int
    """Episodes in the whole bank."""
    episodes: int
    """Episodes answered: the first part of the bank."""
    bank: str
    """Hash of the episodes answered."""
    timing_batch: int
    measure: Measure | None = None
    """What learners are ranked by in this setting; it decides nothing, and a report needs it."""

    def identity(self) -> dict[str, Any]:
        """The training, the setting and the episodes."""
        content = {
            "training": self.training.id,
            "suite": self.suite,
            "suite_version": self.suite_version,
            "setting": self.setting,
            "task": task_identity(self.task),
            "bank": self.bank,
        }
        if self.tested is not None:  # younger than the first results, which keep their names
            content["tested"] = self.tested.model_dump(mode="json", exclude={"images"})
        return content

    def folder(self, results: Path) -> Path:
        """``cells/<suite>/<setting>/<learner>-<id>``."""
        name = f"{folder_name(self.training.learner_name)}-{self.id}"
        return layout.cell_folder(results, self.suite, self.setting, name)

    def parts(self, results: Path) -> list[Part]:
        """Its result, the scores that it sums up, and a memory probe's picture if it has one."""
        folder = self.folder(results)
        training = self.training.folder(Path()).name
        metric = self.measure.metric if self.measure else None
        scores = (self.bank, self.episodes, metric)
        parts = [
            record_part(folder / layout.RESULT, CellResult, id=self.id, training=training),
            Part(folder / layout.EPISODES, check_scores, scores),
        ]
        picture = folder / layout.WEIGHTINGS
        return parts if missing(picture) else [*parts, Part(picture, check_picture)]

    def described(self) -> dict[str, Any]:
        """The fields of `bench.store.records.CellResult` that are known before it runs."""
        training = self.training.model_dump(mode="json")
        cell = self.model_dump(mode="json")
        from_training = (
            "learner", "learner_name", "family", "config", "seed", "device", "precision",
            "compiled", "dataset", "split",
        )  # fmt: skip
        from_cell = (
            "suite", "suite_version", "suite_file", "setting", "task", "test_rotations", "bank",
            "bank_episodes", "episodes", "measure",
        )  # fmt: skip
        return {
            **{key: training[key] for key in from_training},
            **{key: cell[key] for key in from_cell},
            "id": self.id,
            "budget": self.training.budget_name,
            "training": self.training.folder(Path()).name,
            "training_task": training["task"],
            "protocol": self.task.protocol,
            "test_dataset": None if self.tested is None else self.tested.dataset,
            "test_split": None if self.tested is None else self.tested.split,
        }


@dataclass
class Plan:
    """Trainings and cells, and what the user should know about them."""

    cells: list[Cell] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Learners that could not be planned, by label, and why. What they are trained with, which is
    a part of every id, is not known: nothing is stored of them."""
    words: dict[str, str] = field(default_factory=dict)
    """What each training learns, in the words of its protocol, by the training's id."""
    sources: dict[str, str] = field(default_factory=dict)
    """Hash of the code of each learner, by its name."""
    checked: list[str] = field(default_factory=list)
    """See `bench.api.DataFolders.checked`."""

    @property
    def trainings(self) -> list[Training]:
        """Each once, in the order of the cells."""
        return list({cell.training.id: cell.training for cell in self.cells}.values())


def folder_name(learner: str) -> str:
    """A learner's name in that of a folder; ``module:Class`` has what some systems do not allow."""
    return learner.replace(":", ".")


TASK: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)


def task_identity(task: TaskSpec) -> dict[str, Any]:
    """A task's part of an identity: fields that are younger than the first results count only
    where they say something, so that those results keep their names."""
    content = TASK.dump_python(task, mode="json")
    younger = {"items": 0, "outputs": 0, "details": []}
    return {
        key: value for key, value in content.items() if key not in younger or value != younger[key]
    }


class Description(BaseModel):
    """What is written into ``training.json`` and ``cell.json`` before anything runs."""

    model_config = ConfigDict(extra="allow")


def describe(job: Training | Cell, results: Path) -> None:
    """Writes the job's description, where it is not there or damaged."""
    if isinstance(job, Cell):
        name, content = layout.CELL, job.described()
    else:
        name, content = layout.TRAINING, {"id": job.id, **job.model_dump(mode="json")}
    path = job.folder(results) / name
    try:
        there = read_json(path).get("id") == job.id
    except UnreadableError:
        there = False
    if not there:
        write_json(path, Description(**content))
