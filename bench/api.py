"""The contract: everything that the author of a learner reads.

A learner is a `torch.nn.Module` with two methods to write, `adapt` and `predict`. With them it
runs in every suite, in both protocols:

* **k-shot**: `adapt` learns from the support set, `predict` answers the queries;
* **online** (Santoro et al. 2016): examples arrive one at a time, the learner predicts ``y_t`` from
  ``x_t``, after having seen ``(x_0, y_0) ... (x_{t-1}, y_{t-1})``.

One law ties the two views, for every ``t >= 1``::

    unroll(x, y, ways)[:, t] == predict(adapt(x[:, :t], y[:, :t], ways), x[:, t:t+1])[:, 0]

A learner with a memory that is fed step by step (`SequenceLearner`) also runs in **memory probes**
(Graves et al. 2014: copy a sequence, recall by association), which are no classification.

Letters in shapes: ``B`` episodes (always handled together), ``S`` support items, ``Q`` query items,
``T`` time steps, ``D`` features, ``N`` = ways, ``E`` bits of a probe's answer.

This module imports nothing of the project.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONTRACT_VERSION = 1
"""Version of this contract. A learner states the one it was written for as ``contract = 1``."""

Protocol = Literal["kshot", "online", "sequence"]
State = Any
"""What `Learner.adapt` returns: tensors with leading dimension ``B``, alone or nested in tuples,
NamedTuples, lists and dicts. Plain numbers and None may stand beside them."""


def option(default: Any, meaning: str) -> Any:
    """A documented hyper-parameter: a field of a learner's `Config` dataclass.

    Args:
        default: the value used when the user gives none.
        meaning: one sentence, with the unit and, where there is one, the paper's symbol.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class TaskSpec:
    """What a task looks like. Nothing in it is data.

    Raises:
        ValueError: for values that describe no task (0 ways, an online length that is not a
            multiple of the ways, ...).
    """

    input_shape: tuple[int, ...]
    """Shape of one input, for images ``(channels, height, width)``."""
    ways: int
    """Classes in an episode (N)."""
    shots: int | tuple[int, int] = 1
    """Support examples per class (K). A pair is an inclusive range, drawn once per update."""
    queries: int = 15
    """Query examples per class. Only in the k-shot protocol."""
    protocol: Protocol = "kshot"
    length: int = 0
    """Online protocol only: examples in an episode (T), each class ``length / ways`` times."""
    episodes_per_update: int = 16
    """Episodes in one meta-training update (the meta-batch)."""
    classes: int = 0
    """Classes that meta-training draws from, rotations included. 0 where it is not known. A
    learner that is pretrained as an ordinary classifier needs it."""
    items: int | tuple[int, int] = 0
    """Memory probes only: vectors to copy, items to recall. A pair is an inclusive range, drawn
    once per update."""
    outputs: int = 0
    """Memory probes only: bits of an answer (E)."""

    def __post_init__(self) -> None:
        low, high = self.shot_range
        if self.ways < 1 or self.episodes_per_update < 1:
            raise ValueError(f"ways and episodes_per_update must be at least 1, in {self}")
        if self.protocol == "sequence":
            fewest, most = self.item_range
            if not 1 <= fewest <= most or self.outputs < 1 or len(self.input_shape) != 1:
                raise ValueError(f"a memory probe has vectors, items and outputs, got {self}")
        if self.protocol == "kshot" and (not 1 <= low <= high or self.queries < 1):
            raise ValueError(f"a k-shot task needs shots >= 1 and queries >= 1, got {self}")
        if self.protocol == "online" and (self.length < 1 or self.length % self.ways):
            raise ValueError(
                f"an online task needs a length that is a multiple of its {self.ways} ways, "
                f"got {self.length}"
            )

    @property
    def shot_range(self) -> tuple[int, int]:
        """Smallest and largest number of shots."""
        return self.shots if isinstance(self.shots, tuple) else (self.shots, self.shots)

    @property
    def item_range(self) -> tuple[int, int]:
        """Smallest and largest number of items of a memory probe."""
        return self.items if isinstance(self.items, tuple) else (self.items, self.items)

    @property
    def answer_size(self) -> int:
        """Logits of one answer: one per class, or one per bit of a memory probe."""
        return self.outputs if self.protocol == "sequence" else self.ways

    @property
    def presentations(self) -> int:
        """How often each class is presented in an online episode."""
        return self.length // self.ways

    @property
    def examples_per_episode(self) -> int:
        """Images (support and query) in one episode, at most. A memory probe counts as one."""
        if self.protocol == "sequence":
            return 1
        if self.protocol == "online":
            return self.length
        return self.ways * (self.shot_range[1] + self.queries)

    @property
    def examples_per_update(self) -> int:
        """Images that one meta-training update sees, at most."""
        return self.episodes_per_update * self.examples_per_episode

    def but(self, **changes: Any) -> TaskSpec:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass
class Episodes:
    """B k-shot episodes. Support and query items come in random order; labels are shuffled."""

    ways: int
    support_x: Tensor
    """(B, S, *input_shape) float32 in [0, 1]"""
    support_y: Tensor
    """(B, S) int64 in [0, ways)"""
    query_x: Tensor
    """(B, Q, *input_shape)"""
    query_y: Tensor
    """(B, Q)"""
    classes: Tensor | None = None
    """(B, ways) int64 in [0, TaskSpec.classes): which meta-training class stands behind each
    label. Given in meta-training only."""

    def to(self, device: torch.device | str) -> Episodes:
        """The same episodes on another device."""
        return Episodes(
            self.ways,
            self.support_x.to(device),
            self.support_y.to(device),
            self.query_x.to(device),
            self.query_y.to(device),
            None if self.classes is None else self.classes.to(device),
        )


@dataclass
class Stream:
    """B online episodes, each class presented equally often, in random order."""

    ways: int
    x: Tensor
    """(B, T, *input_shape) float32 in [0, 1]"""
    y: Tensor
    """(B, T) int64 in [0, ways)"""
    classes: Tensor | None = None
    """(B, ways), see `Episodes.classes`."""

    def to(self, device: torch.device | str) -> Stream:
        """The same episodes on another device."""
        return Stream(
            self.ways,
            self.x.to(device),
            self.y.to(device),
            None if self.classes is None else self.classes.to(device),
        )


@dataclass
class Sequences:
    """B memory probes of equal length."""

    x: Tensor
    """(B, T, D) float32"""
    target: Tensor
    """(B, T, E) float32, the bits to answer: 0 or 1"""
    mask: Tensor
    """(B, T) float32, 1 at the steps whose answer counts"""

    def to(self, device: torch.device | str) -> Sequences:
        """The same probes on another device."""
        return Sequences(self.x.to(device), self.target.to(device), self.mask.to(device))


def map_tensors(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies `function` to every tensor of a nested state; keeps the nesting and plain numbers.

    Raises:
        TypeError: where the state holds something that is no tensor and no container.
    """
    if isinstance(state, Tensor):
        return function(state)
    if state is None or isinstance(state, int | float):
        return state
    if isinstance(state, Mapping):
        return {key: map_tensors(function, value) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):  # a NamedTuple
        return type(state)(*(map_tensors(function, value) for value in state))
    if isinstance(state, tuple | list):
        return type(state)(map_tensors(function, value) for value in state)
    raise TypeError(
        f"a state holds tensors in tuples, NamedTuples, lists and dicts, not {type(state).__name__}"
    )


class Learner(nn.Module):
    """A meta-learner. Subclasses write `adapt` and `predict`, and state family and contract.

    The harness builds it with the task that `training_task` asks for, meta-trains it by
    minimising `loss`, and meta-tests it in ``eval()`` mode under ``no_grad`` (a learner that needs
    gradients to adapt re-enables them with ``torch.enable_grad()``). Query labels reach it through
    `loss` only.
    """

    family: ClassVar[str]
    """"model-based", "metric-based", "optimization-based", or one of your own."""
    contract: ClassVar[int]
    """The `CONTRACT_VERSION` this learner was written for. State it; it is not inherited."""
    references: ClassVar[tuple[str, ...]] = ()
    """The papers it implements."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named configurations, as ``{"paper": {"lr": 1e-4}}``; asked for as ``'NAME[paper]'``."""
    trained: ClassVar[bool] = True
    """False for a learner without anything to meta-train."""
    protocols: ClassVar[tuple[Protocol, ...]] = ("kshot", "online")
    """Where it can take part."""

    transductive: bool = False
    """True when a query's answer depends on the other queries. Shown beside every result."""
    max_grad_norm: float | None = None
    """Meta-gradients are clipped to this norm; None: not at all."""

    @dataclass(frozen=True)
    class Config:
        """The hyper-parameters: one documented `option` each."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.task = task

    # -- to be written ----------------------------------------------------------------------------

    @abstractmethod
    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Learns the task: prototypes, fast weights, memory contents, cached keys.

        Args:
            support_x: (B, S, *input_shape), S >= 1, in random order.
            support_y: (B, S) in [0, ways). In the online view some classes may be absent.
            ways: classes in these episodes; may differ from the number trained with.
        """
        raise NotImplementedError

    @abstractmethod
    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Answers every query on its own.

        Args:
            state: what `adapt` returned.
            query_x: (B, Q, *input_shape).

        Returns:
            Logits (B, Q, ways), finite also for classes that the support set lacks.
        """
        raise NotImplementedError

    # -- to be overridden where the default does not fit ------------------------------------------

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """The online view: logits for every step, each from the steps before it.

        The default conditions on every prefix in turn, which is correct for any learner and slow;
        at step 0, where nothing was seen, it answers uniformly.

        Args:
            x: (B, T, *input_shape).
            y: (B, T); ``y[:, t]`` may influence the logits after step t only.
            ways: classes in these episodes.

        Returns:
            Logits (B, T, ways).
        """
        logits = [x.new_zeros(x.shape[0], ways)]
        for t in range(1, x.shape[1]):
            state = self.adapt(x[:, :t], y[:, :t], ways)
            logits.append(self.predict(state, x[:, t : t + 1])[:, 0].float())
        return torch.stack(logits, dim=1)  # (B, T, N)

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The scalar that meta-training minimises. May be a surrogate.

        The default is the cross-entropy of the queries, or of every step of a stream.
        """
        if isinstance(batch, Stream):
            logits, target = self.unroll(batch.x, batch.y, batch.ways), batch.y
        else:
            state = self.adapt(batch.support_x, batch.support_y, batch.ways)
            logits, target = self.predict(state, batch.query_x), batch.query_y
        return F.cross_entropy(logits.float().flatten(0, 1), target.flatten())

    def optimizer(
        self, updates: int
    ) -> torch.optim.Optimizer | tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """The meta-optimizer, alone or with a scheduler that is stepped once per update.

        Args:
            updates: how many updates the budget allows at most.
        """
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """How the learner wants to be meta-trained to be tested on `task`.

        More ways, a range of shots, another number of queries or of episodes per update. Two test
        tasks for which the answer is the same share one training. Default: as tested.
        """
        return task

    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> int | None:
        """Meta-training updates in the paper's own schedule (``--budget paper``), if it has one."""
        return None

    @classmethod
    def bank_share(cls, config: Any, task: TaskSpec, episodes: int) -> int:
        """How many of the bank's `episodes` it answers. A learner for which a task is dear may
        answer the first part only; the harness asks for at least 200."""
        return episodes


class SequenceLearner(Learner):
    """A learner with a memory that is fed step by step: `initial_state` and `step` are written.

    At step t it receives the encoding of ``x_t`` and the label of ``t - 1`` (Santoro et al. 2016,
    Section 2.2). All views follow: `adapt` feeds the support set and keeps the last label
    *pending*, which the step of each query consumes; every query is answered from its own copy of
    the state. In a memory probe there are no labels (L = 0), and a step answers with E bits.
    """

    protocols: ClassVar[tuple[Protocol, ...]] = ("kshot", "online", "sequence")

    @property
    def label_size(self) -> int:
        """Width L of an encoded label: one-hot, or 0 in a memory probe."""
        return 0 if self.task.protocol == "sequence" else self.task.ways

    def encode(self, x: Tensor) -> Tensor:
        """All that does not depend on the recurrence, for all steps at once: (B, T, D)."""
        return x.flatten(2)

    def label(self, y: Tensor) -> Tensor:
        """Encodes labels (B, T) as (B, T, L). All zeros mean "no label". Default: one-hot."""
        return F.one_hot(y, self.task.ways).float()

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step; nothing of an earlier episode may be left in it."""
        raise NotImplementedError

    def begin(self, first_x: Tensor) -> State:
        """The state before the first step of episodes whose first inputs are ``first_x``.

        Default: `initial_state`. A learner that draws something per episode derives it from the
        first input, so that an episode is answered alike in any batch and in both views.

        Args:
            first_x: (B, *input_shape).
        """
        return self.initial_state(len(first_x))

    @abstractmethod
    def step(self, state: State, z: Tensor, label: Tensor) -> tuple[Tensor, State]:
        """One time step.

        Args:
            state: the state after the step before.
            z: (B, D), this step's encoding.
            label: (B, L), the label of the step before.

        Returns:
            Logits (B, task.answer_size), and the new state.
        """
        raise NotImplementedError

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Feeds the support set in its order; the last label stays pending."""
        self._check_ways(ways)
        z, label = self.encode(support_x), self.label(support_y)  # (B, S, D), (B, S, L)
        state = self.begin(support_x[:, 0])
        previous = torch.zeros_like(label[:, 0])
        for z_t, label_t in zip(z.unbind(1), label.unbind(1), strict=True):
            _, state = self.step(state, z_t, previous)
            previous = label_t
        return {"memory": state, "pending": previous, "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """One step per query, each from its own copy of the state."""
        batch, queries = query_x.shape[:2]
        z = self.encode(query_x).flatten(0, 1)  # (BQ, D)
        copies = map_tensors(lambda tensor: tensor.repeat_interleave(queries, dim=0), state)
        logits, _ = self.step(copies["memory"], z, copies["pending"])
        return logits.unflatten(0, (batch, queries))[..., : state["ways"]]

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """One pass over the stream."""
        self._check_ways(ways)
        label = self.label(y)  # (B, T, L)
        previous = torch.cat([torch.zeros_like(label[:, :1]), label[:, :-1]], dim=1)
        return self._steps(x, previous)[..., :ways]

    def respond(self, x: Tensor) -> Tensor:
        """Memory probes: what it answers at every step.

        Args:
            x: (B, T, D).

        Returns:
            Logits (B, T, E), one per bit.
        """
        return self._steps(x, x.new_zeros(*x.shape[:2], 0))

    def weightings(self, x: Tensor) -> dict[str, Tensor]:
        """Memory probes: where in the memory each head was, for a picture in the report.

        Args:
            x: (B, T, D).

        Returns:
            By the head's name its weights (B, T, rows) in [0, 1]. Default: nothing to show.
        """
        return {}

    def loss(self, batch: Episodes | Stream | Sequences) -> Tensor:
        """Cross-entropy: of the queries, of every step of a stream, of every bit of a probe."""
        if not isinstance(batch, Sequences):
            return super().loss(batch)
        logits = self.respond(batch.x).float()
        bits = F.binary_cross_entropy_with_logits(logits, batch.target, reduction="none").mean(-1)
        return (bits * batch.mask).sum() / batch.mask.sum()

    def _steps(self, x: Tensor, labels: Tensor) -> Tensor:
        """Feeds x (B, T, *input_shape), each step with its label (B, T, L); all logits."""
        z, state = self.encode(x), self.begin(x[:, 0])
        logits = []
        # `unbind`, because the gradient of ``z[:, t]`` would fill a whole z with zeros at every t.
        for z_t, label_t in zip(z.unbind(1), labels.unbind(1), strict=True):
            output, state = self.step(state, z_t, label_t)
            logits.append(output)
        return torch.stack(logits, dim=1)  # (B, T, answer_size)

    def _check_ways(self, ways: int) -> None:
        if ways > self.task.ways:
            raise ValueError(
                f"this learner's output was built for {self.task.ways} ways and cannot answer "
                f"{ways}; meta-train it with at least {ways} ways"
            )
