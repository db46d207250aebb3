"""Groups as tasks of Slurm's arrays: plain sbatch, one squeue for all of them, and nothing else.

What was submitted is remembered in the folder of the run, before it is submitted, so that a run
that was killed finds its jobs again. Whether something is done, the results folder says.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.api.executor import Ended, Executor, Group, Resources, Site, Standing
from bench.executors import slurm_commands as slurm
from bench.executors.sbatch import SlurmOptions
from bench.executors.slurm_commands import AwayError, Task
from bench.executors.submitted import Array, read_arrays, write_array
from bench.store import layout

MEMORY = re.compile(
    r"exceeded (job |step )?memory limit|out.of.memory|oom[- _]?kill", re.IGNORECASE
)
"""Words of Slurm in the log of a job that has used too much."""

NO_END = re.compile(
    r"Held|NeverSatisfied|BadConstraints|Partition(Node|Time)Limit|Partition(Config|Down|Inactive)|"
    r"Invalid|NotAvail|launch failed"
)
"""Reasons of Slurm's for which a job waits until somebody does something."""

END_SECONDS = 3.0
"""So long a cancelled job may take to end by itself; Ctrl-C waits for it."""

MISSING = 3
"""So often a job has to be unknown to Slurm before it counts as gone: it may be new."""

LAST = 2**14
"""Bytes at the end of a log that are looked at."""


class SlurmExecutor(Executor):
    """Submits groups as arrays of jobs, and follows them in the queue."""

    description = "an array of jobs on a Slurm cluster, one task per training with its tests"
    elsewhere = True
    detaches = True
    options = None

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._options = SlurmOptions(site.options)
        self.pause = self._options.poll_seconds()
        self._waiting: dict[str, tuple[Group, Resources]] = {}
        self._groups: dict[str, Group] = {}
        self._tasks: dict[str, tuple[str, int]] = {}  # job and number, by handle
        self._standings: dict[str, Standing] = {}
        self._missing: dict[str, int] = {}
        self._told: set[str] = set()
        self._known: dict[str, tuple[str, int]] | None = None
        self._count = 0

    def threads(self) -> int | None:
        """See `Executor.threads`."""
        return self._options.threads()

    # -- submitting -------------------------------------------------------------------------------

    def submit(self, group: Group, resources: Resources) -> str:
        """See `Executor.submit`."""
        self._groups[group.name] = group
        self._waiting[group.name] = group, resources
        self._tasks.pop(group.name, None)
        self._standings[group.name] = Standing("queued")
        return group.name

    def reattach(self, group: Group) -> str | None:
        """See `Executor.reattach`."""
        if self._known is None:
            self._known = self._alive()
        task = self._known.pop(group.name, None)
        if task is None:
            return None
        self._groups[group.name] = group
        self._tasks[group.name] = task
        self._standings[group.name] = Standing("queued")
        return group.name

    def _alive(self) -> dict[str, tuple[str, int]]:
        """Job and number of what earlier runs of this command have in the queue, by group."""
        arrays = read_arrays(self.site.folder)
        if not arrays:
            return {}
        tasks = slurm.patiently(slurm.queue, self.site.notify)
        states = {(task.job, task.task): task.state for task in tasks}
        names = {task.name: task.job for task in tasks}
        found: dict[str, tuple[str, int]] = {}
        for array in arrays:  # the newest last
            job = array.job or names.get(array.name)
            for number, group in enumerate(array.groups):
                if job and states.get((job, number)) in slurm.QUEUED | slurm.RUNNING:
                    found[group] = job, number
        return found

    def scripts(self) -> list[str]:
        """What would be submitted of all that waits; nothing is."""
        return [
            self._script(self._array(part, k), part) for k, part in enumerate(self._parts(1001))
        ]

    def flush(self) -> None:
        """Submits what waits."""
        if not self._waiting:
            return
        most = slurm.patiently(slurm.most_tasks, self.site.notify)
        before: dict[bool, str] = {}
        for part in self._parts(most):
            exclusive = self._waiting[part[0]][1].exclusive
            array = self._array(part, self._count)
            self._count += 1
            after = before.get(exclusive)  # of one kind so many at once, whatever the chunks
            wanted = {after} if after and self.site.jobs is not None else set()
            if exclusive:
                alive = {"queued", "running"}
                wanted |= {
                    job
                    for name, (job, _) in self._tasks.items()
                    if self._standings[name].kind in alive
                }
            job = self._submit(array, part, sorted(wanted))
            before[exclusive] = job
            for number, name in enumerate(part):
                self._tasks[name] = job, number
                self._missing.pop(name, None)
                del self._waiting[name]

    def _parts(self, most: int) -> list[list[str]]:
        """The names of what waits, in arrays: none larger than allowed, none of two kinds."""
        kinds: dict[Resources, list[str]] = {}
        for name, (_, resources) in self._waiting.items():
            kinds.setdefault(resources, []).append(name)
        return [list(part) for names in kinds.values() for part in chunked(names, most)]

    def _array(self, part: Sequence[str], number: int) -> Array:
        name = f"bench-{self.site.folder.name}-{time.time():.0f}-{number}"
        indexes = tuple(self._waiting[group][0].index for group in part)
        return Array(name=name, job=None, groups=tuple(part), indexes=indexes)

    def _script(self, array: Array, part: Sequence[str]) -> str:
        group, resources = self._waiting[part[0]]
        logs = self.site.folder / layout.LOGS
        most = f"%{self.site.jobs}" if self.site.jobs is not None else ""
        own = {
            "job-name": array.name,
            "array": f"0-{len(part) - 1}{most}",
            "output": str(logs / "%A_%a.log"),
        }
        directives = self._options.directives(resources, own)
        command = group.command[: group.command.index("--index")]
        return self._options.script(directives, command, array.indexes_file(self.site.folder))

    def _submit(self, array: Array, part: Sequence[str], after: list[str]) -> str:
        """Remembers an array, then submits it; gives its number."""
        script = self._script(array, part)
        (self.site.folder / layout.LOGS).mkdir(parents=True, exist_ok=True)
        write_array(self.site.folder, array, script)
        command = ["sbatch", "--parsable", *dependency(after), str(array.script(self.site.folder))]

        def again() -> str | None:
            return next((task.job for task in slurm.queue(array.name)), None)

        job = slurm.patiently(lambda: slurm.call(*command), self.site.notify, again)
        job = job.strip().partition(";")[0]
        write_array(self.site.folder, array.submitted(job), script)
        return job

    # -- following --------------------------------------------------------------------------------

    def poll(self, handles: Sequence[str]) -> Mapping[str, Standing]:
        """See `Executor.poll`."""
        self.flush()
        try:
            tasks = {(task.job, task.task): task for task in slurm.queue()}
            self._told.discard("away")
        except AwayError as error:
            self._tell("away", f"the controller of Slurm does not answer; waiting ({error})")
            return {handle: self._standings[handle] for handle in handles}
        for handle in handles:
            self._standings[handle] = self._standing(handle, tasks.get(self._tasks[handle]))
        return {handle: self._standings[handle] for handle in handles}

    def _standing(self, handle: str, task: Task | None) -> Standing:
        if task is None:
            self._missing[handle] = self._missing.get(handle, 0) + 1
            return Standing("ended") if self._missing[handle] >= MISSING else Standing("queued")
        self._missing.pop(handle, None)
        if task.state in slurm.QUEUED:
            self._tell_why_it_waits(task)
            return Standing("queued")
        if task.state in slurm.RUNNING:
            return Standing("running")
        if task.state in {"CANCELLED", "DEADLINE", "REVOKED"}:
            return Standing("cancelled")
        return Standing("ended", self._why(handle, task))

    def _tell_why_it_waits(self, task: Task) -> None:
        """What no waiting will change."""
        if NO_END.search(task.reason):
            self._tell(f"{task.job} {task.reason}", f"job {task.job} waits: {task.reason}")

    def _tell(self, what: str, message: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.site.notify(message)

    def _why(self, handle: str, task: Task) -> Ended | None:
        """Why a task ended that may not have said so itself; None where it has, or is to be carried
        out once more."""
        group = self._groups[handle]
        if group.settled:
            return None
        log = self.site.folder / layout.LOGS / f"{task.job}_{task.task}.log"
        lines = end_of(log)
        if task.state == "OUT_OF_MEMORY" or any(map(MEMORY.search, lines[-20:])):
            return Ended("memory", f"used more memory than its Slurm job may have; see {log}")
        last = lines[-1] if lines else "it printed nothing"
        if task.state == "FAILED" and last.startswith("Error: "):
            return Ended("refused", last.removeprefix("Error: "))
        begun = layout.group_file(self.site.folder, group.index).exists()
        if task.state == "FAILED" and not begun:
            return Ended("refused", f"its Slurm job ended before bench began ({log}): {last}")
        self._tell(
            f"{task.job}_{task.task} {task.state}",
            f"{group.name}: job {task.job}_{task.task} ended as {task.state}; it is tried again",
        )
        return None

    # -- ending -----------------------------------------------------------------------------------

    def cancel(self, handles: Iterable[str]) -> None:
        """See `Executor.cancel`."""
        named = set(handles)
        for name in named:
            self._waiting.pop(name, None)
        try:
            for array in read_arrays(self.site.folder):
                if array.job is None:  # interrupted while it was submitted
                    slurm.scancel(f"--name={array.name}")
            ours = {self._tasks[name] for name in named if name in self._tasks}
            left = self._running(ours)
            slurm.cancel_tasks(left)
            until = time.monotonic() + END_SECONDS
            while (left := self._running(ours)) and time.monotonic() < until:
                time.sleep(0.3)
            if left:
                slurm.cancel_tasks(left, "--signal=KILL", "--full")
        except AwayError as error:
            jobs = sorted({self._tasks[name][0] for name in named if name in self._tasks})
            self.site.notify(
                f"the jobs could not be cancelled ({error}); later: scancel {' '.join(jobs)}"
            )

    def _running(self, ours: set[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those that are still queued or running."""
        alive = slurm.QUEUED | slurm.RUNNING
        tasks = {(task.job, task.task) for task in slurm.queue() if task.state in alive}
        return sorted(tasks & ours)


def chunked(names: Sequence[str], most: int) -> Iterable[Sequence[str]]:
    """Parts of a list, none longer than `most`."""
    for first in range(0, len(names), most):
        yield names[first : first + most]


def dependency(jobs: Sequence[str]) -> list[str]:
    """The option of sbatch that waits for these to have ended."""
    return [f"--dependency=afterany:{':'.join(jobs)}"] if jobs else []


def end_of(log: Path) -> list[str]:
    """The last lines of a log."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - LAST))
        return file.read(LAST).decode(errors="replace").strip().splitlines()
    return []
