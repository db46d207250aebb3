"""From what is asked for to a run that is ready to start."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from bench.apart.call import apart
from bench.api.dataset import DataFolders, Notify
from bench.api.executor import Executor, Site
from bench.data.folders import data_folders, named_path
from bench.errors import BenchError
from bench.groups.events import Event, Listener
from bench.planning.jobs import DeviceKind, Plan
from bench.registry.installed import executors
from bench.running.places import usable_places
from bench.running.request import Request, wrong_value
from bench.running.runner import Runner
from bench.store import layout
from bench.worker.threads import begun_with


def prepare(
    request: Request,
    listener: Listener = lambda event: None,
    notify: Notify = lambda message: None,
) -> Runner:
    """Plans a run.

    Args:
        request: what is asked for.
        listener: told what happens in the run, from any thread.
        notify: told what takes long before it.

    Raises:
        BenchError: for anything that was asked for and does not exist or does not fit.
    """
    for name, function in (("listener", listener), ("notify", notify)):
        if not callable(function):
            raise wrong_value(name, "a function of one argument", function)
    results = results_folder(request.results)
    executor = executors(request.executor).get(request.executor)
    check_options(request, executor)
    places = usable_places(request.devices, elsewhere=executor.elsewhere)
    folders = data_folders(request.data_dir)
    make = plan_run if executor.here else apart(plan_run)
    plan = make(request, places[0].kind, folders, notify)
    folders = replace(folders, checked=frozenset(plan.checked))
    run = layout.run_folder(results, run_id(request, plan))

    def tell(event: Event) -> None:
        """What a user should know is told as such, whoever carries out the work."""
        note = event.details.get("note") if event.kind == "progress" else None
        if note is None:
            listener(event)
        else:
            notify(str(note))

    site = Site(request.jobs, run, request.options or {}, tell=tell, notify=notify)
    runner = Runner(request, plan, executor(site), results, folders, places, run, tell, notify)
    check_threads(runner)
    plan.notes += thread_notes(runner)
    return runner


def check_options(request: Request, executor: type[Executor]) -> None:
    """Raises a `BenchError` for an option that the executor does not have."""
    known = executor.options
    for name in request.options or {}:
        if known is not None and name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options"
            raise BenchError(f"-X {name}: the executor {request.executor!r} {takes}")


def check_threads(runner: Runner) -> None:
    """Raises a `BenchError` where a number of CPUs is asked for, and another one of threads."""
    asked, cpus = runner.asked_threads, runner.executor.threads()
    if asked is not None and cpus not in {None, asked}:
        raise BenchError(
            f"{asked} threads are asked for, and the options of the executor say {cpus} CPUs; "
            "leave one of the two out"
        )


def run_id(request: Request, plan: Plan) -> str:
    """The same for the same command: 12 hex digits of what it asks for."""
    asked = [request.executor, *request.devices, *(cell.id for cell in plan.cells)]
    return hashlib.sha256(" ".join(asked).encode()).hexdigest()[:12]


def plan_run(request: Request, device: DeviceKind, folders: DataFolders, notify: Notify) -> Plan:
    """See `bench.running.planned.plan_of`, which imports torch: not in a process that only asks."""
    from bench.running.planned import plan_of

    return plan_of(request, device, folders, notify)


def thread_notes(runner: Runner) -> list[str]:
    """What to know where trainings keep another number of threads than the one asked for."""
    asked = runner.asked_threads
    if asked is None or runner.request.rerun:
        return []
    begun = [begun_with(training, runner.results) for training in runner.plan.trainings]
    others = [threads for threads in begun if threads not in {None, asked}]
    if not others:
        return []
    numbers = " or ".join(map(str, sorted({threads for threads in others if threads})))
    return [
        f"{len(others)} of {len(begun)} trainings were begun with {numbers} CPU threads, not with "
        f"{asked}, and are kept as they are; train them anew with --rerun"
    ]


def results_folder(path: str | Path, option: str = "--results") -> Path:
    """The results folder, absolute; it need not be there yet.

    Args:
        path: as the user names it.
        option: with which it is named.

    Raises:
        BenchError: it is a file, nothing can be written there, or no folder can have this name.
    """
    folder = named_path(path, "the results folder", home=False)
    # os.path.exists: Path.exists raises where a parent may not be looked into.
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))  # noqa: PTH110
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "may not be written to" if there.is_dir() else "is no folder"
        raise BenchError(
            f"cannot store results in {folder}: {there} {what}; name another folder with {option}"
        )
    return folder
