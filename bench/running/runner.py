"""`bench run`: makes the asked cells exist. What is there already is not computed again."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.api.dataset import DataFolders, Notify
from bench.api.executor import Executor, Limits, Resources
from bench.groups.events import Listener
from bench.groups.group import Frame, Group, GroupKind
from bench.groups.plan_file import write_plan
from bench.planning.jobs import Cell, Plan, Training, describe
from bench.running.following import Following
from bench.running.request import Request
from bench.store import layout
from bench.store.atomic import clear, writing
from bench.store.checked import UnreadableError, missing, read_json, record_part, set_aside
from bench.store.records import Failure
from bench.worker.devices import Device, cores

TRIED_AGAIN = {"lost", "refused"}
"""Kinds of failures that are no fault of a learner's: the next run tries again by itself."""


@dataclass
class Runner:
    """Carries out a plan: trainings with their cells and audits side by side, then the timings one
    by one.

    Args:
        request: how they are to be carried out.
        plan: the cells that must exist.
        executor: what carries them out.
        results: the results folder.
        folders: where data lies.
        places: the devices: trains and tests on the first, times every cell on each.
        run_folder: what `bench.api.Site.folder` is.
        listener: told what happens, from any thread.
        notify: told what the user should know, from any thread: what was found damaged.
    """

    request: Request
    plan: Plan
    executor: Executor
    results: Path
    folders: DataFolders
    places: Sequence[Device]
    run_folder: Path
    listener: Listener = lambda event: None
    notify: Notify = lambda message: None

    def __post_init__(self) -> None:
        self.prepared = False
        """Whether what is to be computed again is removed: to go on, nobody has to ask for that
        once more."""

    @property
    def threads(self) -> int:
        """CPU threads of a training that begins now; where other machines do it, one unless a
        number was asked for."""
        shared = 1 if self.executor.elsewhere else max(1, cores() // (self.request.jobs or 1))
        return self.asked_threads or self.executor.threads() or shared

    @property
    def asked_threads(self) -> int | None:
        """The same, where a number of them was asked for."""
        return self.request.threads or self.places[0].threads

    def run(self) -> None:
        """Returns when every cell is done or has failed.

        Raises:
            KeyboardInterrupt: after everything has stopped; the same run goes on from there.
            BenchError: the disk is full or may not be written to, or holds what a newer version
                of bench has made.
        """
        with self._following() as following:
            groups = self.groups()
            for kind in ("train", "time"):
                for group in groups:
                    if group.kind == kind:
                        self._hand_over(group, following)
                while following.unfinished:
                    following.look()
                    time.sleep(self.executor.pause)

    def detach(self) -> int:
        """Hands over all that is left to do and leaves it to the engine; how many groups it is."""
        with self._following() as following:
            for group in self.groups():
                self._hand_over(group, following)
            following.look()
            return following.unfinished

    @property
    def prints(self) -> bool:
        """Whether the executor can say what it would hand over."""
        return type(self.executor).scripts is not Executor.scripts

    def scripts(self) -> list[str]:
        """What would be handed over, for a person to read; nothing is, and nothing is stored."""
        for group in self.groups():
            if group.pending:
                self.executor.submit(group, self.resources(group))
        return self.executor.scripts()

    @contextmanager
    def _following(self) -> Iterator[Following]:
        """With all that an executor needs; what was handed over ends where something is raised,
        but for what goes on without us where a terminal or a machine goes away."""
        if self.executor.elsewhere:
            self.write_plan()
        else:
            self.prepare()
        following = Following(self.executor, self.listener, self.notify)
        try:
            yield following
        except BaseException as error:
            if self.executor.detaches and goes_away(error):
                self.notify("what was handed over goes on; the same command follows it again")
            else:
                following.cancel()
            raise
        finally:
            self.executor.close()

    def _hand_over(self, group: Group, following: Following) -> None:
        if group.pending:
            following.submit(group, self.resources(group))
        else:
            following.keep(group)

    def prepare(self) -> None:
        """Removes what is to be computed again, and writes down what is asked for."""
        jobs: list[Training | Cell] = [*self.plan.trainings, *self.plan.cells]
        for job in jobs:
            self._prepare(job)
        self.prepared = True

    def _prepare(self, job: Training | Cell) -> None:
        folder = job.folder(self.results)
        if self.request.rerun:
            if not clear(folder):
                self.notify(f"{folder}: another process works in it; what that makes is kept")
        elif folder.exists():
            for path in list(layout.failures(folder)):
                if missing(path):  # another run, which begins as well, has removed it
                    continue
                why = record_part(path, Failure).damage()
                with writing(path):
                    if self.request.retry_failed or tried_again(path, why):
                        path.unlink(missing_ok=True)
                    elif why is not None and not missing(path):
                        self.notify(f"{path}: {why}; it is set aside")
                        with suppress(FileNotFoundError):
                            set_aside(path)
        describe(job, self.results)

    def write_plan(self) -> tuple[Path, list[Group]]:
        """Writes down all groups, for `bench work`; where, and which they are."""
        self.prepare()
        groups = self.groups()
        path = self.run_folder / layout.PLAN
        write_plan(path, groups, self.request.executor)
        return path, groups

    # -- groups -----------------------------------------------------------------------------------

    def groups(self) -> list[Group]:
        """All of the plan, whether something of them is left to do or not: first the trainings,
        then the timings."""
        return list(self._groups())

    def _groups(self) -> Iterator[Group]:
        limits = Limits(self.request.timeout, self.request.memory)
        plan_file = self.run_folder / layout.PLAN
        asked = tuple(self.request.store), self.request.tracker
        frame = Frame(self.results, self.folders, plan_file, limits, *asked)
        trained = by_training(self.plan)
        kinds: list[tuple[GroupKind, Device]] = [("train", self.places[0])]
        kinds += [("time", place) for place in self.places]
        index = 0
        for kind, place in kinds:
            for cells in trained:
                training = cells[0].training
                source = self.plan.sources.get(training.learner_name)
                where = place.name, self.threads, source, frame
                yield Group(index, kind, training, tuple(cells), *where)
                index += 1

    def resources(self, group: Group) -> Resources:
        """What a group needs."""
        place, timing = group.place, group.kind == "time"
        asked = self.request.devices[0]
        spread = place.kind == "cuda" and not timing and asked == "cuda"
        return Resources(
            cpus=place.threads or self.threads if timing else self.threads,
            gpus=int(place.kind == "cuda"),
            gpu=None if spread else place.number,
            memory=self.request.memory,
            seconds=self.request.timeout,
            exclusive=timing,
        )


def goes_away(error: BaseException) -> bool:
    """Whether bench ends since its terminal was closed (SIGHUP) or its machine shuts down
    (SIGTERM), and not since somebody wants its work to end (Ctrl-C)."""
    number = getattr(error, "number", signal.SIGINT)
    return isinstance(error, KeyboardInterrupt) and number != signal.SIGINT


def tried_again(path: Path, why: str | None) -> bool:
    """Whether a failure that can be read (`why` is None) is no fault of what failed."""
    try:
        return why is None and read_json(path).get("kind") in TRIED_AGAIN
    except UnreadableError:  # another run has removed it at this moment
        return False


def by_training(plan: Plan) -> list[list[Cell]]:
    """The cells of each training."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in plan.cells:
        groups[cell.training.id].append(cell)
    return list(groups.values())


def statuses(plan: Plan, results: Path) -> dict[str, int]:
    """How many cells of a plan are done, failed and unfinished."""
    counts = {"done": 0, "failed": 0, "unfinished": 0}
    for job in plan.cells:
        counts[job.status(results)] += 1
    return counts
