"""Families of functions to regress: sine waves, and draws of Gaussian processes.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400, Section 5.1: the sine waves.
    Nguyen, Grover 2022, "Transformer Neural Processes: Uncertainty-Aware Meta Learning Via Sequence
    Modeling", ICML, arXiv:2207.04179, Section 4.1 and its code (``regression/data/gp.py``): the
    Gaussian processes, their noise of 0.02 among it.
    Rasmussen, Williams 2006, "Gaussian Processes for Machine Learning", MIT Press, Algorithm 2.1:
    the exact posterior.

As a memory probe, a family is the `bench.episodes.pools.Pool` of all three phases, which share no
random word. All randomness comes from `bench.episodes.words.random_words`.

Letters in shapes: ``B`` functions, ``S`` points to learn from, ``Q`` points that are asked for,
``T`` points of a stream, ``P`` points in all, ``E`` numbers of an answer, ``W`` random words of a
function.
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.api import Episodes, Stream, TaskSpec
from bench.api.dataset import DataFolders, Notify, Source
from bench.episodes.pools import Drawn
from bench.episodes.words import Keys, Purpose, random_words

CPU = torch.device("cpu")

BatchT = TypeVar("BatchT", bound=Episodes | Stream)


@dataclass
class Functions(Episodes):
    """B functions: points to learn from, and points that are asked for.

    The two fields below say what the best answer is. They are given in tests, and never shown to a
    learner there.
    """

    oracle_mean: Tensor | None = None
    """(B, Q, E)"""
    oracle_std: Tensor | None = None
    """(B, Q, E); None beside a mean: the answer is known without doubt."""
    constant: float = 0.0
    """The best answer where nothing was seen."""

    def to(self, device: torch.device | str) -> Functions:
        """The same functions on another device."""
        return moved(self, device)


@dataclass
class FunctionStream(Stream):
    """B functions, one point at a time; the oracle as in `Functions`, (B, T, E) and from the points
    before each alone."""

    oracle_mean: Tensor | None = None
    oracle_std: Tensor | None = None
    constant: float = 0.0

    def to(self, device: torch.device | str) -> FunctionStream:
        """The same functions on another device."""
        return moved(self, device)


def moved(batch: BatchT, device: torch.device | str) -> BatchT:
    """A batch with all its tensors on a device."""
    values: dict[str, Any] = {field.name: getattr(batch, field.name) for field in fields(batch)}
    there: dict[str, Any] = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
    return replace(batch, **there)


@dataclass(frozen=True)
class Words(Drawn):
    """The random words behind B functions."""

    words: Keys
    """(B, W)"""


@dataclass(frozen=True)
class Family(Source):
    """A distribution of functions of one number. Subclasses write what is abstract here.

    Attributes:
        device: where batches are built.
    """

    device: torch.device = CPU

    input_shape: ClassVar[tuple[int]] = (1,)
    outputs: ClassVar[int] = 1
    """E"""
    domain: ClassVar[tuple[float, float]]
    """Where x is drawn, uniformly."""
    constant: ClassVar[float]
    """The number that is the best answer where nothing was seen of a function: the mean of all."""
    constant_error: ClassVar[float]
    """Its mean squared error."""
    best_error: ClassVar[float | None] = None
    """The mean squared error that nobody can beat, where it is the same for any points."""
    parameters: ClassVar[int] = 2
    """Random numbers of a function, apart from those of its points."""
    per_point: ClassVar[int] = 1
    """Random numbers of a point, the first of them its x."""

    # -- to be written ----------------------------------------------------------------------------

    @abstractmethod
    def values(self, x: Tensor, of_function: Tensor, of_points: Tensor) -> Tensor:
        """The functions' values.

        Args:
            x: (B, P, 1) float64.
            of_function: (B, parameters, 1), uniform in [0, 1).
            of_points: (B, P, per_point - 1), uniform in [0, 1).

        Returns:
            (B, P, E) float64.
        """

    @abstractmethod
    def posterior(
        self, x: Tensor, y: Tensor, query_x: Tensor, query_y: Tensor, of_function: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The best answers to queries, from these points alone: mean and standard deviation
        (B, Q, E), None for one that is known without doubt."""

    @abstractmethod
    def posterior_online(
        self, x: Tensor, y: Tensor, of_function: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The same for each point of a stream (B, T, 1), from the points before it."""

    @property
    @abstractmethod
    def definition(self) -> str:
        """Everything that decides what is generated, in words and numbers: its identity."""

    # -- a pool of episodes -----------------------------------------------------------------------

    def to(self, device: torch.device | str) -> Self:
        """The same family, building batches on another device."""
        return replace(self, device=torch.device(device))

    def inputs(self, task: TaskSpec) -> int:
        """Points of one function, at most."""
        return task.length or task.shot_range[1] + task.queries

    def draw(
        self, task: TaskSpec, episodes: int, seed: int, purpose: Purpose, number: int = 0
    ) -> Words:
        """The random words of some functions, see `bench.episodes.pools.Pool.draw`."""
        points = task.length or task.shot_range[0] + task.queries
        count = self.parameters + points * self.per_point
        words = random_words(seed, purpose, number, episodes * count)
        return Words(words.reshape(episodes, count))

    def build(self, task: TaskSpec, draw: Words, classes: bool = False) -> Any:
        """The functions of these words, on the device: `Functions`, or `FunctionStream` where the
        task is online. Meta-training (``classes``) is not told the best answers."""
        unit = (draw.words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        numbers = torch.from_numpy(unit)  # (B, W) in [0, 1)
        of_function = numbers[:, : self.parameters, None]
        of_points = numbers[:, self.parameters :].unflatten(1, (-1, self.per_point))
        low, high = self.domain
        x = low + (high - low) * of_points[..., :1]  # (B, P, 1)
        y = self.values(x, of_function, of_points[..., 1:])  # (B, P, E)
        shots = task.shot_range[0]
        batch: Functions | FunctionStream
        if task.length:
            best = None if classes else self.posterior_online(x, y, of_function)
            batch = FunctionStream(1, x.float(), y.float(), None, *single(best), self.constant)
        else:
            parts = x[:, :shots], y[:, :shots], x[:, shots:], y[:, shots:]
            best = None if classes else self.posterior(*parts, of_function)
            support_x, support_y, query_x, query_y = (part.float() for part in parts)
            batch = Functions(
                1, support_x, support_y, query_x, query_y, None, *single(best), self.constant
            )
        return batch.to(self.device)

    # -- a dataset --------------------------------------------------------------------------------

    @property
    def content(self) -> str:
        """sha256 of the definition: the identity of what is generated."""
        return hashlib.sha256(self.definition.encode()).hexdigest()

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Says what is generated; there is no file that could be damaged."""
        return f"{self.name} is generated; content {self.content}"


def single(best: tuple[Tensor, Tensor | None] | None) -> tuple[Tensor | None, Tensor | None]:
    """Mean and standard deviation in float32, where there are any."""
    mean, std = best or (None, None)
    return None if mean is None else mean.float(), None if std is None else std.float()


def between(low: float, high: float, unit: Tensor) -> Tensor:
    """Numbers in [low, high) of numbers in [0, 1)."""
    return low + (high - low) * unit


class Sinusoid(Family):
    """Finn et al. 2017, Section 5.1: y = A sin(x - φ), without noise.

    Two points or more tell A and φ, so that the best answer is the wave itself. One point tells how
    likely each φ is, and A for it; without one the best answer is the mean of all waves. That is no
    constant, for φ covers half a turn only: the mean of sin(x - φ) over φ is -2 cos(x) / π. The
    best constant is its mean over the domain, where that of cos is sin(5) / 5; the squared error of
    a constant c is E[A²] / 2 - c², with the mean of A² of a uniform A.
    """

    name = "sinusoid"
    description = (
        "generated: sine waves of amplitude 0.1 to 5 and phase 0 to pi, x in [-5, 5], without "
        "noise (Finn et al. 2017, Section 5.1)"
    )
    amplitudes: ClassVar[tuple[float, float]] = (0.1, 5.0)
    phases: ClassVar[tuple[float, float]] = (0.0, math.pi)
    domain = (-5.0, 5.0)
    constant = (0.1 + 5) / 2 * (-2 / math.pi) * math.sin(5) / 5
    constant_error = (5**3 - 0.1**3) / (3 * (5 - 0.1)) / 2 - constant**2
    best_error = 0.0

    @property
    def definition(self) -> str:
        """See `Family.definition`."""
        return f"sinusoid 1: A sin(x - p), A {self.amplitudes}, p {self.phases}, x {self.domain}"

    def values(self, x: Tensor, of_function: Tensor, of_points: Tensor) -> Tensor:
        """A sin(x - φ)."""
        amplitude = between(*self.amplitudes, of_function[:, :1])
        return amplitude * (x - between(*self.phases, of_function[:, 1:])).sin()

    def posterior(
        self, x: Tensor, y: Tensor, query_x: Tensor, query_y: Tensor, of_function: Tensor
    ) -> tuple[Tensor, None]:
        """The wave itself; from one point the mean of those that go through it."""
        return (query_y if x.shape[1] > 1 else self._through(x, y, query_x)), None

    def posterior_online(
        self, x: Tensor, y: Tensor, of_function: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The wave itself from the third point on; before, the mean of all waves, and of those that
        go through the first point."""
        best = y.clone()
        best[:, :1] = sum(self.amplitudes) / 2 * (-2 / math.pi) * x[:, :1].cos()
        best[:, 1:2] = self._through(x[:, :1], y[:, :1], x[:, 1:2])
        return best, None

    def _through(self, x: Tensor, y: Tensor, query_x: Tensor) -> Tensor:
        """The mean (B, Q, 1) at `query_x` (B, Q, 1) of the waves through one point x, y (B, 1, 1).

        With θ = x - φ the amplitude is A = y / sin θ, and as likely as 1 / |sin θ| where it is in
        bounds: A is uniform, and dy = |sin θ| dA. At a distance d the wave has A sin(θ + d) =
        y (cos d + sin d cot θ), and the integrals of 1 / sin θ and of cos θ / sin² θ are
        ln tan(θ / 2) and -1 / sin θ. θ covers half a turn: modulo π one part of it below x, the
        rest above, where the sine has the other sign.
        """
        x, near, query = (value.cpu().double() for value in (x, y, query_x))
        below = x.remainder(math.pi)
        positive = (x / math.pi).floor().remainder(2) == 0  # the sine's sign below x
        first = positive == (near >= 0)
        low, high = torch.zeros_like(x).where(first, below), below.where(first, math.pi)
        smallest, largest = self.amplitudes
        size = near.abs().clamp_min(1e-12)
        inner, outer = (size / largest).clamp_max(1).asin(), (size / smallest).clamp_max(1).asin()
        total, cotangent = torch.zeros_like(x), torch.zeros_like(x)
        for piece in ((inner, outer), (math.pi - outer, math.pi - inner)):
            begin, end = (angle.clamp(low, high) for angle in piece)
            some = end > begin
            total += ((end / 2).tan().log() - (begin / 2).tan().log()).where(some, 0)
            cotangent += (1 / begin.sin() - 1 / end.sin()).where(some, 0)
        d = query - x
        mean = near * (d.cos() + d.sin() * cotangent / total.clamp_min(1e-300))
        return mean.to(y)


class GaussianProcess(Family):
    """Nguyen and Grover 2022: k(x, x') = s² exp(-(x - x')² / 2 l²), s and l drawn for each
    function, and noise on every value, those that are asked for too.

    The best answer knows s, l and the noise, and is the exact posterior. That of nobody who has to
    find them out can be better.
    """

    name = "gp-rbf"
    description = (
        "generated: draws of Gaussian processes with an RBF kernel of length scale 0.1 to 0.6 and "
        "scale 0.1 to 1, x in [-2, 2], noise 0.02 (Nguyen and Grover 2022, Section 4.1)"
    )
    lengths: ClassVar[tuple[float, float]] = (0.1, 0.6)
    scales: ClassVar[tuple[float, float]] = (0.1, 1.0)
    noise: ClassVar[float] = 0.02
    """Standard deviation."""
    domain = (-2.0, 2.0)
    per_point = 2
    constant = 0.0
    constant_error = (1 - 0.1**3) / (3 * (1 - 0.1)) + 0.02**2

    @property
    def definition(self) -> str:
        """See `Family.definition`."""
        return (
            f"gp-rbf 1: l {self.lengths}, s {self.scales}, noise {self.noise}, x {self.domain}, "
            "normals by the inverse distribution function, through the Cholesky factor"
        )

    def values(self, x: Tensor, of_function: Tensor, of_points: Tensor) -> Tensor:
        """L z, where L Lᵀ is the covariance of the points and z is normal."""
        z = torch.special.ndtri(of_points + 2.0**-54)  # never at 0
        return torch.linalg.cholesky(self.covariance(x, x, of_function, True)) @ z

    def covariance(self, a: Tensor, b: Tensor, of_function: Tensor, same: bool) -> Tensor:
        """Of values at a (B, P, 1) with those at b (B, R, 1), which are the same points where
        `same` says so: (B, P, R)."""
        length = between(*self.lengths, of_function[:, :1])
        scale = between(*self.scales, of_function[:, 1:])
        k = scale.square() * (-((a - b.mT) / length).square() / 2).exp()
        return k + self.noise**2 * torch.eye(k.shape[-1], dtype=k.dtype) if same else k

    def posterior(
        self, x: Tensor, y: Tensor, query_x: Tensor, query_y: Tensor, of_function: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Algorithm 2.1 of Rasmussen and Williams, with the noise of the query's own value."""
        factor = torch.linalg.cholesky(self.covariance(x, x, of_function, True))  # (B, S, S)
        cross = self.covariance(x, query_x, of_function, False)  # (B, S, Q)
        v, a = (torch.linalg.solve_triangular(factor, b, upper=False) for b in (cross, y))
        scale = between(*self.scales, of_function[:, 1:])
        variance = scale.square() + self.noise**2 - v.square().sum(1)[..., None]  # (B, Q, 1)
        return v.mT @ a, variance.sqrt()

    def posterior_online(self, x: Tensor, y: Tensor, of_function: Tensor) -> tuple[Tensor, Tensor]:
        """With L Lᵀ the covariance of all points and a = L⁻¹ y, point t is L_tt a_t away from its
        mean given the points before it, and L_tt is its standard deviation."""
        factor = torch.linalg.cholesky(self.covariance(x, x, of_function, True))
        a = torch.linalg.solve_triangular(factor, y, upper=False)
        std = factor.diagonal(dim1=1, dim2=2)[..., None]  # (B, T, 1)
        return y - std * a, std
