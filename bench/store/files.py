"""Files of a results folder, one at a time; `bench.results.reading` makes rows of them.

What is damaged is an error, or a `Problem`, that names the file.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.api.files import MOST_BYTES
from bench.errors import BenchError
from bench.store import layout
from bench.store.arrays import read_arrays
from bench.store.checked import (
    Json,
    Problem,
    UnreadableError,
    missing,
    read_json,
    read_record,
)
from bench.store.records import AuditResult, EpisodeScores, Failure, TrainingResult

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Weightings:
    """One sequence of a memory probe, the learner's answer, and where its heads were.

    Attributes:
        x: (T, D) input.
        target: (T, E) bits to answer.
        answer: (T, E) probabilities answered.
        mask: (T,) 1 where the answer counts.
        heads: by name, (T, rows).
    """

    x: FloatArray
    target: FloatArray
    answer: FloatArray
    mask: FloatArray
    heads: dict[str, FloatArray]


class Validation(NamedTuple):
    """A meta-validation: one point of a learning curve."""

    examples: float
    """Seen in meta-training so far."""
    seconds: float
    """Of meta-training so far; meta-validation excluded."""
    score: float
    """Accuracy, or another metric; on episodes of the training's own task: as many ways as it was
    trained with."""


def episode_scores(cell: str | Path) -> EpisodeScores:
    """The per-episode scores of a finished cell.

    Args:
        cell: its folder, the column ``path`` of `load_results`.

    Raises:
        BenchError: they are missing or damaged.
    """
    path = Path(cell) / layout.EPISODES
    try:
        return EpisodeScores.model_validate(read_json(path, EpisodeScores))
    except (UnreadableError, ValidationError) as error:
        raise _again(path, error) from error


def metric_scores(cell: str | Path, metric: str) -> tuple[str | None, NDArray[np.float64]]:
    """The per-episode scores of a finished cell by one metric, which may be a plugin's.

    Args:
        cell: its folder.
        metric: `bench.store.records.Measure.metric`.

    Returns:
        The bank's hash, and (episodes,) scores in bank order.

    Raises:
        BenchError: they are missing or damaged.
    """
    path = Path(cell) / layout.EPISODES
    try:
        record = read_json(path)
        return record["bank"], _scores(record, metric)
    except KeyError as error:
        raise _again(path, f"is damaged (it lacks {error})") from error
    except (UnreadableError, ValueError, TypeError, OverflowError) as error:
        raise _again(path, error) from error


def _scores(record: Json, metric: str) -> NDArray[np.float64]:
    scores = record[metric] if metric in record else record["scores"][metric]
    return np.asarray(scores, np.float64).reshape(-1)


def _again(path: Path, why: object) -> BenchError:
    if isinstance(why, ValidationError):
        why = f"is damaged ({why.errors(include_url=False)[0]['msg']})"
    return BenchError(f"{path}: {why}\ncompute the cell again: give its `bench run` once more")


def check_scores(path: Path, bank: str, episodes: int, metric: str | None) -> None:
    """Holds the scores of a cell to what was asked.

    Args:
        path: ``episodes.json``.
        bank: hash of the episodes answered.
        episodes: how many.
        metric: what its protocol ranks by; None: not known.

    Raises:
        UnreadableError: they are not there for each episode, or of another bank.
    """
    record = read_record(path, EpisodeScores, ("bank", bank))
    lengths = {
        key: len(value) for key, value in record.items() if isinstance(value, list) and value
    }
    for key, length in lengths.items():
        if length != episodes:
            raise UnreadableError(f"{key}: {length} scores of {episodes} episodes")
    if not lengths or metric not in {None, *lengths}:
        raise UnreadableError("lacks scores")
    if metric is not None and None in record[metric]:
        raise UnreadableError(f"{metric}: lacks scores")


def scores_at_a_glance(path: str) -> str | None:
    """Why the scores of a cell are of no use, as far as it can be seen without reading them: for
    who looks at 20,000 cells and shows none of their scores. None: there is nothing to be seen.

    Args:
        path: ``episodes.json``.
    """
    try:
        about = os.stat(path)  # noqa: PTH116 (see `bench.api.files.read_regular`)
        if not stat.S_ISREG(about.st_mode):
            return "is no file"
        if about.st_size > MOST_BYTES:
            return f"is larger than {MOST_BYTES / 2**20:g} MiB"
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(max(0, about.st_size - 16))
            end = file.read(16)
    except OSError as error:
        return "is missing" if missing(path) else error.strerror or str(error)
    return None if end.rstrip().endswith(b"}") else "is damaged or truncated: it ends in no record"


def check_picture(path: Path) -> None:
    """Whether the picture of a memory probe can be drawn.

    Raises:
        UnreadableError: it cannot.
    """
    try:
        weightings(path.parent)
    except BenchError as error:
        raise UnreadableError(str(error).removeprefix(f"{path} ")) from error


def weightings(cell: str | Path) -> Weightings | None:
    """What a memory probe's cell has for a picture; None where its learner had nothing to show.

    Args:
        cell: its folder, the column ``path`` of `load_results`.

    Raises:
        BenchError: the file is damaged.
    """
    path = Path(cell) / layout.WEIGHTINGS
    if missing(path):
        return None
    try:
        stored = read_arrays(path, MOST_BYTES)
        arrays = {
            name: (array / np.float32(255)).astype(np.float32) for name, array in stored.items()
        }
        given = {name: arrays.pop(name) for name in ("x", "target", "answer", "mask")}
        heads = {name.removeprefix("head "): array for name, array in arrays.items()}
        shapes = [array.shape for array in (*given.values(), *heads.values())]
        dimensions = [2, 2, 2, 1, *[2] * len(heads)]
        if [len(s) for s in shapes] != dimensions or len({s[0] for s in shapes}) != 1:
            raise ValueError(f"arrays of {shapes} do not fit together")
        return Weightings(**given, heads=heads)
    except Exception as error:  # see `read_arrays`
        raise BenchError(f"{path} is damaged ({error})") from error


def training_records(root: str | Path, training: str) -> tuple[list[str], Json | None]:
    """Warnings and failure stored with a training; nothing where the files are unreadable.

    Args:
        root: the results folder.
        training: its folder name, the column ``training`` of `load_results`.
    """
    folder = layout.training_folder(root, training)
    found: list[Json] = []
    for name in (layout.RESULT, layout.FAILURE):
        try:
            found.append(read_json(folder / name))
        except UnreadableError:
            found.append({})
    warnings = found[0].get("warnings")
    return [str(w) for w in warnings] if isinstance(warnings, list) else [], found[1] or None


def audit_records(
    root: str | Path, training: str, problems: list[Problem] | None = None
) -> tuple[list[Json] | None, Json | None]:
    """The audits stored with a training, and why they could not be made; None for what is not
    there.

    Args:
        root: the results folder.
        training: its folder name, the column ``training`` of `load_results`.
        problems: damaged files are added to it.
    """
    folder = layout.training_folder(root, training)
    found: list[Json] = []
    audits_file = folder / layout.AUDITS
    for file, model in ((audits_file, AuditResult), (layout.failure_file(audits_file), Failure)):
        path = str(file)
        record: Json = {}
        if not missing(path):
            try:
                record = read_json(path, model)
            except UnreadableError as error:
                if problems is not None:
                    problems.append(Problem(path, str(error)))
        found.append(record)
    audits = [audit for audit in found[0].get("audits") or [] if audit]
    return audits or None, found[1] or None


def learning_curve(
    root: str | Path,
    training: str,
    problems: list[Problem] | None = None,
    metric: str = "accuracy",
) -> list[Validation]:
    """The meta-validations of a finished training, the first one first.

    None where the training is unfinished or was not copied with its cells; points that are null
    or lack a number are left out.

    Args:
        root: the results folder.
        training: its folder name, the column ``training`` of `load_results`.
        problems: a damaged file is added to it, once.
        metric: whose values are wanted, a key of `bench.store.records.CurvePoint.val_scores`,
            ``accuracy`` or ``nll``.
    """
    path = layout.training_folder(root, training) / layout.RESULT
    if missing(path):
        return []
    try:
        points = read_json(path, TrainingResult).get("curve") or []
    except UnreadableError as error:
        problem = Problem(str(path), str(error))
        if problems is not None and problem not in problems:
            problems.append(problem)
        return []
    curve = []
    for point in filter(None, points):
        scores = {**(point.get("val_scores") or {}), "accuracy": point.get("val_accuracy")}
        scores["nll"] = point.get("val_nll")
        given = [number(point.get("examples")), number(point.get("seconds"))]
        given.append(number(scores.get(metric)))
        numbers = [value for value in given if value is not None]
        if len(numbers) == len(given):
            curve.append(Validation(*numbers))
    return curve


def number(value: Any) -> float | None:
    """A finite float."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e308 else None
