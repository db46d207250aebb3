"""From what the user asks for to the trainings and cells that must exist."""

from __future__ import annotations

import fnmatch
import json
import re
import reprlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.apart.blame import touching
from bench.api import TaskSpec
from bench.api.dataset import DataFolders, Notify
from bench.episodes.banks import Bank
from bench.episodes.pools import Pool
from bench.episodes.words import Purpose
from bench.errors import BenchError
from bench.planning.compiled import NotCompiledError, refuse, why_not_compiled
from bench.planning.data import SuiteData, load_suite_data, setting_data
from bench.planning.jobs import Cell, DeviceKind, Plan, Precision, TestedData, Training
from bench.planning.transfer import not_here
from bench.registry.contestants import Contestant
from bench.registry.installed import protocol
from bench.store.records import LEAST_EPISODES, Measure
from bench.suites.installed import files_called, suites
from bench.suites.schema import Budget, Suite, read_suite

PRESETS = ("smoke", "standard", "paper")
BUDGET = re.compile(r"([0-9][0-9_]{0,18})\s*examples|([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*min")


class UnplannedError(BenchError):
    """A learner failed while it was planned: its own fault, which is not to stop the others."""


@contextmanager
def asking(contestant: Contestant, what: str) -> Iterator[None]:
    """Around what is asked of a learner.

    Raises:
        UnplannedError: it has raised something, or has ended the process that asked it before.
    """
    try:
        with touching(f"{what} of {contestant.label}"):
            yield
    except BenchError as error:
        raise UnplannedError(str(error)) from error
    except (Exception, SystemExit) as error:  # a learner may raise anything
        words = "".join(traceback.format_exception_only(error)).strip()
        raise UnplannedError(f"{what} failed: {words}") from error


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
            found = suites(name)
            if not found.things:
                found = suites()  # to say what is wrong with it, or which names there are
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


def file_of(suite: Suite) -> str | None:
    """The path that a suite has to be asked for by; None: its name is enough, it is installed."""
    if files_called(suite.name) == [suite.file.resolve()]:
        return None
    return str(suite.file)


def test_task(suite: Suite, setting: Any, pools: SuiteData) -> TaskSpec:
    """The task of a test setting."""
    asked = protocol(suite.protocol)
    return asked.task(setting, pools.train, pools.test, suite.episodes_per_update)


def training_task(contestant: Contestant, task: TaskSpec, pool: Pool, val: Pool) -> TaskSpec:
    """The task the learner asks for, cut down to the data that meta-training and meta-validation
    have.

    Raises:
        UnplannedError: the learner asks for what its protocol cannot draw, or not from this data.
    """
    own = protocol(task.protocol)
    with asking(contestant, "training_task"):
        asked = contestant.learner.training_task(contestant.config, task)
        if not isinstance(asked, TaskSpec):
            raise TypeError(f"it returned {asked!r}, which is no TaskSpec")
        own.check_task(asked)
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
        with asking(contestant, "published_updates"):
            updates = contestant.learner.published_updates(contestant.config, task)
            return None if updates is None else Budget(updates=updates, validations=50)
    return limited_budget(text)


def limited_budget(text: str) -> Budget:
    """``<n>examples`` or ``<n>min``.

    Raises:
        BenchError: for a text that is neither.
    """
    match = BUDGET.fullmatch(text)
    number = float((match[1] or match[2]).replace("_", "")) if match else 0
    if match is None or number <= 0:
        raise BenchError(
            f"no budget is called {reprlib.repr(text)}; use smoke, standard, paper, <n>examples "
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
    *,
    compiled: bool = False,
) -> Plan:
    """Every suite's settings by every learner by every seed.

    A learner that does not take part in a suite's protocol is left out, and a note says so. One
    that fails is left out too: see `Plan.failed`.

    Raises:
        BenchError: see `load_suite_data` and `read_budget`; where nothing is left to run, because
            nobody takes part in anything or has a schedule, or no data is there; where some cannot
            be compiled and are asked for compiled.
    """
    if budget not in PRESETS:
        limited_budget(budget)  # a mistake is told before data is loaded
    plan = Plan()
    known: dict[str, Cell] = {}
    not_compiled: dict[str, str] = {}
    for suite in chosen:
        able = [who for who in contestants if suite.protocol in who.learner.protocols]
        others = [who.label for who in contestants if who not in able]
        taking_part = _within(suite.protocol, able, plan.failed)
        if others:
            plan.notes.append(
                f"{suite.name} is without {', '.join(others)}: not made for the {suite.protocol} "
                "protocol"
            )
        if not taking_part:
            continue
        pools, file = load_suite_data(suite, folders, notify), file_of(suite)
        plan.notes += [f"{suite.name}: {note}" for note in pools.notes]
        for tested in each_test(suite, file, pools, folders, notify, plan.notes):
            for contestant in taking_part:
                if contestant.label in plan.failed:
                    continue
                trained = contestant.learner.trained
                try:
                    for seed in seeds if trained else seeds[:1]:
                        training = make_training(
                            suite, contestant, tested.task, pools, seed, device, budget, precision,
                            compiled=compiled,
                        )  # fmt: skip
                        if training is None:
                            plan.notes.append(
                                f"{contestant.label} has no published schedule for {suite.name} "
                                f"{tested.setting}; it is left out of --budget paper"
                            )
                            break
                        cell = make_cell(suite, contestant, training, tested, budget)
                        known.setdefault(cell.id, cell)
                except NotCompiledError as error:
                    not_compiled[contestant.label] = str(error)
                except UnplannedError as error:
                    plan.failed[contestant.label] = str(error)
    refuse(not_compiled)
    if contestants and not (known or plan.failed):
        needless = "\nno other --budget needs a published schedule" if budget == "paper" else ""
        raise BenchError("nothing to run: " + "; ".join(plan.notes) + needless)
    plan.cells = [cell for cell in known.values() if cell.training.learner not in plan.failed]
    return plan


def _within(protocol: str, able: Sequence[Contestant], failed: dict[str, str]) -> list[Contestant]:
    """The learners with their defaults in a protocol; whose cannot be used is among the failed."""
    found = []
    for who in able:
        try:
            with asking(who, "protocol_defaults"):
                found.append(who.within(protocol))
        except UnplannedError as error:
            failed[who.label] = f"its protocol_defaults of {protocol}: {error}"
    return found


@dataclass(frozen=True)
class Tested:
    """What all learners answer in a test setting."""

    suite_file: str | None
    setting: str
    task: TaskSpec
    bank: Bank
    data: TestedData | None
    """None: that of meta-training."""
    digest: Callable[[int], str]
    """Hash of the first episodes of the bank, by their number."""
    measure: Measure | None


def each_test(
    suite: Suite,
    file: str | None,
    pools: SuiteData,
    folders: DataFolders,
    notify: Notify,
    notes: list[str],
) -> Iterator[Tested]:
    """What is answered in each setting of a suite, without those whose data was never fetched.

    Args:
        suite: has the settings.
        file: what it has to be asked for by.
        pools: its data.
        folders: where data lies.
        notify: told what takes long.
        notes: what the user should know is added to them.

    Raises:
        BenchError: see `bench.planning.data.setting_data`.
    """
    for name, setting in suite.settings.items():
        other = suite.tested_on(name)
        with suite.at(f"settings.{name}"):
            if other is not None and (why := not_here(other, folders)):
                notes.append(f"{suite.name} is without {name}: {why}")
                continue
            own = setting_data(suite, name, pools, folders, notify)
        if own is not pools:
            notes += [f"{suite.name} {name}: {note}" for note in own.notes]
        yield draw_test(suite, file, name, test_task(suite, setting, own), own)


def draw_test(
    suite: Suite, file: str | None, setting: str, task: TaskSpec, pools: SuiteData
) -> Tested:
    """Draws the bank of a setting."""
    bank = Bank.drawn(pools.test, task, suite.test.episodes, suite.test.seed, Purpose.TEST)
    digest = cache(lambda episodes: bank.first(episodes).draw.digest())
    measure = protocol(suite.protocol).measure(task, pools.test)
    return Tested(file, setting, task, bank, pools.tested, digest, measure)


def make_cell(
    suite: Suite,
    contestant: Contestant,
    training: Training,
    tested: Tested,
    budget: str,
) -> Cell:
    """A training on a test setting.

    Raises:
        UnplannedError: the learner cannot say how much of the bank it answers.
    """
    whole = len(tested.bank)
    limit = training.budget.test_episodes if training.budget else None
    if training.budget is None and budget == "smoke":
        limit = suite.budgets.smoke.test_episodes
    with asking(contestant, "bank_share"):
        share = contestant.learner.bank_share(contestant.config, tested.task, whole)
        episodes = min(whole, limit or whole, max(share, LEAST_EPISODES))
    return Cell(
        training=training,
        suite=suite.name,
        suite_version=suite.version,
        suite_file=tested.suite_file,
        setting=tested.setting,
        task=tested.task,
        tested=tested.data,
        test_rotations=suite.rotations.test and tested.data is None,
        bank_seed=suite.test.seed,
        bank_episodes=whole,
        episodes=episodes,
        bank=tested.digest(episodes),
        timing_batch=suite.timing_batch,
        measure=tested.measure,
    )


def make_training(
    suite: Suite,
    contestant: Contestant,
    test: TaskSpec,
    pools: SuiteData,
    seed: int,
    device: DeviceKind,
    budget: str,
    precision: Precision,
    *,
    compiled: bool = False,
) -> Training | None:
    """The training that a test task needs; None where ``--budget paper`` has no schedule.

    A learner with nothing to train has the same training whatever budget and seed are asked for.

    Raises:
        UnplannedError: the learner's own fault.
        NotCompiledError: it says that it cannot be compiled.
        BenchError: see `read_budget`; data that does not fit.
    """
    trained = contestant.learner.trained
    shared = protocol(suite.protocol).shared(test, suite)
    task = training_task(contestant, shared, pools.train, pools.val) if trained else test
    limit = read_budget(budget, suite, contestant, task)  # a mistake is told whoever learns
    if trained and limit is None:
        return None
    compiled = compiled and trained
    if compiled:
        with asking(contestant, "why_not_compiled"):
            reason = why_not_compiled(contestant, task)
        if reason is not None:
            raise NotCompiledError(reason)
    with asking(contestant, "Config"):
        training = Training(
            learner=contestant.label,
            learner_name=contestant.name,
            family=contestant.learner.family,
            config=contestant.options,
            file=contestant.file,
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
            compiled=compiled and device != "cuda",
            captured=compiled and device == "cuda",
            device=device,
        )
        json.dumps(training.identity())  # what it is has to be something that can be written down
    return training
