"""The row of a cell from its stored JSON.

What an older version did not store, and what is not what it should be, is None, or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import ValidationError

from bench.results.measures import kind_of
from bench.results.rows import (
    COMPILED,
    AuditFound,
    CellRow,
    Failed,
    Machine,
    Reliability,
    Score,
    Status,
    Timing,
    text,
    whole,
)
from bench.store.checked import Json
from bench.store.files import number
from bench.store.records import Measure


class Trained(NamedTuple):
    """What a finished training says of itself; None where it is not known."""

    threads: int | None = None
    """Of the CPU."""
    model: str | None = None
    """Of its device."""
    source: str | None = None
    """Hash of the learner's code."""


NOTHING_KNOWN = Trained()


def row_of(
    record: Json,
    path: str,
    status: Status,
    code: Literal["current", "other", "unknown"],
    failure: Json | None = None,
    timings: Sequence[Json] = (),
    timing_failures: Mapping[str, Json] | None = None,
    training: Trained = NOTHING_KNOWN,
) -> CellRow:
    """The row of a cell.

    Args:
        record: ``result.json``, or ``cell.json`` where it is not finished.
        path: its folder.
        status: what it has come to.
        failure: ``failure.json``.
        timings: ``timings/<device>.json``.
        timing_failures: ``timings/<device>.failure.json`` by device.
        code: see `CellRow`.
        training: what its training says.
    """
    task, trained = record.get("task") or {}, record.get("training_task") or {}
    protocol, measure = text(record.get("protocol")), stored_measure(record)
    sizes = kind_of(protocol, measure).sizes
    size = {key: (task.get(key), trained.get(key)) for key in sizes}
    ways, items = size.get("ways", (None, None)), size.get("items", (None, None))
    reliability = record.get("reliability")
    return CellRow(
        path=path,
        id=text(record.get("id")),
        suite=str(record["suite"]),
        suite_version=whole(record.get("suite_version")),
        suite_file=text(record.get("suite_file")),
        setting=str(record["setting"]),
        protocol=protocol,
        measure=measure,
        learner=str(record["learner"]),
        learner_name=str(record.get("learner_name") or record["learner"]),
        family=str(record["family"]),
        config=record.get("config") or {},
        seed=int(record["seed"]),
        device=str(record["device"]),
        precision=str(record["precision"]) + (COMPILED if record.get("compiled") else ""),
        budget=str(record["budget"]),
        status=status,
        code=code,
        task=task,
        dataset=text(record.get("dataset")),
        split=text(record.get("split")),
        test_dataset=text(record.get("test_dataset")),
        test_split=text(record.get("test_split")),
        test_rotations=record.get("test_rotations"),
        bank=text(record.get("bank")),
        episodes=whole(record.get("episodes")),
        bank_episodes=whole(record.get("bank_episodes")),
        ways=whole(ways[0]),
        items=whole(items[0]),
        training_ways=whole(ways[1]),
        training_items=items[1],
        metrics={name: _score(found) for name, found in (record.get("metrics") or {}).items()},
        by_presentation=[_score(point) for point in record.get("by_presentation") or []],
        ceiling=number(record.get("ceiling")),
        bits=whole(record.get("bits")),
        reliability=_reliability(reliability) if reliability else None,
        test_seconds=number(record.get("test_seconds")),
        training=text(record.get("training")),
        training_threads=training.threads,
        training_model=training.model,
        updates=whole(record.get("updates")),
        published_updates=whole(record.get("published_updates")),
        examples=whole(record.get("examples")),
        training_seconds=number(record.get("training_seconds")),
        best_val_accuracy=number(record.get("best_val_accuracy")),
        parameters=whole(record.get("parameters")),
        transductive=record.get("transductive"),
        warnings=record.get("warnings") or [],
        finished=text(record.get("finished")),
        source=text(record.get("source")),
        machine=_machine(record.get("environment")),
        timings={str(timing.get("device")): _timing(timing) for timing in timings},
        timing_machines=[m for t in timings if (m := _machine(t.get("environment")))],
        failure=failed_of(failure),
        timing_failures={
            device: found
            for device, why in (timing_failures or {}).items()
            if (found := failed_of(why))
        },
    )


def stored_measure(record: Json) -> Measure | None:
    """What the protocol of a cell says that it ranks learners by; None where nothing usable is."""
    try:
        return Measure.model_validate(record["measure"], strict=True)
    except (KeyError, ValidationError):
        return None


def failed_of(record: Json | None) -> Failed | None:
    """A stored failure; None for none."""
    if not record:
        return None
    kind, reason, trace = (text(record.get(key)) for key in ("kind", "reason", "traceback"))
    return Failed(kind, reason, trace, record)


def audit_of(record: Json) -> AuditFound:
    """A stored audit."""
    name, outcome, found, trace = (
        text(record.get(key)) for key in ("name", "outcome", "found", "traceback")
    )
    return AuditFound(str(name), outcome, found, number(record.get("value")), trace)


def _score(stored: Json | None) -> Score:
    found = stored or {}
    return Score(number(found.get("mean")), number(found.get("ci95")))


def _reliability(stored: Json) -> Reliability:
    return Reliability(*(stored.get(key) or [] for key in Reliability._fields))


def _machine(stored: Json | None) -> Machine | None:
    return Machine(*map(stored.get, Machine._fields)) if stored else None


def _timing(stored: Json) -> Timing:
    phases = (stored.get("phases") or {}).items()
    return Timing(
        {phase: number((found or {}).get("median")) for phase, found in phases},
        number(stored.get("throughput")),
        whole(stored.get("memory")),
        text((stored.get("environment") or {}).get("device_name")),
    )
