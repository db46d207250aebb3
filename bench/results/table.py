"""The stored results as a pandas table: the door for users. The harness works on `CellRow`s."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, told_if_wrong
from bench.results.reading import read_results
from bench.results.rows import CellRow
from bench.store.checked import Json

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    **dict.fromkeys(["suite", "setting", "protocol"], "object"),
    **dict.fromkeys(["learner", "learner_name", "family", "encoder"], "object"),
    **dict.fromkeys(["seed"], "Int64"),
    **dict.fromkeys(["device", "device_name", "precision", "budget", "status", "reason"], "object"),
    **dict.fromkeys(["accuracy", "accuracy_ci95"], "float64"),
    **dict.fromkeys(["episodes"], "Int64"),
    **dict.fromkeys(["nll", "nll_ci95", "ece", "bit_errors", "bit_errors_ci95"], "float64"),
    **dict.fromkeys(["accuracy_by_presentation", "accuracy_by_presentation_ci95"], "object"),
    **dict.fromkeys(["reliability"], "object"),
    **dict.fromkeys(["ceiling"], "float64"),
    **dict.fromkeys(["ways", "training_ways", "items", "bits"], "Int64"),
    **dict.fromkeys(["training_items"], "object"),
    **dict.fromkeys(["updates", "published_updates", "examples"], "Int64"),
    **dict.fromkeys(["parameters", "training_threads"], "Int64"),
    **dict.fromkeys(["training_seconds", "test_seconds", "best_val_accuracy"], "float64"),
    **dict.fromkeys(["timings", "throughput", "peak_memory", "code"], "object"),
    **dict.fromkeys(["transductive"], "boolean"),
    **dict.fromkeys(["warnings", "failure", "timing_failures", "environments"], "object"),
    **dict.fromkeys(["suite_version", "bank_episodes"], "Int64"),
    **dict.fromkeys(["dataset", "split", "test_dataset", "test_split"], "object"),
    **dict.fromkeys(["test_rotations"], "boolean"),
    **dict.fromkeys(["task", "config"], "object"),
    **dict.fromkeys(["bank", "finished", "source", "training", "id", "path"], "object"),
}
"""One row per cell. ``status`` is done, failed or unfinished; accuracies are fractions, times are
seconds. ``device`` is the kind of device that was trained on, ``device_name`` the model of what the
cell was tested on, None where it was trained on another kind, and ``training_threads`` the CPU
threads of its training. ``published_updates`` are those that the learner's paper trained for, None
where it states none. Memory probes have no ways: ``items`` are those of the test,
``training_items`` a number or ``[fewest, most]``, ``bits`` what a sequence asks for and
``bit_errors`` how many of them are wrong; their accuracy is the fraction of right bits. ``timings``
is ``{device: {phase: median}}``, ``throughput`` ``{device: episodes/s}`` and ``peak_memory``
``{device: bytes}``, None where it was not measured. ``code`` compares the stored source hash with
the installed learner's: current, other or unknown. ``environments`` lists those of the test and the
timings. ``test_dataset`` is other data than the training's that was tested on, and None elsewhere.
``failure`` and ``timing_failures`` (by device) are `bench.store.records.Failure` as stored. A
plugin's protocol adds its metric and its half-width behind these."""

METRICS = ("accuracy", "nll", "ece", "bit_errors")
"""Those that have columns in `COLUMNS`."""


@told_if_wrong
def load_results(
    path: str | Path = "results", sources: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One row per cell of a results folder, with the columns `COLUMNS`.

    Args:
        path: the results folder.
        sources: source hash of each installed learner by its entry-point name. Without it the
            column ``code`` is ``"unknown"``.

    Returns:
        The table; ``frame.attrs["problems"]`` lists what could not be read.

    Raises:
        BenchError: arguments of another type; there is no such folder, or nothing of ours in it.
    """
    if not isinstance(path, str | Path) or not str(path) or "\0" in str(path):
        raise BenchError(f"path: expected the path of a folder, got {reprlib.repr(path)}")
    if sources is not None and not _are_sources(sources):
        raise BenchError(
            "sources: expected a dict of learners' names and hashes, got " + reprlib.repr(sources)
        )
    import pandas as pd

    found = read_results(path, sources)
    columns = columns_of(found.rows)
    frame = pd.DataFrame(records(found.rows), columns=list(columns), dtype=object).astype(columns)
    frame.attrs["problems"] = found.problems
    return frame


def _are_sources(sources: Any) -> bool:
    if not isinstance(sources, Mapping):
        return False
    return all(isinstance(text, str) for pair in sources.items() for text in pair)


def columns_of(rows: Sequence[CellRow]) -> dict[str, str]:
    """`COLUMNS`, and those of the metrics that plugins' protocols rank learners by."""
    others = [key for key in dict.fromkeys(_ranked_by(row) for row in rows) if key not in METRICS]
    return COLUMNS | dict.fromkeys(
        (column for key in others for column in (key, f"{key}_ci95")), "float64"
    )


def _ranked_by(row: CellRow) -> str:
    return row.kind.metric.key


def records(rows: Sequence[CellRow]) -> list[Json]:
    """The rows with the columns of `columns_of`, None for all that is missing."""
    return [_record(row) for row in rows]


def _record(row: CellRow) -> Json:
    special: Json = {}
    for key in dict.fromkeys((*METRICS, _ranked_by(row))):
        special[key], special[f"{key}_ci95"] = row.score(key)
    special |= {
        "accuracy_by_presentation": [point.mean for point in row.by_presentation] or None,
        "accuracy_by_presentation_ci95": [point.ci95 for point in row.by_presentation] or None,
        "reliability": row.reliability and row.reliability._asdict(),
        "timings": {device: timing.phases for device, timing in row.timings.items()},
        "throughput": {device: timing.throughput for device, timing in row.timings.items()},
        "peak_memory": {device: timing.peak_memory for device, timing in row.timings.items()},
        "failure": row.failure and row.failure.stored,
        "timing_failures": {device: why.stored for device, why in row.timing_failures.items()},
        "environments": [machine._asdict() for machine in row.machines],
    }
    return {key: getattr(row, key) for key in COLUMNS if key not in special} | special
