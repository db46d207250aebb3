"""What ``import bench`` offers: the command `bench run`, as a function."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.dataset import Notify
from bench.errors import BenchError, told_if_wrong
from bench.groups.events import Listener
from bench.planning.jobs import Precision
from bench.running.prepare import prepare
from bench.running.request import Request

if TYPE_CHECKING:
    import pandas as pd


@told_if_wrong
def run(
    suites: Sequence[str | os.PathLike[str]],
    learners: Sequence[str] = (),
    *,
    seeds: Sequence[int] = (0,),
    devices: Sequence[str] = ("cpu",),
    budget: str = "standard",
    precision: Precision = "fp32",
    compile: bool = False,
    data_dir: str | Path | None = None,
    results: str | Path = "results",
    executor: str = "local",
    jobs: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    memory: int | None = None,
    rerun: bool = False,
    retry_failed: bool = False,
    options: Mapping[str, str] | None = None,
    store: Sequence[str] = (),
    tracker: str = "",
    listener: Listener = lambda event: None,
    notify: Notify = lambda message: None,
) -> pd.DataFrame:
    """Makes cells exist, as ``bench run`` does, and returns their rows.

    Cells that are done are kept; the same call after an interruption goes on where it stopped.

    Args:
        suites: names, globs or paths of TOML files; `bench.Suite` makes one of data in Python.
        learners: as ``maml[inner_steps=1,5]``, or ``path/to/file.py:Class`` of one that is not
            installed; empty: all that are.
        seeds: one training per seed.
        devices: meta-trains and meta-tests on the first, times on all; ``cuda`` is every GPU that
            is visible, ``cuda:1`` just that one.
        budget: ``smoke``, ``standard``, ``paper``, ``<n>examples`` or ``<n>min``.
        precision: ``fp32`` or ``bf16`` (autocast).
        compile: compiles the update of each learner, which has to be one that can be.
        data_dir: where the datasets lie; None: ``$BENCH_DATA_DIR``, the cache, a download.
        results: the results folder.
        executor: what carries out trainings and cells.
        jobs: trainings at once, each with its tests; None: as many as there are GPUs to choose from
            with ``devices=["cuda"]``, else one.
        threads: CPU threads of each training, which decide the last bits of its weights; None: the
            machine's cores shared among the jobs. A training that has begun keeps its number.
        timeout: seconds that one process may run.
        memory: bytes that one process may have resident.
        rerun: computes again what is done.
        retry_failed: tries again what has failed.
        options: of the executor, as ``{"partition": "gpu"}``: what ``-X`` says.
        store: ``["answers"]`` keeps each answer, for `bench show-episode` and accuracies by class.
        tracker: who is told how trainings go, as ``tensorboard``; empty: nobody.
        listener: told what happens, from any thread.
        notify: told, before the cells start, what takes long and what is left out or kept.

    Returns:
        The rows of `bench.load_results` that belong to these cells. A learner that fails while it
        is planned has none, and is warned of.

    Raises:
        BenchError: for a value of the wrong type or range, and for anything that was asked for and
            does not exist or does not fit.
    """
    if multiprocessing.parent_process() is not None:
        raise BenchError(
            "bench.run was called while a worker process imported your script; put the call "
            'under `if __name__ == "__main__":`'
        )
    request = Request(
        suites=suites,
        learners=learners,
        seeds=seeds,
        devices=devices,
        budget=budget,
        precision=precision,
        compile=compile,
        data_dir=data_dir,
        results=results,
        executor=executor,
        jobs=jobs,
        threads=threads,
        timeout=timeout,
        memory=memory,
        rerun=rerun,
        retry_failed=retry_failed,
        options=options,
        store=store,
        tracker=tracker,
    )
    runner = prepare(request, listener, notify)
    for note in runner.plan.notes:
        notify(note)
    for label, reason in runner.plan.failed.items():
        warnings.warn(f"{label} failed while it was planned: {reason}", stacklevel=3)
    runner.run()
    from bench.results.table import load_results

    frame = load_results(runner.results)
    return frame[frame["id"].isin([cell.id for cell in runner.plan.cells])].reset_index(drop=True)
