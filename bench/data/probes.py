"""Memory probes: generated sequences that ask what a memory can hold (Graves et al. 2014).

References:
    Graves, Wayne, Danihelka 2014, "Neural Turing Machines", arXiv:1410.5401. Section numbers below
    are this paper's.

All randomness comes from `bench.episodes.words.random_words`: a probe drawn today is the probe
drawn in ten years. A probe has an episode's place everywhere in the harness: it is the `Pool` of
all three phases, which share no random word, and its sequences make up frozen banks.

Letters in shapes: ``B`` sequences, ``T`` time steps, ``D`` inputs and ``E`` bits of a step, ``N``
items, ``W`` random words of a sequence.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import Sequences, TaskSpec
from bench.api.dataset import DataFolders, Notify, Source
from bench.episodes.pools import Drawn
from bench.episodes.words import Keys, Purpose, random_words

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Words(Drawn):
    """The random words behind B sequences."""

    words: Keys
    """(B, W)"""


@dataclass(frozen=True)
class Probe(Source):
    """A task that generates its sequences. Subclasses write what is abstract here.

    Attributes:
        device: where batches are built.
    """

    device: torch.device = CPU

    input_shape: ClassVar[tuple[int]]
    """(D,)"""
    outputs: ClassVar[int]
    """E"""
    fewest: ClassVar[int] = 1
    """The fewest items that make sense."""

    # -- to be written ----------------------------------------------------------------------------

    @abstractmethod
    def steps(self, items: int) -> int:
        """T of a sequence of that many items."""

    @abstractmethod
    def words(self, items: int) -> int:
        """Random words that such a sequence takes (W)."""

    @abstractmethod
    def sequences(self, items: int, words: Keys) -> Sequences:
        """The sequences that these words (B, W) make, on the CPU."""

    # -- a pool of episodes -----------------------------------------------------------------------

    def to(self, device: torch.device | str) -> Self:
        """The same probe, building batches on another device."""
        return replace(self, device=torch.device(device))

    def inputs(self, task: TaskSpec) -> int:
        """Time steps of one sequence, at most."""
        return self.steps(task.item_range[1])

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Words:
        """The random words of some sequences, see `bench.episodes.Pool.draw`."""
        count = self.words(task.item_range[0])
        words = random_words(seed, purpose, number, episodes * count)
        return Words(words.reshape(episodes, count))

    def build(self, task: TaskSpec, draw: Words, classes: bool = False) -> Sequences:
        """The sequences of these words, on the device."""
        return self.sequences(task.item_range[0], draw.words).to(self.device)

    # -- a dataset --------------------------------------------------------------------------------

    @property
    def content(self) -> str:
        """sha256 over a few sequences: the identity of what is generated."""
        items = self.fewest + 2
        words = random_words(0, Purpose.TEST, 0, 4 * self.words(items)).reshape(4, -1)
        made, digest = self.sequences(items, words), hashlib.sha256()
        for tensor in (made.x, made.target, made.mask):
            digest.update(f"{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Says what is generated; there is no file that could be damaged."""
        return f"{self.name} is generated; content {self.content}"


def random_bits(words: Keys) -> NDArray[np.float32]:
    """One bit of each word: 0 or 1."""
    return (words >> np.uint64(63)).astype(np.float32)


class Copy(Probe):
    """Section 4.1: L random vectors between two flags, to be repeated after the second."""

    name = "copy"
    description = (
        "generated: random vectors of 8 bits between two flags, to be repeated (Graves et al. "
        "2014, Section 4.1)"
    )
    input_shape = (10,)
    """8 bits, the flag of the start, the flag of the end."""
    outputs = 8

    def steps(self, items: int) -> int:
        """Both flags, and the vectors twice."""
        return 2 * items + 2

    def words(self, items: int) -> int:
        """One a bit."""
        return items * self.outputs

    def sequences(self, items: int, words: Keys) -> Sequences:
        """Start flag, L vectors, end flag; then nothing comes in and the vectors are due."""
        bits = random_bits(words).reshape(-1, items, self.outputs)  # (B, L, 8)
        made = empty(self, items, len(words))
        made.x[:, 0, 8] = 1
        made.x[:, 1 : items + 1, :8] = torch.from_numpy(bits)
        made.x[:, items + 1, 9] = 1
        return answered(made, bits)


class AssociativeRecall(Probe):
    """Section 4.3: one of N items is shown again, the item that followed it is to be recalled."""

    name = "associative-recall"
    description = (
        "generated: items of three random vectors of 6 bits; one is shown again, and the item that "
        "followed it is to be recalled (Graves et al. 2014, Section 4.3)"
    )
    input_shape = (8,)
    """6 bits, the flag before an item, the flag around the query."""
    outputs = 6
    fewest = 2
    vectors: ClassVar[int] = 3
    """Of an item."""

    def steps(self, items: int) -> int:
        """A flag and three vectors for each item; the query between two flags; the answer."""
        return (1 + self.vectors) * items + (2 + self.vectors) + self.vectors

    def words(self, items: int) -> int:
        """Which item is the query, then one a bit."""
        return 1 + items * self.vectors * self.outputs

    def sequences(self, items: int, words: Keys) -> Sequences:
        """The items, each after its flag; flag, query, flag; then the answer is due."""
        episode = np.arange(len(words))
        query = (words[:, 0] % np.uint64(items - 1)).astype(np.int64)  # (B,), never the last item
        bits = random_bits(words[:, 1:]).reshape(-1, items, self.vectors, self.outputs)
        made = empty(self, items, len(words))
        shown = made.x[:, : (1 + self.vectors) * items].unflatten(1, (items, 1 + self.vectors))
        shown[:, :, 0, 6] = 1  # (B, N, 4, 8), a view
        shown[:, :, 1:, :6] = torch.from_numpy(bits)
        asked = made.x[:, -2 * self.vectors - 2 : -self.vectors]  # (B, 5, 8)
        asked[:, [0, -1], 7] = 1
        asked[:, 1:-1, :6] = torch.from_numpy(bits[episode, query])
        return answered(made, bits[episode, query + 1])


def empty(probe: Probe, items: int, batch: int) -> Sequences:
    """Sequences of the probe's size, zero everywhere."""
    steps = probe.steps(items)
    return Sequences(
        x=torch.zeros(batch, steps, *probe.input_shape),
        target=torch.zeros(batch, steps, probe.outputs),
        mask=torch.zeros(batch, steps),
    )


def answered(made: Sequences, answer: NDArray[np.float32]) -> Sequences:
    """The same sequences with the answer (B, A, E) due at their last A steps."""
    due = slice(-answer.shape[1], None)
    made.target[:, due] = torch.from_numpy(answer)
    made.mask[:, due] = 1
    return made
