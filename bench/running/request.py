"""One `bench run`, from what the user asks for to a `Runner`; the same from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.dataset import Notify
from bench.api.executor import Limits
from bench.data.folders import data_folders
from bench.errors import BenchError
from bench.planning.jobs import Precision
from bench.planning.plan import choose_suites, make_plan
from bench.registry.contestants import contestants
from bench.registry.installed import executors, learners
from bench.running.places import usable_devices
from bench.running.runner import Listener, Runner

if TYPE_CHECKING:
    pass


def prepare(
    suites: Sequence[str],
    learner_specs: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    devices: Sequence[str] = ("cpu",),
    budget: str = "standard",
    precision: Precision = "fp32",
    data_dir: str | Path | None = None,
    results: str | Path = "results",
    jobs: int = 1,
    timeout: float | None = None,
    memory: int | None = None,
    executor: str = "local",
    rerun: bool = False,
    retry_failed: bool = False,
    listener: Listener = lambda event: None,
    notify: Notify = lambda message: None,
) -> Runner:
    """Plans a run. See `run` for the arguments.

    Raises:
        BenchError: for anything that was asked for and does not exist or does not fit.
    """
    folder = results_folder(results)
    places = usable_devices(devices)
    chosen_executor = executors().get(executor)
    chosen = contestants(learner_specs, learners())
    if not chosen:
        raise BenchError("no learner is installed; `bench doctor` says what is wrong")
    folders = data_folders(data_dir)
    plan = make_plan(
        choose_suites(suites), chosen, seeds, places[0], budget, precision, folders, notify
    )
    return Runner(
        plan=plan,
        executor=chosen_executor(Limits(timeout, memory)),
        results=folder,
        folders=folders,
        timing_devices=places,
        jobs=jobs,
        rerun=rerun,
        retry_failed=retry_failed,
        listener=listener,
    )


def results_folder(path: str | Path) -> Path:
    """The results folder, absolute; it need not be there yet.

    Raises:
        BenchError: it is a file, or nothing can be written there.
    """
    folder = Path(path).absolute()
    # os.path.exists: Path.exists raises where a parent may not be looked into.
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))  # noqa: PTH110
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "may not be written to" if there.is_dir() else "is no folder"
        raise BenchError(
            f"cannot store results in {folder}: {there} {what}; name another folder with --results"
        )
    return folder
