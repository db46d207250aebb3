"""A stored cell as a typed row: what every board, comparison and table is made of.

`bench.results.reading` reads them. What an older version did not store is None, or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from bench.results.measures import Kind, kind_of
from bench.store.checked import Json
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
    """Whether the learner's source code, in training and in test, is the installed one's."""
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
    training_model: str | None
    """Of the processor or GPU it ran on; the same."""
    updates: int | None
    published_updates: int | None
    """Of the schedule in the learner's paper; None where it states none, or it is not stored."""
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
        """Model of the processor or GPU that it was tested on."""
        return self.home.device_name if self.home else None

    @property
    def model_trained_on(self) -> str | None:
        """Model of the processor or GPU that it was trained on; where that is not known, of the one
        that it was tested on."""
        return self.training_model or self.device_name

    @property
    def published_share(self) -> float | None:
        """Updates by those that the learner's paper trained for; None where these are not known."""
        if not self.published_updates or self.updates is None:
            return None
        return self.updates / self.published_updates

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


def device_kind(device: str) -> str:
    """``cuda`` of ``cuda:1``, ``cpu`` of ``cpu/1``."""
    return device.partition(":")[0].partition("/")[0]


def text(value: Any) -> str | None:
    """As a string; None stays None."""
    return None if value is None else str(value)


def whole(value: Any) -> int | None:
    """An int that a column of 64 bits can hold."""
    return value if type(value) is int and abs(value) < 2**63 else None
