"""What is stored: one pydantic model per JSON file of a results folder.

Where the files lie: `bench.store.layout`. Fractions are fractions (0.982), times are seconds, sizes
are bytes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA = 1
"""Version of these files; stored in each."""


LEAST_EPISODES = 200
"""A learner may answer the first part of a bank, but not less than this; only the budget ``smoke``
asks for less."""


class Record(BaseModel):
    """Base of everything stored: unknown keys of a newer schema are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    schema_version: int = SCHEMA


class Environment(Record):
    """Where and with what something was computed."""

    device: str
    """As asked for: ``cpu``, ``cpu/1``, ``cuda:0``."""
    device_name: str
    threads: int
    python: str
    torch: str
    numpy: str
    bench: str
    platform: str
    commit: str | None = None
    """Of the harness's own checkout; None when it was installed from a package."""
    dirty: bool | None = None
    driver: str | None = None
    """Version of the GPU's driver; None on other devices, and where an older version made it."""


class Interval(Record):
    """A mean with the half-width of its 95 % Student-t interval over ``n`` values."""

    mean: float
    ci95: float | None
    """None for a single value."""
    n: int


class Measure(Record):
    """What a protocol ranks learners by, and how a report writes it. Stored with each result, so
    that a report needs nothing of the protocol, which may be a plugin's."""

    metric: str
    """Key of `CellResult.metrics`, and of the scores in `EpisodeScores`."""
    heading: str
    """For people: ``accuracy``, ``wrong bits``, ``mean squared error``."""
    higher_is_better: bool
    unit: Literal["percent", "count", "number"]
    """``percent``: stored as a fraction, written times 100."""
    chance: float | None = None
    """What guessing gets in this setting, in the metric's own unit; None where nobody can say."""
    perfect: float | None = None
    """What no learner can beat."""


class ReliabilityCurve(Record):
    """Answers by the probability given to them, in equal-width bins.

    See `bench.statistics.intervals.reliability`.
    """

    answers: list[int]
    """Answers in each bin; 0 for an empty one."""
    confidence: list[float]
    """Their mean confidence."""
    accuracy: list[float]
    """The fraction of them that was right."""


class CurvePoint(Record):
    """One meta-validation."""

    updates: int
    published_updates: int | None = None
    """Those of the schedule in the learner's paper. None where it states none, or where an older
    version made it."""
    examples: int
    seconds: float
    """Meta-training time so far; meta-validation and checkpoints excluded."""
    loss: float | None
    """Mean training loss since the point before."""
    val_accuracy: float | None = None
    """None where the protocol has none, as with `val_nll`."""
    val_nll: float | None = None
    val_scores: dict[str, float] = {}
    """Means of the protocol's other scores, by metric."""


class Requested(Record):
    """Shared by trainings and cells: who, with what."""

    learner: str
    """Name with the options that differ from the defaults: ``maml[inner_steps=5]``."""
    learner_name: str
    """Entry-point name alone: ``maml``."""
    family: str
    config: dict[str, Any]
    seed: int
    device: str
    """The kind of device it is meta-trained and meta-tested on: ``cpu``, ``cuda``, ``mps``. Which
    one it was stands in `environment`."""
    precision: Literal["fp32", "bf16"]
    compiled: bool = False
    """Whether the update was compiled (``bench run --compile``)."""
    budget: str
    """``smoke``, ``standard``, ``paper``, ``<n>examples``, ``<n>min``; ``none``: nothing to
    train."""


class TrainingStart(Record):
    """Written where a meta-training begins, and kept when it is resumed."""

    threads: int
    """CPU threads: they decide the last bits of the weights."""
    device: str
    """Where it began: ``cpu/1``, ``cuda:0``."""
    started: str
    """ISO 8601, UTC."""


class TrainingResult(Requested):
    """A finished meta-training."""

    id: str
    task: dict[str, Any]
    """The TaskSpec it was trained with."""
    updates: int
    published_updates: int | None = None
    """Those of the schedule in the learner's paper. None where it states none, or where an older
    version made it."""
    examples: int
    seconds: float
    """Meta-training time, resumed parts added up; meta-validation and checkpoints excluded."""
    overhead: float
    """Fraction of `seconds` outside the learner's own loss, backward and optimizer step."""
    validation_seconds: float
    compile_seconds: float | None = None
    """Time spent on compiling the update, or on recording it as a CUDA graph, in none of the
    others; None: neither was asked for."""
    stopped: Literal["budget", "early stopping", "diverged", "nothing to train"]
    best_update: int
    best_val_accuracy: float | None
    curve: list[CurvePoint]
    parameters: int
    transductive: bool
    threads: int | None = None
    """CPU threads, the same from beginning to end, and in its tests and audits. None where an older
    version made it: `environment` has those of its last part."""
    warnings: list[str] = []
    environment: Environment
    source: str
    """Hash of the learner's source code."""
    finished: str
    """ISO 8601, UTC."""


class Audit(Record):
    """What one of the checks of `bench.testing` finds in trained weights."""

    name: str
    outcome: Literal["passed", "failed", "measured", "not applicable"]
    """``measured``: nothing is promised, and `value` says how much there is of it."""
    explanation: str
    """What is looked at, and why."""
    found: str | None
    value: float | None
    """The figure in `found`: a fraction of answers."""
    traceback: str | None = None
    """Where the learner raised, if it did."""


class AuditResult(Record):
    """The audits of a training: on its best weights, on episodes of meta-validation classes."""

    training: str | None = None
    """Id of the training; None where an older version made them."""
    audits: list[Audit]
    seconds: float
    environment: Environment
    source: str
    finished: str


class CellResult(Requested):
    """A finished cell: a training on a test setting."""

    id: str
    training: str
    """Folder name under ``trainings/``."""
    suite: str
    suite_version: int
    suite_file: str | None = None
    """The path that it was asked for by; None: it was installed, or an older version made it."""
    setting: str
    protocol: str
    """Its name: ``kshot``, ``online``, ``sequence``, or a plugin's."""
    measure: Measure | None = None
    """What its protocol ranks learners by. It stands in ``cell.json`` too, for cells that have not
    finished. None where an older version made the cell."""
    task: dict[str, Any]
    """The TaskSpec of the meta-test."""
    training_task: dict[str, Any]
    dataset: str
    split: str
    test_dataset: str | None = None
    """Other data that it was tested on. None: the training's, and so for `test_split`."""
    test_split: str | None = None
    test_rotations: bool
    bank: str
    """Hash of the episodes answered: the bank's, or that of its first part."""
    episodes: int
    """Episodes answered."""
    bank_episodes: int
    """Episodes in the whole bank."""
    metrics: dict[str, Interval]
    """Those of its protocol: ``accuracy``, ``nll`` (nats per answer) and ``ece`` (no interval).
    Memory probes: an answer is a bit, and ``bit_errors`` counts the wrong ones of a sequence."""
    by_presentation: list[Interval] | None = None
    """Online protocol: accuracy at the 1st, 2nd, ... presentation of a class."""
    ceiling: float | None = None
    """Online protocol: the highest honest accuracy at the first presentation."""
    bits: int | None = None
    """Memory probes: bits that a sequence asks for."""
    reliability: ReliabilityCurve | None = None
    """What ``ece`` sums up. None where an older version made the cell."""
    updates: int
    published_updates: int | None = None
    """See `TrainingResult`."""
    examples: int
    training_seconds: float
    best_val_accuracy: float | None
    parameters: int
    transductive: bool
    warnings: list[str] = []
    test_seconds: float
    environment: Environment
    source: str
    finished: str


class EpisodeScores(Record):
    """Per-episode scores, in bank order, so that statistics can be redone and learners paired.

    Scores that only a plugin's protocol has stand beside these, by their metric's name.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, list[Any]]

    bank: str
    accuracy: list[float] = []
    """Empty where the protocol has none."""
    nll: list[float] = []
    by_presentation: list[list[float]] | None = None
    """Online: per episode, accuracy at the 1st, 2nd, ... presentation."""
    bit_errors: list[int] | None = None
    """Memory probes: wrong bits per sequence."""

    def of(self, metric: str) -> list[float]:
        """One number per episode; empty where the protocol has no such score."""
        return list(getattr(self, metric, None) or [])


class Phase(Record):
    """How long one phase takes: over `repeats` measurements, warm-up excluded, synchronised."""

    median: float
    """Seconds."""
    low: float
    """First quartile, seconds."""
    high: float
    """Third quartile, seconds."""
    repeats: int


class TimingResult(Record):
    """The cost of each phase on one device, measured alone on it."""

    device: str
    phases: dict[str, Phase]
    """Those of its protocol: ``train_update``, ``train_example``, and at B = 1 ``adapt``,
    ``first_answer`` (adapt and one query), ``further_query``; online also ``step`` (one step of
    `unroll`). Memory probes: the training's, and ``step`` (one step of `respond`)."""
    throughput_batch: int
    throughput: float
    """Episodes per second (adapt and all queries; whole sequences) at B = `throughput_batch`."""
    memory: int | None = None
    """Bytes, the highest while the phases were measured: allocated on the device by CUDA, of the
    process on a CPU. None: it cannot be told there, or an older version made it. That stored a
    ``peak_memory`` of all that its process had done, which no report shows."""
    environment: Environment
    source: str
    finished: str


class TimedOn(Record):
    """Which GPU a column of timings is of, in one results folder."""

    device: str
    """``cuda:0``."""
    device_name: str


class Failure(Record):
    """Why a training, its audits, a cell or a timing did not finish."""

    kind: Literal["error", "exit", "timeout", "memory", "lost", "refused", "training"]
    """``training``: the training that a cell needs has failed. ``lost``: its machine was, again and
    again; ``refused``: what was there was not what was planned. The next run tries these two again
    by itself."""
    reason: str
    """One sentence."""
    traceback: str | None = None
    phase: Literal["train", "audit", "test", "time"]
    environment: Environment | None = None
    finished: str
