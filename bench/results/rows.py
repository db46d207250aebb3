"""A stored cell as a typed row: what every board, comparison and table is made of.

`bench.results.reading` reads them. What an older version did not store is None, or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from bench.results.measures import Kind, kind_of
from bench.store.checked import Json
from bench.store.files import number
from bench.store.records import Measure

Status = Literal["done", "failed", "unfinished"]


class Score(NamedTuple):
    """A mean over episodes."""

    mean: float | None
    ci95: float | None
    """Half-width of its 95 % interval."""


COMPILED = " compiled"
"""Stands behind the precision of what was trained by a compiled update."""
NO_SCORE = Score(None, None)


class Reliability(NamedTuple):
    """Answers in bins of confidence, as stored."""

    answers: Sequence[int]
    confidence: Sequence[float | None]
    accuracy: Sequence[float | None]


class Machine(NamedTuple):
    """Where and with what something was computed; `bench.store.records.Environment`."""

    device: str | None
    device_name: str | None
    threads: int | None
    python: str | None
    torch: str | None
    numpy: str | None
    bench: str | None
    platform: str | None
    commit: str | None
    dirty: bool | None


class Failed(NamedTuple):
    """Why something is not there; `bench.store.records.Failure`."""

    kind: str | None
    reason: str | None
    traceback: str | None
    stored: Json
    """As it lies on disk."""


class Place(NamedTuple):
    """A device that cells were timed on."""

    device: str
    """``cpu``, ``cuda:0``."""
    model: str | None = None
    """Only these machines' timings, where a device of one name was several; None: all."""

    @property
    def label(self) -> str:
        """``cuda:0``, or ``cuda:0 (NVIDIA L4)`` where the name alone would not tell."""
        return f"{self.device} ({self.model})" if self.model else self.device


class Timing(NamedTuple):
    """What was measured on one device."""

    phases: dict[str, float | None]
    """Median seconds."""
    throughput: float | None
    """Episodes per second."""
    peak_memory: int | None
    """Bytes, the highest while the phases were measured; None where that is not known."""
    model: str | None
    """Of the device."""


class AuditFound(NamedTuple):
    """What an audit found in trained weights; `bench.store.records.Audit`."""

    name: str
    outcome: str | None
    found: str | None
    value: float | None
    traceback: str | None


@dataclass(frozen=True, eq=False, slots=True)
class CellRow:
    """A cell: a training on a test setting. Fractions, seconds and bytes.

    A row is the folder that it was read from: two rows are equal where their paths are.
    """

    path: str
    id: str | None
    suite: str
    suite_version: int | None
    setting: str
    protocol: str | None
    measure: Measure | None
    """As stored; `kind` knows the built-in protocols' without it."""
    learner: str
    """With the options that differ from the defaults."""
    learner_name: str
    family: str
    config: Json
    seed: int
    device: str
    precision: str
    """``fp32``, ``bf16``, ``fp32 compiled``, ``bf16 compiled``."""
    budget: str
    status: Status
    code: Literal["current", "other", "unknown"]
    """Whether the learner's source code is the installed one's."""
    # -- what was asked
    task: Json
    dataset: str | None
    split: str | None
    test_rotations: bool | None
    bank: str | None
    episodes: int | None
    bank_episodes: int | None
    ways: int | None
    items: int | None
    training_ways: int | None
    training_items: Any
    """A number, or fewest and most."""
    # -- what was found
    metrics: Mapping[str, Score]
    by_presentation: Sequence[Score]
    ceiling: float | None
    bits: int | None
    reliability: Reliability | None
    test_seconds: float | None
    # -- the training
    training: str | None
    """Its folder's name."""
    training_threads: int | None
    """CPU threads it had; None where it is not stored, or was not copied with the cell."""
    updates: int | None
    examples: int | None
    training_seconds: float | None
    best_val_accuracy: float | None
    parameters: int | None
    transductive: bool | None
    warnings: Sequence[str]
    finished: str | None
    source: str | None
    # -- beside it
    machine: Machine | None
    """Of the test."""
    timings: Mapping[str, Timing]
    """By device."""
    timing_machines: Sequence[Machine]
    failure: Failed | None
    timing_failures: Mapping[str, Failed]
    """By device."""
    audits: Sequence[AuditFound] | None = field(default=None)
    """Of its training, where `bench.report.audits.with_audits` has read them."""
    audit_failure: Failed | None = field(default=None)
    test_dataset: str | None = field(default=None)
    """Other data that it is tested on; None: that of the training."""
    test_split: str | None = field(default=None)
    suite_file: str | None = field(default=None)
    """The path that the suite was asked for by, where it is not installed."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellRow) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def kind(self) -> Kind:
        """How its results are read."""
        return kind_of(self.protocol, self.measure)

    @property
    def asked_of(self) -> tuple[str | None, str | None]:
        """The dataset and the split that its episodes are drawn from."""
        if self.test_dataset is None:
            return self.dataset, self.split
        return self.test_dataset, self.test_split

    @property
    def reason(self) -> str | None:
        """Why it failed, in a sentence."""
        return self.failure.reason if self.failure else None

    @property
    def encoder(self) -> str | None:
        """What the learner sees images with."""
        return text(self.config.get("encoder"))

    @property
    def device_kind(self) -> str:
        """``cuda``; older results store ``cuda:0`` or ``cpu/1`` as their device."""
        return device_kind(self.device)

    @property
    def home(self) -> Machine | None:
        """Where it was trained, if that was to be done, and tested; None where these were two."""
        tested = device_kind((self.machine and self.machine.device) or "")
        return self.machine if tested == self.device_kind else None

    @property
    def place(self) -> str:
        """Its home, ``cuda:1`` or ``cpu/1``; the kind of device where that is not known."""
        return (self.home and self.home.device) or self.device

    @property
    def device_name(self) -> str | None:
        """Model of the processor or GPU that it was trained and tested on."""
        return self.home.device_name if self.home else None

    @property
    def machines(self) -> list[Machine]:
        """Of the test and the timings."""
        return [*([self.machine] if self.machine else []), *self.timing_machines]

    def score(self, metric: str) -> Score:
        """A metric over the episodes."""
        return self.metrics.get(metric, NO_SCORE)

    def timing(self, place: Place) -> Timing | None:
        """What was measured there."""
        found = self.timings.get(place.device)
        return found if found and place.model in (None, found.model) else None


# -- from stored JSON -----------------------------------------------------------------------------


def row_of(
    record: Json,
    path: str,
    status: Status,
    code: Literal["current", "other", "unknown"],
    failure: Json | None = None,
    timings: Sequence[Json] = (),
    timing_failures: Mapping[str, Json] | None = None,
    training_threads: int | None = None,
) -> CellRow:
    """The row of a cell.

    Args:
        record: ``result.json``, or ``cell.json`` where it is not finished.
        path: its folder.
        status: what it has come to.
        code: see `CellRow`.
        failure: ``failure.json``.
        timings: ``timings/<device>.json``.
        timing_failures: ``timings/<device>.failure.json`` by device.
        training_threads: see `CellRow`.
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
        training_threads=training_threads,
        updates=whole(record.get("updates")),
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


def device_kind(device: str) -> str:
    """``cuda`` of ``cuda:1``, ``cpu`` of ``cpu/1``."""
    return device.partition(":")[0].partition("/")[0]


def text(value: Any) -> str | None:
    """As a string; None stays None."""
    return None if value is None else str(value)


def whole(value: Any) -> int | None:
    """An int that a column of 64 bits can hold."""
    return value if type(value) is int and abs(value) < 2**63 else None
