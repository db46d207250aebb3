"""What a task looks like, and the batches of episodes that a learner is given.

Letters in shapes: see `bench.api`.
"""

from __future__ import annotations

import dataclasses
import reprlib
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

from bench.api.errors import WrongValueError

Protocol = str
"""The name of a protocol, as suites write it: ``kshot``, ``online``, ``sequence``,
``regression``, ``online-regression``, or one that a package brings (`bench.protocols.base`)."""


@dataclass(frozen=True)
class TaskSpec:
    """What a task looks like. Nothing in it is data.

    Raises:
        BenchError: for values that describe no task (a text for a number, 0 ways, an online length
            that is not a multiple of the ways, ...); it is a ValueError too.
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
    """Online protocols only: examples in an episode (T), each class ``length / ways`` times."""
    episodes_per_update: int = 16
    """Episodes in one meta-training update (the meta-batch)."""
    classes: int = 0
    """Classes that meta-training draws from, rotations included. 0 where it is not known. A
    learner that is pretrained as an ordinary classifier needs it."""
    items: int | tuple[int, int] = 0
    """Memory probes only: vectors to copy, items to recall. A pair is an inclusive range, drawn
    once per update."""
    outputs: int = 0
    """Numbers in an answer that is no class (E): of memory probes its bits, in regression the
    numbers that are asked for."""
    details: tuple[tuple[str, int | float | str], ...] = ()
    """What only its protocol has a word for, as pairs of name and value: ``(("noise", 0.1),)``."""

    def __post_init__(self) -> None:
        self._check_types()
        (low, high), (fewest, most) = self.shot_range, self.item_range
        if self.ways < 1 or self.episodes_per_update < 1:
            raise WrongValueError(f"ways and episodes_per_update must be at least 1, in {self}")
        if not 1 <= low <= high or self.queries < 1:
            raise WrongValueError(f"a task needs shots >= 1 and queries >= 1, got {self}")
        if not 0 <= fewest <= most or self.outputs < 0:
            raise WrongValueError(f"a task needs items >= 0 and outputs >= 0, got {self}")
        if self.length < 0 or self.length % self.ways:
            raise WrongValueError(
                f"a length has to be a multiple of the {self.ways} ways, got {self.length}"
            )

    def _check_types(self) -> None:
        shape = self.input_shape
        if not isinstance(shape, tuple | list) or not all(map(_is_whole, shape)):
            raise _wrong("input_shape", "a tuple of whole numbers, as (1, 28, 28)", shape)
        for name in ("ways", "queries", "length", "episodes_per_update", "classes", "outputs"):
            if not _is_whole(getattr(self, name)):
                raise _wrong(name, "a whole number", getattr(self, name))
        for name in ("shots", "items"):
            value = getattr(self, name)
            pair = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
            if not all(map(_is_whole, pair)):
                raise _wrong(name, "a whole number, or a pair of them, as (1, 5)", value)
        if not isinstance(self.protocol, str):
            raise _wrong("protocol", "a text, as 'kshot'", self.protocol)

    @property
    def shot_range(self) -> tuple[int, int]:
        """Smallest and largest number of shots."""
        return self.shots if isinstance(self.shots, tuple) else (self.shots, self.shots)

    @property
    def item_range(self) -> tuple[int, int]:
        """Smallest and largest number of items of a memory probe."""
        return self.items if isinstance(self.items, tuple) else (self.items, self.items)

    @property
    def regression(self) -> bool:
        """Whether answers are numbers: y is (B, S, outputs) float32, and `ways` is 1."""
        return self.outputs > 0 and not self.items

    @property
    def online(self) -> bool:
        """Whether an episode is a stream, of which each example is answered and then told."""
        return self.length > 0

    @property
    def answer_size(self) -> int:
        """Numbers in one answer: one per class, or as many as `outputs` says."""
        return self.outputs or self.ways

    @property
    def presentations(self) -> int:
        """How often each class is presented in an online episode."""
        return self.length // self.ways

    @property
    def examples_per_episode(self) -> int:
        """Examples (support and query, or all of a stream) in one episode, at most. A sequence of
        items counts as one."""
        if self.items:
            return 1
        return self.length or self.ways * (self.shot_range[1] + self.queries)

    @property
    def examples_per_update(self) -> int:
        """Images that one meta-training update sees, at most."""
        return self.episodes_per_update * self.examples_per_episode

    def detail(self, name: str) -> int | float | str:
        """One of the `details`.

        Raises:
            KeyError: it has none of that name.
        """
        return dict(self.details)[name]

    def but(self, **changes: Any) -> TaskSpec:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def _is_whole(value: Any) -> bool:
    """numpy's integers are Integral too; True and False are not meant as 1 and 0."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _wrong(name: str, expected: str, value: Any) -> WrongValueError:
    return WrongValueError(f"{name}: a task needs {expected}, got {reprlib.repr(value)}")


@dataclass
class Episodes:
    """B k-shot episodes. Support and query items come in random order; labels are shuffled.

    In regression ``ways`` is 1, x is whatever its family of functions takes, and the targets
    ``support_y`` and ``query_y`` are float32, (B, S, E) and (B, Q, E).
    """

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
    """B online episodes, each class presented equally often, in random order.

    In regression ``ways`` is 1, and ``y`` is float32, (B, T, E).
    """

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
