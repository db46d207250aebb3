"""A learner's loss and meta-gradient as one compiled function: ``bench run --compile``, but on a
CUDA GPU, where `bench.worker.captured` does it.

The loss and its whole gradient, of second order where an inner loop has one, are recorded once for
each shape of a batch, as a flat list of torch's operations, without data; inductor makes loops of
them. What comes back stands for the loss: its `backward` gives the parameters the gradient that is
there already, so that the rest of an update is what it always is.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.api import BenchError, Learner
from bench.api.compiling import compiling
from bench.data.folders import data_folders
from bench.planning.jobs import Training
from bench.worker.captured import CapturedLoss
from bench.worker.recorded import given, put_together, taken_apart

Compiled = Callable[[list[Tensor], list[Tensor]], list[Tensor]]


def compiled_loss(training: Training, learner: Learner) -> CompiledLoss | CapturedLoss | None:
    """What is made of the loss of a learner on its device, as ``--compile`` asked for it; None:
    it stays what it is, as that of a learner which was trained on a GPU and is timed on a CPU."""
    if training.compiled:
        return CompiledLoss(learner)
    cuda = next(learner.parameters()).device.type == "cuda"
    return CapturedLoss(learner) if training.captured and cuda else None


class CompiledLoss:
    """Called like `Learner.loss`, under the same precision each time.

    Args:
        learner: one whose `why_not_compiled` gives no reason against it.

    Attributes:
        seconds: spent so far on recording and compiling.
        refused: why it goes on without; never here.
    """

    warm_up = 1
    """So many calls with a batch of a new shape take longer than all others of that shape."""
    refused: str | None = None

    def __init__(self, learner: Learner) -> None:
        check_compiler(next(learner.parameters()).device.type)
        keep_compiled()
        self.learner = learner
        self.seconds = 0.0
        self._by_shape: dict[Any, Compiled] = {}

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch, a scalar to call `backward` of."""
        named = dict(self.learner.named_parameters())
        tensors, key = taken_apart(batch)
        values = [parameter.detach() for parameter in named.values()]
        started, known = time.perf_counter(), key in self._by_shape
        if not known:
            recorded = self._recorded(batch, values)
            # One graph as it is. With `fullgraph` torch 2.11 refused two trainings of ten on a GPU
            # for a generator ("Attempt to trace generator"), of which the graph has none.
            self._by_shape[key] = torch.compile(recorded, dynamic=False)
        with torch.no_grad(), torch.autocast(values[0].device.type, enabled=False):
            loss, *gradients = self._by_shape[key](values, tensors)
        if not known:  # the first call compiles
            self.seconds += time.perf_counter() - started
        surrogate: Tensor = given(loss, gradients, list(named.values()))
        return surrogate

    def _recorded(self, batch: Any, values: list[Tensor]) -> nn.Module:
        """Parameters and tensors of a batch to loss and gradients, as a list of operations."""
        from torch.fx.experimental.proxy_tensor import make_fx

        names = [f"learner.{name}" for name, _ in self.learner.named_parameters()]
        objective = _Objective(self.learner)

        def function(values: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
            weights = [value.detach().requires_grad_() for value in values]
            arguments = (put_together(batch, tensors),)
            named = dict(zip(names, weights, strict=True))
            loss = torch.func.functional_call(objective, named, arguments)
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
            return [loss.detach(), *gradients]

        with compiling():
            return make_fx(function, tracing_mode="fake")(values, taken_apart(batch)[0])


class _Objective(nn.Module):
    """`Learner.loss` as a forward."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, batch: Any) -> Tensor:
        return self.learner.loss(batch)


# -- what it needs --------------------------------------------------------------------------------


def keep_compiled() -> None:
    """What is compiled lies in the cache, where the next process finds it."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(data_folders().cache / "compiled"))


def check_compiler(kind: str) -> None:
    """Looks for what inductor needs on that kind of device; on a CUDA GPU nothing is compiled.

    Raises:
        BenchError: it is not there.
    """
    if kind == "cuda":
        return
    named = os.environ.get("CXX")
    compilers = [named] if named else ["g++", "clang++", "c++"]
    if not any(map(shutil.which, compilers)):
        raise BenchError(
            f"--compile needs a C++ compiler, and there is no {' or '.join(compilers)}; install "
            "one (on Debian: apt-get install g++), name it in $CXX, or leave --compile out"
        )
    headers = Path(sysconfig.get_path("include"))
    if kind == "cpu" and not (headers / "Python.h").exists():
        raise BenchError(
            f"--compile needs Python's header files, and there is no {headers / 'Python.h'}; "
            "install them (on Debian: apt-get install python3-dev), or leave --compile out"
        )
