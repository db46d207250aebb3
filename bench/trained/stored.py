"""Which stored training is meant, and the learner with the weights that it made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from bench.api import Learner
from bench.errors import BenchError, unknown_name
from bench.planning.jobs import Training
from bench.results.reading import read_results, select
from bench.results.rows import CellRow
from bench.store import layout
from bench.store.checked import UnreadableError, read_json
from bench.store.records import TrainingResult
from bench.worker.checkpoints import best_weights
from bench.worker.devices import Device
from bench.worker.loading import load_learner

MOST_LISTED = 20
"""Trainings that a message lists."""


def training_folder(
    results: Path,
    learner: str | None,
    suite: str | None,
    setting: str | None,
    seed: int | None,
    budget: str | None,
) -> Path:
    """The folder of the one training that is meant.

    Args:
        results: a results folder; or the folder of a training or of a cell, and nothing else given.
        learner: its label, or its name alone where only one of that name is there.
        suite: the suite it was tested on.
        setting: a setting of it.
        seed: of the training.
        budget: of the training.

    Raises:
        BenchError: none fits, or several do: with a list of what is there.
    """
    asked = {"learner": learner, "suite": suite, "setting": setting, "seed": seed, "budget": budget}
    given = {key: value for key, value in asked.items() if value is not None}
    if (named := _named_folder(results)) is not None:
        if given:
            raise BenchError(f"{results} is one training already; leave out {' and '.join(given)}")
        return named
    rows = read_results(results).rows
    fitting = select(rows, [suite] if suite else [], [learner] if learner else [])
    fitting = [row for row in fitting if row.learner == learner] or fitting
    for key in ("setting", "seed", "budget"):
        if key in given:
            known = {str(getattr(row, key)) for row in fitting}
            fitting = [row for row in fitting if getattr(row, key) == given[key]]
            if not fitting:
                raise unknown_name(key, str(given[key]), known, _listed("there are", rows))
    names = dict.fromkeys(row.training for row in fitting if row.training)
    folders = [layout.training_folder(results, name) for name in names]
    if not folders:
        raise BenchError(f"{results} has no training that fits\n{_listed('there are', rows)}")
    usable = [folder for folder in folders if (folder / layout.RESULT).exists()]
    if len(usable) > 1:
        raise BenchError(
            f"{len(usable)} trainings in {results} fit; say which learner, suite, setting, seed or "
            f"budget is meant\n{_listed('there are', fitting)}"
        )
    return (usable or folders)[0]


def _named_folder(path: Path) -> Path | None:
    """The training's folder where `path` is one, or is that of a cell; else None."""
    if (path / layout.TRAINING).is_file():
        return path
    if not (path / layout.CELL).is_file():
        return None
    root = path.absolute().parents[3]
    try:
        name = read_json(path / layout.CELL).get("training")
    except UnreadableError as error:
        raise BenchError(f"{path / layout.CELL} {error}; name the training's folder") from error
    if not isinstance(name, str) or Path(name).name != name:
        raise BenchError(f"{path / layout.CELL} does not say its training; name that folder")
    return layout.training_folder(root, name)


def _listed(heading: str, rows: Sequence[CellRow]) -> str:
    lines = dict.fromkeys(
        f"  {row.learner}, {row.suite} {row.setting}, seed {row.seed}, {row.budget} "
        f"({row.training or 'unknown'})"
        for row in rows
    )
    listed = list(lines)[:MOST_LISTED]
    listed += [f"  and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    return "\n".join([f"{heading}:", *listed])


def read_training(folder: Path) -> tuple[Training, TrainingResult]:
    """What a training was asked for and what came of it.

    Raises:
        BenchError: it has not finished, or its files are damaged.
    """
    if not folder.is_dir():
        raise BenchError(
            f"the training {folder} is not there; results copied without trainings have no weights"
        )
    if not (folder / layout.RESULT).exists():
        raise BenchError(f"the training {folder} has not finished; `bench run` goes on with it")
    try:
        asked = read_json(folder / layout.TRAINING)
        made = read_json(folder / layout.RESULT, TrainingResult)
        return Training.model_validate(asked), TrainingResult.model_validate(made)
    except UnreadableError as error:
        why = str(error)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        why = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
    raise BenchError(f"the training {folder} is damaged: {why}; train again: bench run --rerun")


def trained_learner(training: Training, folder: Path, device: Device) -> tuple[Learner, str]:
    """The learner with its best weights on the device, in ``eval()``, and the hash of its code.

    Raises:
        BenchError: the learner is not installed, or its weights are gone, damaged, or another
            learner's.
    """
    learner, source = load_learner(training, device)
    if training.budget is not None:
        path = folder / layout.WEIGHTS
        if not path.exists():
            raise BenchError(
                f"the weights {path} are gone (reference results come without weights); "
                "`bench run --rerun` trains again"
            )
        try:
            weights = best_weights(folder)
        except Exception as error:  # torch and zipfile raise many kinds for a damaged file
            raise BenchError(
                f"the weights {path} are damaged or foreign; train again: bench run --rerun"
            ) from error
        try:
            learner.load_state_dict(weights)
        except Exception as error:
            raise BenchError(
                f"the weights {path} do not fit {training.learner} as it is installed now: "
                f"{str(error).splitlines()[0]}; install the version that made them, or train again"
            ) from error
    return learner.eval(), source
