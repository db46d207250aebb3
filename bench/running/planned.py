"""The whole plan of a run: what looks at plugins, and is done in a process apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.apart.blame import GivenUpError
from bench.api.cache import checked_files
from bench.api.dataset import DataFolders, Notify
from bench.errors import BenchError
from bench.planning.jobs import DeviceKind, Plan
from bench.planning.plan import UnplannedError, asking, choose_suites, make_plan
from bench.registry.contestants import Contestant, contestants, each_learner, pattern_of
from bench.registry.discovery import UnusableError
from bench.registry.installed import learners, protocol
from bench.registry.learner_files import is_file
from bench.registry.source_hash import source_hash
from bench.running.request import Request
from bench.worker.compiled import check_compiler


def plan_of(request: Request, device: DeviceKind, folders: DataFolders, notify: Notify) -> Plan:
    """What `bench.planning.plan.make_plan` makes of a request, with all that a run has to know of
    its learners; imports them.

    Args:
        request: what is asked for.
        device: what trains.
        folders: where data lies.
        notify: told what takes long.

    Raises:
        BenchError: for anything that was asked for and does not exist or does not fit, where what
            compiling needs is not there, and where no learner is left.
    """
    if request.compile:
        check_compiler(device)
    suites = choose_suites([str(suite) for suite in request.suites])
    chosen = choose_learners(request.learners)
    sources = read_sources(chosen)
    plan = make_plan(
        suites,
        chosen.contestants,
        seeds=request.seeds,
        device=device,
        budget=request.budget,
        precision=request.precision,
        compiled=request.compile,
        folders=folders,
        notify=notify,
    )
    plan.notes += chosen.notes
    plan.failed = chosen.failed | plan.failed
    if plan.failed and not plan.cells:
        told = "\n".join(f"{label}: {reason}" for label, reason in plan.failed.items())
        raise BenchError(f"nothing to run: {told}")
    for training in plan.trainings:
        own = protocol(training.task.protocol)
        plan.words[training.id] = own.describe_task(training.task)
    plan.sources = sources
    plan.checked = sorted(checked_files())
    return plan


@dataclass
class Chosen:
    """Who takes part in a run."""

    contestants: list[Contestant] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Learners that were asked for and are broken, and why."""


def choose_learners(specs: Sequence[str]) -> Chosen:
    """The learners that a run is asked for: those that are broken do not stop the others.

    Args:
        specs: as given with ``--learner``; empty: all that are installed and can be used.

    Raises:
        BenchError: see `bench.registry.contestants.contestants`; where all are broken.
    """
    patterns = [pattern for spec in specs if not is_file(pattern := pattern_of(spec))]
    installed = learners(*patterns)
    chosen = Chosen()
    if not specs:
        left_out = [problem for problem in installed.problems if problem.fatal]
        chosen.notes = [f"left out: {one.name} of {one.package}: {one.reason}" for one in left_out]
        if not installed.things:
            raise BenchError("no learner is installed; `bench doctor` says what is wrong")
    sound = []
    for spec in specs or sorted(installed.things):
        for one in each_learner(spec, installed):
            try:
                contestants([one], installed)
                sound.append(one)
            except (UnusableError, GivenUpError) as error:
                chosen.failed[one] = str(error)
    if not sound:
        raise BenchError("\n".join(chosen.failed.values()))
    chosen.contestants = contestants(sound, installed)
    return chosen


def read_sources(chosen: Chosen) -> dict[str, str]:
    """The hash of each learner's code; one whose code cannot be read has failed."""
    sources: dict[str, str] = {}
    for who in list(chosen.contestants):
        try:
            with asking(who, "the source code"):
                sources[who.name] = source_hash(who.learner) if who.file is None else who.file.code
        except UnplannedError as error:
            chosen.failed[who.label] = str(error)
            chosen.contestants.remove(who)
    return sources
