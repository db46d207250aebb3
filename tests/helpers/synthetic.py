"""Writes results folders without running anything, through the models of `bench.store.records`.

``python tests/helpers/synthetic.py FOLDER`` writes one to look at: fifteen learners, two protocols,
seeds, failures, two devices.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.statistics.intervals import first_presentation_ceiling, mean_interval
from bench.store.atomic import save_arrays
from bench.store.records import (
    CellResult,
    Environment,
    EpisodeScores,
    Failure,
    Interval,
    Phase,
    Record,
    TimingResult,
    TrainingResult,
)

NOW = "2026-11-20T12:00:00+00:00"
KNOWN_BEFORE = set(CellResult.model_fields) - (
    {"metrics", "by_presentation", "ceiling", "bits", "updates", "examples", "training_seconds"}
    | {"best_val_accuracy", "parameters", "transductive", "warnings", "test_seconds"}
    | {"environment", "source", "finished"}
)
"""What cell.json holds."""


def environment(device: str = "cpu", **changes: Any) -> Environment:
    """A machine."""
    fields: dict[str, Any] = {
        "device": device, "device_name": "Xeon 8481C", "threads": 1 if "/" in device else 2,
        "python": "3.11.9", "torch": "2.13.0+cpu", "numpy": "2.2.6", "bench": "0.1.0",
        "platform": "Linux-6.8-x86_64", "commit": "ab02223c0ffee", "dirty": False,
    }  # fmt: skip
    return Environment(**fields | changes)


def store(path: Path, record: Record, **dump: Any) -> None:
    """Writes a record where it belongs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json(indent=1, **dump))


def write_cell(
    root: Path,
    learner: str = "prototypical",
    family: str = "metric-based",
    *,
    suite: str = "glyphs-5way",
    setting: str = "5way1shot",
    seed: int = 0,
    accuracy: float = 0.9,
    by_presentation: list[float] | None = None,
    status: str = "done",
    budget: str = "standard",
    device: str = "cpu",
    episodes: int = 200,
    ways: int = 5,
    timed: dict[str, float] | None = None,
    failure: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """One cell with random per-episode scores around `accuracy`; returns its folder.

    Args:
        timed: seconds of ``adapt`` by device; the other phases follow from it.
        failure: fields of `Failure` where the status is failed.
        changes: any other field of `CellResult`.
    """
    name = learner.partition("[")[0]
    cell_id = hashlib.sha256(
        f"{suite}{setting}{learner}{seed}{budget}{device}".encode()
    ).hexdigest()
    safe = "".join(c if c.isalnum() else "-" for c in name)
    folder = root / "cells" / suite / setting / f"{safe}-{cell_id[:12]}"
    rng = np.random.default_rng(int(cell_id[:8], 16))
    online = by_presentation is not None
    curve = None
    if online:
        centre = np.asarray(by_presentation)
        curve = (centre + rng.normal(0, 0.08, (episodes, centre.size))).clip(0, 1)
        scores = curve.mean(1)
    else:
        spread = 0.2 * (accuracy * (1 - accuracy)) ** 0.5
        scores = rng.normal(accuracy, spread, episodes).clip(0, 1)
    task = {
        "input_shape": [1, 28, 28],
        "ways": ways,
        "shots": 1,
        "queries": 15,
        "length": 10 * ways,
    }
    fields: dict[str, Any] = {
        "id": cell_id[:12], "training": f"{safe}-{cell_id[12:24]}", "suite": suite,
        "suite_version": 1, "setting": setting, "protocol": "online" if online else "kshot",
        "task": task, "training_task": task | {"ways": 20}, "dataset": "glyphs", "split": "scripts",
        "test_rotations": False, "bank": f"{suite}/{setting}/{episodes}", "episodes": episodes,
        "bank_episodes": 1000, "learner": learner, "learner_name": name, "family": family,
        "config": {"encoder": "conv4"}, "seed": seed, "device": device, "precision": "fp32",
        "budget": budget,
        "metrics": {
            "accuracy": interval(scores), "nll": interval(1.2 * (1 - scores)),
            "ece": Interval(mean=0.2 * (1 - accuracy), ci95=None, n=episodes * 75),
        },
        "by_presentation": None if curve is None else [interval(c) for c in curve.T],
        "ceiling": first_presentation_ceiling(ways) if online else None,
        "updates": 4200, "examples": 1_000_000, "training_seconds": 1234.5,
        "best_val_accuracy": accuracy, "parameters": 111_936, "transductive": False,
        "test_seconds": 9.8, "environment": environment(device), "source": "5ec0de",
        "finished": NOW,
    } | changes  # fmt: skip
    result = CellResult(**fields)
    store(folder / "cell.json", result, include=KNOWN_BEFORE)
    if status == "done":
        store(folder / "result.json", result)
        store(
            folder / "episodes.json",
            EpisodeScores(
                bank=result.bank,
                accuracy=scores.tolist(),
                nll=(1.2 * (1 - scores)).tolist(),
                by_presentation=None if curve is None else curve.tolist(),
            ),
        )
    if status == "failed":
        store(folder / "failure.json", a_failure(**failure or {}))
    for timed_device, adapt in (timed or {}).items():
        file = folder / "timings" / f"{timed_device.replace('/', '-')}.json"
        store(file, timing(timed_device, adapt))
    return folder


def write_probe(
    root: Path,
    learner: str = "ntm",
    *,
    items: int = 20,
    wrong: float = 2.0,
    heads: tuple[str, ...] = (),
    **changes: Any,
) -> Path:
    """One cell of the memory probe `copy`, with about that many wrong bits per sequence.

    Args:
        heads: gives it a picture in which the first head walks up the memory, the second down, ...
        changes: see `write_cell`.
    """
    bits, episodes = 8 * items, 40
    errors = np.random.default_rng(items).poisson(wrong, episodes).clip(0, bits)
    right = 1 - errors / bits
    task = {"input_shape": [10], "ways": 1, "protocol": "sequence", "items": items, "outputs": 8}
    fields: dict[str, Any] = {
        "suite": "copy", "setting": f"length{items}", "episodes": episodes, "protocol": "sequence",
        "task": task, "training_task": task | {"items": [1, 20]}, "dataset": "copy", "split": "",
        "config": {}, "bits": bits,
        "metrics": {
            "accuracy": interval(right), "nll": interval(1 - right),
            "ece": Interval(mean=0.01, ci95=None, n=episodes * bits),
            "bit_errors": interval(errors),
        },
    }  # fmt: skip
    folder = write_cell(root, learner, "model-based", **fields | changes)
    if not (folder / "result.json").exists():
        return folder
    bank = json.loads((folder / "result.json").read_text(encoding="utf-8"))["bank"]
    stored = EpisodeScores(
        bank=bank, accuracy=right.tolist(), nll=(1 - right).tolist(),
        bit_errors=errors.tolist(),
    )  # fmt: skip
    store(folder / "episodes.json", stored)
    if heads:
        steps, rows = 2 * items + 2, 128
        rng = np.random.default_rng(0)
        vectors = (rng.random((items, 8)) < 0.5).astype(float)
        x, target = np.zeros((steps, 10)), np.zeros((steps, 8))
        x[0, 8] = x[items + 1, 9] = 1
        x[1 : items + 1, :8] = target[items + 2 :] = vectors
        walk = np.arange(steps) % (items + 1)
        arrays = {
            f"head {name}": np.eye(rows)[4 + (walk if number % 2 == 0 else items - walk)]
            for number, name in enumerate(heads)
        }
        answer = (0.9 * target + 0.05).clip(0, 1)
        arrays |= {"x": x, "target": target, "answer": answer, "mask": np.arange(steps) > items + 1}
        pixels = {key: np.rint(255 * value).astype(np.uint8) for key, value in arrays.items()}
        save_arrays(folder / "weightings.npz", pixels)
    return folder


def interval(values: Any) -> Interval:
    """Of an array."""
    mean, ci95 = mean_interval(values)
    return Interval(mean=mean, ci95=ci95, n=len(values))


def a_failure(**changes: Any) -> Failure:
    """An exception while testing."""
    fields: dict[str, Any] = {
        "kind": "error", "reason": "RuntimeError: shapes (5, 64) and (1, 63) do not fit",
        "traceback": 'Traceback (most recent call last):\n  File "maml.py", line 71, in adapt\n'
        "    z = x @ w\nRuntimeError: shapes (5, 64) and (1, 63) do not fit\n",
        "phase": "test", "environment": environment(), "finished": NOW,
    }  # fmt: skip
    return Failure(**fields | changes)


def timing(device: str, adapt: float) -> TimingResult:
    """What `adapt` seconds of adaptation might come with."""

    def phase(seconds: float) -> Phase:
        return Phase(median=seconds, low=0.9 * seconds, high=1.2 * seconds, repeats=30)

    return TimingResult(
        device=device,
        phases={
            "train_update": phase(40 * adapt), "train_example": phase(0.1 * adapt),
            "adapt": phase(adapt), "first_answer": phase(1.6 * adapt),
            "further_query": phase(0.05 * adapt),
        },
        throughput_batch=16, throughput=2 / adapt, memory=420_000_000,
        environment=environment(device), source="5ec0de", finished=NOW,
    )  # fmt: skip


def make_older(root: Path) -> None:
    """Turns all timings into what an older version stored: the highest memory of all that the
    process had done."""
    for path in root.glob("cells/*/*/*/timings/*.json"):
        stored = json.loads(path.read_bytes())
        path.write_text(json.dumps(stored | {"peak_memory": stored.pop("memory")}))


def write_training(root: Path, cell: Path, **changes: Any) -> Path:
    """The training that a finished cell names."""
    cell_result = CellResult.model_validate_json((cell / "result.json").read_bytes())
    fields = cell_result.model_dump() | {
        "id": cell_result.training[-12:], "seconds": 1234.5, "validation_seconds": 30.0,
        "overhead": 0.02, "stopped": "budget", "best_update": 4000, "curve": [],
    }  # fmt: skip
    folder = root / "trainings" / cell_result.training
    store(folder / "result.json", TrainingResult(**fields | changes))
    return folder


LEARNERS = {
    "model-based": {
        "mann": 0.914, "mann[memory_size=64,read_heads=2]": 0.902, "snail": 0.978,
        "metanet": 0.957, "ntm": 0.731, "lstm": 0.688, "memory-network": 0.846,
    },
    "metric-based": {
        "prototypical": 0.9831, "matching": 0.9795, "siamese": 0.941,
        "pixel-nearest-neighbour": 0.489,
    },
    "optimization-based": {
        "maml": 0.9542, "maml[first_order=true,inner_steps=5]": 0.9391, "learn2learn-anil": 0.9203,
    },
    "in-context": {"my-transformer": 0.968},
}  # fmt: skip
ADAPT = {
    "model-based": 8e-3,
    "metric-based": 1.3e-3,
    "optimization-based": 0.11,
    "in-context": 0.02,
}


def gallery(root: Path) -> None:
    """A folder to look at."""
    presentations = np.arange(10)
    for family, learners in LEARNERS.items():
        for learner, accuracy in learners.items():
            seeds = range(3) if learner in ("prototypical", "maml", "mann") else range(1)
            untrained = learner == "pixel-nearest-neighbour"
            shared: dict[str, Any] = {
                "timed": {"cpu": ADAPT[family], "cpu/1": 1.7 * ADAPT[family]},
                "budget": "none" if untrained else "standard",
                "transductive": learner == "metanet",
            }
            if untrained:
                shared |= {"updates": 0, "examples": 0, "parameters": 0, "training_seconds": 0.0}
                shared |= {"config": {}, "best_val_accuracy": None}
            for seed in seeds:
                drift = 0.004 * seed * (-1) ** seed
                for setting, easier in (("5way1shot", 0.0), ("5way5shot", 0.6)):
                    score = accuracy + (1 - accuracy) * easier + drift * (1 - easier)
                    failed = learner == "lstm" and setting == "5way5shot"
                    broken = "failed" if failed else "done"
                    gone = learner == "maml" and seed == 2 and setting == "5way1shot"
                    write_cell(
                        root, learner, family, suite="omniglot-5way", setting=setting, seed=seed,
                        accuracy=score, episodes=200 if family.startswith("opt") else 1000,
                        status="unfinished" if gone else broken,
                        warnings=["validation stays at chance (20.3 % after 4,000 updates)"]
                        if learner == "lstm" else [],
                        **shared,
                    )  # fmt: skip
            if learner.partition("[")[0] in ("mann", "snail", "prototypical", "maml", "matching"):
                learned = 0.3 + (accuracy - 0.3) * (1 - 0.6 ** (presentations + 0.5))
                learned[0] = 0.36
                write_cell(
                    root, learner, family, suite="omniglot-online", setting="5way10times",
                    by_presentation=learned.tolist(), **shared,
                )  # fmt: skip


if __name__ == "__main__":
    gallery(Path(sys.argv[1]))
