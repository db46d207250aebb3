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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from bench.api import Learner
from bench.worker.recorded import (
    Result,
    State,
    changed,
    difference,
    given,
    ordinary,
    plain_numbers,
    put_together,
    taken_apart,
    words_of,
)

CHECKS = 2
"""So many batches of each shape are computed both ways."""


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


@dataclass
class _Recorded:
    """One shape of a batch."""

    inputs: list[Tensor]
    replay: Callable[[], Result]
    checks: int = 0

    def __call__(self, tensors: list[Tensor]) -> Result:
        for own, new in zip(self.inputs, tensors, strict=True):
            own.copy_(new)
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
        self._graphs = self.graphs or CudaGraphs(self._parameters[0].device)

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch, a scalar to call `backward` of."""
        if self.refused is not None:
            return self.learner.loss(batch)
        tensors, key = taken_apart(batch)
        recorded = self._by_shape.get(key)
        if recorded is not None and recorded.checks >= CHECKS:
            return given(recorded(tensors), self._parameters)
        started = time.perf_counter()
        with no_autocast_cache():
            result = self._checked(batch, tensors, key)
        self.seconds += time.perf_counter() - started
        return given(result, self._parameters)

    def _checked(self, batch: Any, tensors: list[Tensor], key: Any) -> Result:
        """The ordinary result; records the shape if it is new, and compares."""
        before, numbers = State(self.learner), plain_numbers(self.learner)
        result = ordinary(self.learner, batch)
        after = State(self.learner)
        if name := changed(numbers, plain_numbers(self.learner)):
            self.refused = f"its loss changes {name}, a number that a graph would keep"
            return result
        try:
            before.put_back()
            if key not in self._by_shape:
                self._by_shape[key] = self._record(batch, tensors)
                before.put_back()
            recorded = self._by_shape[key]
            again = recorded(tensors)
            words = difference(result, after.buffers, again, State(self.learner).buffers)
            self.refused = words and f"recorded as a CUDA graph, it has a {words}"
            recorded.checks += 1
        except Exception as error:  # whatever a learner does that no graph can hold
            self.refused = words_of(error)
        finally:
            after.put_back()
        if self.refused is not None:
            self._by_shape.clear()
        return result

    def _record(self, batch: Any, tensors: list[Tensor]) -> _Recorded:
        inputs = [tensor.clone() for tensor in tensors]
        # A batch of its own in each call: what it keeps of itself is computed in each.
        replay = self._graphs.record(lambda: ordinary(self.learner, put_together(batch, inputs)))
        return _Recorded(inputs, replay)


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
