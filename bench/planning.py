"""From what the user asks for to the trainings and cells that must exist."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.api import TaskSpec
from bench.cells import Cell, Precision, Training
from bench.data.base import DataFolders, ImageClasses, Notify, Split
from bench.episodes import Bank, ClassPool, Purpose, check_pool, class_pool
from bench.errors import BenchError, unknown_name
from bench.learner_specs import Contestant
from bench.plugins import datasets, suites
from bench.suites.schema import Budget, Setting, Suite, read_suite

LEAST_EPISODES = 200
"""A learner may answer the first part of a bank, but not less than this."""


@dataclass
class Plan:
    """Trainings and cells, and what the user should know about them."""

    cells: list[Cell] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def trainings(self) -> list[Training]:
        """Each once, in the order of the cells."""
        return list({cell.training.id: cell.training for cell in self.cells}.values())


@dataclass(frozen=True)
class SuiteData:
    """A suite's classes, by phase."""

    data: ImageClasses
    train: ClassPool
    val: ClassPool
    test: ClassPool


def choose_suites(names: Sequence[str]) -> list[Suite]:
    """Suites by name, glob or path of a TOML file, each once.

    Raises:
        BenchError: where a name fits none, or a file is no suite.
    """
    chosen: dict[str, Suite] = {}
    for name in names:
        if name.endswith(".toml"):
            suite = read_suite(Path(name))
            chosen[suite.name] = suite
            continue
        found = suites()
        matching = [known for known in sorted(found.things) if fnmatch.fnmatch(known, name)]
        for match in matching or [name]:
            chosen[match] = found.get("suite", match)
    return list(chosen.values())


def load_suite_data(suite: Suite, folders: DataFolders, notify: Notify) -> SuiteData:
    """Loads a suite's dataset and proves its split sound.

    Raises:
        BenchError: data missing or damaged, unknown split, classes shared between the phases, too
            few classes or images for a setting.
    """
    source = datasets().get("dataset", suite.dataset)
    if suite.split not in source.splits:
        hint = f"the suite {suite.name!r} names it"
        raise unknown_name(f"split of {suite.dataset}", suite.split, source.splits, hint)
    data = source.load(suite.image_size, folders, notify)
    split = source.split(suite.split, data)
    check_split(split, suite.split)
    train = class_pool(data, split.train, suite.rotations.train)
    val, test = (class_pool(data, part, suite.rotations.test) for part in (split.val, split.test))
    for name, setting in suite.settings.items():
        try:
            check_pool(test, setting.ways, images_per_class(setting))
        except BenchError as error:
            raise BenchError(f"{suite.name}, setting {name}: {error}") from error
    return SuiteData(data, train, val, test)


def check_split(split: Split, name: str) -> None:
    """Raises a `BenchError` unless each phase has classes, and no two phases share one."""
    for phase, classes in split._asdict().items():
        if len(classes) == 0:
            raise BenchError(f"the split {name!r} has no classes for {phase}")
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = set(getattr(split, first).tolist()) & set(getattr(split, second).tolist())
        if shared:
            raise BenchError(
                f"the split {name!r} has {len(shared)} classes in both {first} and {second} "
                f"(class {min(shared)} is one): meta-test would not be on new classes"
            )


def images_per_class(setting: Setting) -> int:
    """Images of a class that an episode of the setting needs."""
    return setting.presentations or (setting.shots or 0) + setting.queries


def test_task(suite: Suite, setting: Setting, pools: SuiteData) -> TaskSpec:
    """The task of a test setting."""
    return TaskSpec(
        input_shape=tuple(pools.test.images.shape[1:]),
        ways=setting.ways,
        shots=setting.shots or 1,
        queries=setting.queries,
        protocol=suite.protocol,
        length=setting.ways * (setting.presentations or 0),
        episodes_per_update=suite.episodes_per_update,
        classes=len(pools.train),
    )


def training_task(contestant: Contestant, task: TaskSpec, pool: ClassPool) -> TaskSpec:
    """The task the learner asks for, cut down to the classes and images that there are."""
    asked = contestant.learner.training_task(contestant.config, task)
    ways = min(asked.ways, len(pool))
    changes: dict[str, object] = {"ways": ways, "classes": len(pool)}
    if asked.protocol == "online":
        changes["length"] = asked.length // asked.ways * ways
    else:
        most = int(pool.counts.min())
        changes["queries"] = max(1, min(asked.queries, most - asked.shot_range[1]))
    return asked.but(**changes)


def read_budget(text: str, suite: Suite, contestant: Contestant, task: TaskSpec) -> Budget | None:
    """The budget of a training; None where the learner has no published schedule.

    Args:
        text: ``smoke``, ``standard``, ``paper``, ``<n>examples`` or ``<n>min``.
        suite: has the presets.
        contestant: has the published schedule.
        task: the training's task.

    Raises:
        BenchError: for a text that is none of these.
    """
    if text in {"smoke", "standard"}:
        preset: Budget = getattr(suite.budgets, text)
        return preset
    if text == "paper":
        updates = contestant.learner.published_updates(contestant.config, task)
        return None if updates is None else Budget(updates=updates, validations=50)
    match = re.fullmatch(r"(\d[\d_]*)\s*examples|(\d+(?:\.\d+)?)\s*min", text)
    number = float((match[1] or match[2]).replace("_", "")) if match else 0
    if match is None or number <= 0:
        raise BenchError(
            f"no budget is called {text!r}; use smoke, standard, paper, <n>examples "
            "(2000000examples) or <n>min (10min)"
        )
    return Budget(examples=int(number)) if match[1] else Budget(minutes=number)


def make_plan(
    chosen: Sequence[Suite],
    contestants: Sequence[Contestant],
    seeds: Sequence[int],
    device: str,
    budget: str,
    precision: Precision,
    folders: DataFolders,
    notify: Notify,
) -> Plan:
    """Every suite's settings by every learner by every seed.

    Raises:
        BenchError: see `load_suite_data` and `read_budget`.
    """
    plan = Plan()
    known: dict[str, Cell] = {}
    for suite in chosen:
        pools = load_suite_data(suite, folders, notify)
        for name, setting in suite.settings.items():
            task = test_task(suite, setting, pools)
            bank = Bank.drawn(pools.test, task, suite.test.episodes, suite.test.seed, Purpose.TEST)
            digest = cache(lambda episodes, bank=bank: bank.first(episodes).draw.digest())
            for contestant in contestants:
                trained = contestant.learner.trained
                for seed in seeds if trained else seeds[:1]:
                    training = make_training(
                        suite, contestant, task, pools, seed, device, budget, precision
                    )
                    if training is None:
                        plan.notes.append(
                            f"{contestant.label} has no published schedule for {suite.name} "
                            f"{name}; it is left out of --budget paper"
                        )
                        break
                    limit = training.budget.test_episodes if training.budget else None
                    if not trained and budget == "smoke":
                        limit = suite.budgets.smoke.test_episodes
                    share = contestant.learner.bank_share(contestant.config, task, len(bank))
                    episodes = min(len(bank), limit or len(bank), max(share, LEAST_EPISODES))
                    cell = Cell(
                        training=training,
                        suite=suite.name,
                        suite_version=suite.version,
                        setting=name,
                        task=task,
                        test_rotations=suite.rotations.test,
                        bank_seed=suite.test.seed,
                        bank_episodes=len(bank),
                        episodes=episodes,
                        bank=digest(episodes),
                        timing_batch=suite.timing_batch,
                    )
                    known.setdefault(cell.id, cell)
    plan.cells = list(known.values())
    return plan


def make_training(
    suite: Suite,
    contestant: Contestant,
    test: TaskSpec,
    pools: SuiteData,
    seed: int,
    device: str,
    budget: str,
    precision: Precision,
) -> Training | None:
    """The training that a test task needs; None where ``--budget paper`` has no schedule.

    A learner with nothing to train has the same training whatever budget and seed are asked for.
    """
    trained = contestant.learner.trained
    task = training_task(contestant, test, pools.train) if trained else test
    limit = read_budget(budget, suite, contestant, task)  # a mistake is told whoever learns
    if trained and limit is None:
        return None
    return Training(
        learner=contestant.label,
        learner_name=contestant.name,
        family=contestant.learner.family,
        config=contestant.options,
        task=task,
        dataset=suite.dataset,
        content=pools.data.content,
        image_size=suite.image_size,
        split=suite.split,
        train_rotations=suite.rotations.train,
        val_rotations=suite.rotations.test,
        budget_name=budget if trained else "none",
        budget=limit if trained else None,
        bank_seed=suite.test.seed,
        seed=seed if trained else 0,
        precision=precision,
        device=device,
    )
