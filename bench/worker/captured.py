"""A learner's loss and gradient as one CUDA graph: ``bench run --compile`` on a GPU.

An update of a small learner is a thousand small kernels, and a GPU waits for Python between them.
A CUDA graph is the list of those kernels, recorded once for each shape of a batch and started with
one call: what is computed stays what it was, to the bit where the kernels are deterministic.

What Python decides is decided once, when the graph is recorded. Hence nothing is taken on trust:
the first `CHECKS` batches of each shape are computed in the ordinary way, and then by the graph,
and both have to agree in loss, gradient and buffers. Where they do not, or where nothing can be
recorded, the training goes on in the ordinary way, and says why.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from bench.api import Learner
from bench.worker.recorded import given, put_together, taken_apart

CHECKS = 2
"""So many batches of each shape are computed both ways."""

TOLERANCE, ROUNDED_TOLERANCE = 1e-3, 2e-2
"""Relative differences that are let pass, in fp32 and under autocast: those of sums in another
order are a hundredth of it."""

Result = list[Tensor | None]
"""The loss, and the gradient by each parameter, None where it has none."""


class Graphs(Protocol):
    """Something that records what is done with tensors."""

    def record(self, run: Callable[[], Result]) -> Callable[[], Result]:
        """Records one call.

        Returns:
            Does the same again with what now lies in the same memory. Its results lie in the same
            memory each time.

        Raises:
            Exception: it cannot be recorded.
        """

    def random_state(self) -> Tensor:
        """Of the generator that it draws from."""

    def set_random_state(self, state: Tensor) -> None:
        """Puts the generator back there."""


@dataclass
class _Recorded:
    """One shape of a batch."""

    inputs: list[Tensor]
    replay: Callable[[], Result]
    checks: int = 0

    def __call__(self, tensors: list[Tensor]) -> Result:
        for own, given_one in zip(self.inputs, tensors, strict=True):
            own.copy_(given_one)
        return self.replay()


@dataclass
class CapturedLoss:
    """Called like `Learner.loss`, under the same precision each time.

    Args:
        learner: in ``train()`` mode whenever this is called.
        graphs: what records; default: CUDA graphs on the learner's device.

    Attributes:
        seconds: spent so far on recording and on comparing.
        refused: why it goes on without; None: it does not.
    """

    learner: Learner
    graphs: Graphs | None = None
    seconds: float = field(default=0.0, init=False)
    refused: str | None = field(default=None, init=False)
    _by_shape: dict[Any, _Recorded] = field(default_factory=dict, init=False)

    warm_up = CHECKS
    """So many calls with a batch of a new shape take longer than all others of that shape."""

    def __post_init__(self) -> None:
        self._parameters = list(self.learner.parameters())
        if self.graphs is None:
            self.graphs = CudaGraphs(self._parameters[0].device)

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch, a scalar to call `backward` of."""
        if self.refused is not None:
            return self.learner.loss(batch)
        tensors, key = taken_apart(batch)
        recorded = self._by_shape.get(key)
        if recorded is None or recorded.checks < CHECKS:
            started = time.perf_counter()
            with no_autocast_cache():
                loss, *gradients = self._checked(batch, tensors, key)
            self.seconds += time.perf_counter() - started
        else:
            loss, *gradients = recorded(tensors)
        surrogate: Tensor = given(_scalar(loss), gradients, self._parameters)
        return surrogate

    def _compute(self, batch: Any) -> Result:
        """The ordinary loss and gradient."""
        loss = self.learner.loss(batch)
        with torch.autocast(loss.device.type, enabled=False):
            gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        return [loss.detach(), *gradients]

    def _checked(self, batch: Any, tensors: list[Tensor], key: Any) -> Result:
        """The ordinary result; records the shape if it is new, and compares."""
        state, numbers = self._state(), self._numbers()
        result = self._compute(batch)
        after = self._state()
        if changed := _changed(numbers, self._numbers()):
            self.refused = f"its loss changes {changed}, a number that a graph would keep"
            return result
        try:
            self._put_back(state)
            if key not in self._by_shape:
                self._by_shape[key] = self._record(batch, tensors)
                self._put_back(state)
            recorded = self._by_shape[key]
            loss, *gradients = recorded(tensors)
            self.refused = (
                self._difference("loss", result[:1], [loss])
                or self._difference("gradient", result[1:], gradients)
                or self._difference("buffers", [*after[:-1]], [*self._state()[:-1]])
            )
            recorded.checks += 1
        except Exception as error:  # whatever a learner does that no graph can hold
            self.refused = _words(error)
        finally:
            self._put_back(after)
        if self.refused is not None:
            self._by_shape.clear()
        return result

    def _record(self, batch: Any, tensors: list[Tensor]) -> _Recorded:
        assert self.graphs is not None
        inputs = [tensor.clone() for tensor in tensors]
        # A batch of its own in each call: what it keeps of itself is computed in each.
        replay = self.graphs.record(lambda: self._compute(put_together(batch, inputs)))
        return _Recorded(inputs, replay)

    # -- what an update leaves behind -------------------------------------------------------------

    def _state(self) -> list[Tensor]:
        """Copies of the buffers, and the state of the generator."""
        assert self.graphs is not None
        return [*(one.clone() for one in self.learner.buffers()), self.graphs.random_state()]

    def _put_back(self, state: list[Tensor]) -> None:
        assert self.graphs is not None
        *values, random = state
        with torch.no_grad():
            for buffer, value in zip(self.learner.buffers(), values, strict=True):
                buffer.copy_(value)
        self.graphs.set_random_state(random)

    def _numbers(self) -> dict[str, Any]:
        """Plain attributes of the learner and its parts: what Python may decide by."""
        return {
            f"{name}.{key}".removeprefix("."): value
            for name, module in self.learner.named_modules()
            for key, value in vars(module).items()
            if isinstance(value, bool | int | float | str)
        }

    def _difference(self, kind: str, ordinary: Result, recorded: Result) -> str | None:
        """How far two results are apart, in words; None where they are the same, and where the
        ordinary one is not finite and says nothing."""
        pairs = list(zip(ordinary, recorded, strict=True))
        if any((one is None) != (other is None) for one, other in pairs):
            return f"recorded as a CUDA graph, its {kind} is another"
        both = [(one, other) for one, other in pairs if one is not None and other is not None]
        if not all(bool(one.isfinite().all()) for one, _ in both):
            return None
        apart = math.hypot(*(float((one.double() - other.double()).norm()) for one, other in both))
        size = math.hypot(*(float(one.double().norm()) for one, _ in both))
        rounded = torch.is_autocast_enabled(self._parameters[0].device.type)
        if apart <= (ROUNDED_TOLERANCE if rounded else TOLERANCE) * size:
            return None
        share = f"{apart / size:.1%}" if size else "where there is none"
        return f"recorded as a CUDA graph, its {kind} is another ({share})"


class CudaGraphs:
    """Records kernels, all in one pool of memory: one graph is replayed at a time, and its results
    are used before the next.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool: Any = None
        self._stream: Any = None

    def record(self, run: Callable[[], Result]) -> Callable[[], Result]:
        """See `Graphs.record`.

        Raises:
            RuntimeError: it waits for the GPU, or does what cannot be recorded.
        """
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream(self.device)
        self._rehearse(run)
        # What is left of earlier autograd graphs would wait for the stream that they ran on.
        gc.collect()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            result = run()

        def replay() -> Result:
            graph.replay()
            return result

        return replay

    def _rehearse(self, run: Callable[[], Result]) -> None:
        """What is made at a first call is made now; and what waits for the GPU raises here, and not
        in the middle of a recording, which would leave torch's generator unusable."""
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        before = torch.cuda.get_sync_debug_mode()
        try:
            with torch.cuda.stream(self._stream):
                run()
                torch.cuda.set_sync_debug_mode("error")
                run()
        finally:
            torch.cuda.set_sync_debug_mode(before)
        torch.cuda.current_stream(self.device).wait_stream(self._stream)

    def random_state(self) -> Tensor:
        """Of the device's generator."""
        return torch.cuda.get_rng_state(self.device)

    def set_random_state(self, state: Tensor) -> None:
        """Puts it back there."""
        torch.cuda.set_rng_state(state, self.device)


@contextmanager
def no_autocast_cache() -> Iterator[None]:
    """Weights are rounded anew for each loss: a recording has to hold that step, and two losses
    under one autocast have a graph each."""
    before = torch.is_autocast_cache_enabled()
    torch.clear_autocast_cache()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _words(error: BaseException) -> str:
    """What was first to fail: a recording that is broken off complains as well."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[:1]])


def _scalar(loss: Tensor | None) -> Tensor:
    assert loss is not None
    return loss


def _changed(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """The name of a number that is another one now."""
    names = before.keys() | after.keys()
    return next((name for name in sorted(names) if before.get(name) != after.get(name)), None)
