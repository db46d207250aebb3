"""Where everything lies in a results folder; no other file of the harness spells these names.

::

    trainings/<learner>-<id>/           makes weights
        training.json                   what was asked for: written first
        started.json                    TrainingStart, where it begins: its number of CPU threads
        checkpoint.pt  best.pt          torch files, ignored by git
        result.json                     TrainingResult, written last: without it unfinished
        failure.json                    Failure, where it failed
        audits.json                     AuditResult: what the checks find in the trained weights
        audits.failure.json             Failure, where they could not be made
        log.txt                         what its processes printed
    cells/<suite>/<setting>/<learner>-<id>/   a training on a test setting
        cell.json                       what was asked for: written first
        episodes.json                   EpisodeScores: one entry per episode of the bank
        weightings.npz                  memory probes: one sequence, and where the heads were
        answers.npz                     every answer, where a run was asked to keep them
        result.json                     CellResult, written last: without it unfinished
        failure.json                    Failure, where it failed
        timings/<device>.json           TimingResult, one per device; "/" and ":" become "-"
        timings/<device>.failure.json   Failure, where it could not be timed
        log.txt                         what its processes printed

    .devices/<device>.json              TimedOn: the GPU model that a column of timings is of
    .runs/<id>/                         of a run that other machines carry out
        plan.json                       its groups, for `bench work`
        groups/<index>.json             GroupStatus: where a group stands, as it says itself
        logs/                           what the groups' own processes printed

The records are those of `bench.store.records`. A report that is written here too has names of its
own: see `bench.report`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

TRAININGS, CELLS, TIMINGS = "trainings", "cells", "timings"

TRAINING, CELL = "training.json", "cell.json"
STARTED, CHECKPOINT, WEIGHTS = "started.json", "checkpoint.pt", "best.pt"
EPISODES, WEIGHTINGS, ANSWERS = "episodes.json", "weightings.npz", "answers.npz"
RESULT, FAILURE = "result.json", "failure.json"
AUDITS = "audits.json"
DEVICES = ".devices"
RUNS, PLAN, GROUPS, LOGS = ".runs", "plan.json", "groups", "logs"
LOG, LOCK, LEASE = "log.txt", ".lock", ".lease"
PARTIAL = ".partial"
"""Suffix of a file being written; its name says by whom. One that outlives its writer is waste."""


def is_name(name: object) -> bool:
    """Whether that is the name of a file or folder, and leads nowhere else."""
    return isinstance(name, str) and not re.search(r"[/\\\0]|^\.|^$", name)


def training_folder(results: str | Path, name: str) -> Path:
    """The folder of a training, ``<learner>-<id>``."""
    return Path(results, TRAININGS, name)


def cell_folder(results: str | Path, suite: str, setting: str, name: str) -> Path:
    """The folder of a cell, ``<learner>-<id>``."""
    return Path(results, CELLS, suite, setting, name)


def learners_in(results: str | Path) -> set[str]:
    """The names of the learners that have cells in a results folder, as its folders say."""
    folders = Path(results).glob(f"{CELLS}/*/*/*-*")
    return {folder.name.rpartition("-")[0] for folder in folders}


def run_folder(results: str | Path, run: str) -> Path:
    """What is remembered of a run that other machines carry out."""
    return Path(results) / RUNS / run


def group_file(run: Path, index: int) -> Path:
    """What a group says of itself."""
    return run / GROUPS / f"{index}.json"


def timing_file(cell: Path, device: str) -> Path:
    """The timing of a cell on a device; in the name of the file "/" and ":" are "-"."""
    return cell / TIMINGS / f"{re.sub('[/:]', '-', device)}.json"


def model_file(results: str | Path, device: str) -> Path:
    """Which GPU model the timings of a device are of."""
    return Path(results) / DEVICES / timing_file(Path(), device).name


def timings_of(results: str | Path, device: str) -> Iterator[Path]:
    """All timings of a device."""
    yield from Path(results).glob(f"{CELLS}/*/*/*/{timing_file(Path(), device)}")


def timed_device(name: str) -> str:
    """The device of a file of `timing_file`, by its name or its failure's: ``cpu/1`` of
    ``cpu-1.json``. A CPU has threads and no number, a GPU a number and no threads."""
    kind, dash, number = name.partition(".")[0].partition("-")
    return f"{kind}{dash and ('/' if kind == 'cpu' else ':')}{number}"


def failure_file(output: Path) -> Path:
    """Where it is said why a file could not be made; that of a result bears no name before it."""
    if output.name == RESULT:
        return output.with_name(FAILURE)
    return output.with_suffix(f".{FAILURE}")


def failures(folder: Path) -> Iterator[Path]:
    """The failures that lie in the folder of a training or cell."""
    for place in (folder, folder / TIMINGS):
        yield from place.glob(f"*{FAILURE}")
