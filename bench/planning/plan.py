"""From what the user asks for to the trainings and cells that must exist."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.api import TaskSpec
from bench.api.dataset import DataFolders, Notify
from bench.episodes.banks import Bank
from bench.episodes.pools import Pool
from bench.episodes.words import Purpose
from bench.errors import BenchError
from bench.planning.data import SuiteData, load_suite_data
from bench.planning.jobs import Cell, DeviceKind, Precision, Training
from bench.registry.contestants import Contestant
from bench.registry.installed import protocol
from bench.suites.installed import suites
from bench.suites.schema import Budget, Suite, read_suite

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


def choose_suites(names: Sequence[str]) -> list[Suite]:
    """Suites by name, glob or path of a TOML file, each once.

    Raises:
        BenchError: where a name fits none, a file is no suite, or two files have the same name.
    """
    chosen: dict[str, Suite] = {}
    for name in names:
        if name.endswith(".toml"):
            named = [read_suite(Path(name))]
        else:
            found = suites()
            fitting = [known for known in sorted(found.things) if fnmatch.fnmatch(known, name)]
            named = [found.get(match) for match in fitting or [name]]
        for suite in named:
            before = chosen.setdefault(suite.name, suite)
            if before.file.resolve() != suite.file.resolve():
                raise BenchError(
                    f"two suites are called {suite.name!r}: {before.file} and {suite.file}; give "
                    "one of them another name, or run them into separate results folders"
                )
    return list(chosen.values())


def test_task(suite: Suite, setting: Any, pools: SuiteData) -> TaskSpec:
    """The task of a test setting."""
    asked = protocol(suite.protocol)
    return asked.task(setting, pools.train, pools.test, suite.episodes_per_update)


def training_task(contestant: Contestant, task: TaskSpec, pool: Pool, val: Pool) -> TaskSpec:
    """The task the learner asks for, cut down to the data that meta-training and meta-validation
    have.

    Raises:
        BenchError: the learner asks for what its protocol cannot draw.
    """
    asked = contestant.learner.training_task(contestant.config, task)
    own = protocol(task.protocol)
    try:
        own.check_task(asked)
    except ValueError as error:
        raise BenchError(f"{contestant.label}: training_task: {error}") from error
    return own.cut_down(asked, pool, val)


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
    device: DeviceKind,
    budget: str,
    precision: Precision,
    folders: DataFolders,
    notify: Notify,
) -> Plan:
    """Every suite's settings by every learner by every seed.

    A learner that does not take part in a suite's protocol is left out, and a note says so.

    Raises:
        BenchError: see `load_suite_data` and `read_budget`; where nobody takes part in anything.
    """
    plan = Plan()
    known: dict[str, Cell] = {}
    took_part = False
    for suite in chosen:
        able = [who for who in contestants if suite.protocol in who.learner.protocols]
        others = [who.label for who in contestants if who not in able]
        taking_part = [who.within(suite.protocol) for who in able]
        if others:
            plan.notes.append(
                f"{suite.name} is without {', '.join(others)}: not made for the {suite.protocol} "
                "protocol"
            )
        took_part |= bool(taking_part)
        if not taking_part:
            continue
        pools = load_suite_data(suite, folders, notify)
        for name, setting in suite.settings.items():
            task = test_task(suite, setting, pools)
            bank = Bank.drawn(pools.test, task, suite.test.episodes, suite.test.seed, Purpose.TEST)
            measure = protocol(suite.protocol).measure(task, pools.test)
            digest = cache(lambda episodes, bank=bank: bank.first(episodes).draw.digest())
            for contestant in taking_part:
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
                        measure=measure,
                    )
                    known.setdefault(cell.id, cell)
    if not took_part:
        raise BenchError("nothing to run: " + "; ".join(plan.notes))
    plan.cells = list(known.values())
    return plan


def make_training(
    suite: Suite,
    contestant: Contestant,
    test: TaskSpec,
    pools: SuiteData,
    seed: int,
    device: DeviceKind,
    budget: str,
    precision: Precision,
) -> Training | None:
    """The training that a test task needs; None where ``--budget paper`` has no schedule.

    A learner with nothing to train has the same training whatever budget and seed are asked for.
    """
    trained = contestant.learner.trained
    shared = protocol(suite.protocol).shared(test, suite)
    task = training_task(contestant, shared, pools.train, pools.val) if trained else test
    limit = read_budget(budget, suite, contestant, task)  # a mistake is told whoever learns
    if trained and limit is None:
        return None
    return Training(
        learner=contestant.label,
        learner_name=contestant.name,
        family=contestant.learner.family,
        config=contestant.options,
        task=task,
        dataset=pools.dataset,
        content=pools.content,
        image_size=suite.image_size,
        split=pools.split,
        images=pools.images,
        train_rotations=suite.rotations.train,
        val_rotations=suite.rotations.test,
        budget_name=budget if trained else "none",
        budget=limit if trained else None,
        bank_seed=suite.test.seed,
        seed=seed if trained else 0,
        precision=precision,
        device=device,
    )
