"""A learner's loss and meta-gradient as one compiled function: ``bench run --compile``, but on a
CUDA GPU, where `bench.worker.captured` does it.

The loss and its whole gradient, of second order where an inner loop has one, are recorded once for
each shape of a batch, as a flat list of torch's operations, without data; inductor makes loops of
them. What comes back stands for the loss: its `backward` gives the parameters the gradient that is
there already, so that the rest of an update is what it always is.

What Python decides is decided once, when it is recorded. The first batch of each shape is therefore
computed in the ordinary way too, and by what was recorded, as it is: both have to agree.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.api import BenchError, Learner
from bench.api.compiling import compiling
from bench.data.folders import data_folders
from bench.planning.jobs import Training
from bench.worker.captured import CapturedLoss, no_autocast_cache
from bench.worker.recorded import (
    Result,
    State,
    changed,
    difference,
    given,
    ordinary,
    plain_numbers,
    put_together,
    rounding,
    taken_apart,
    words_of,
)

Compiled = Callable[[list[Tensor], list[Tensor], list[Tensor]], list[Tensor]]
"""Parameters, buffers and tensors of a batch, to what `_Compiled` takes apart."""

RECORDED_TOLERANCE = 0.05
"""How far a recorded gradient may be from the ordinary one, relatively, beyond what rounding does
to that: what is recorded may say itself in other operations (`bench.api.being_compiled`), and where
two values are almost equal the larger one is then another."""
COMPILED_TOLERANCE = 0.25
"""How far a compiled gradient may be from the ordinary one, as above. Much: torch's own batch
normalisation of images that lie channels-last rounds so that Conv4's is up to 8 % away from that in
float64 (docs/performance.md). What is wrong is wronger than that."""


def compiled_loss(training: Training, learner: Learner) -> CompiledLoss | CapturedLoss | None:
    """What is made of the loss of a learner on its device, as ``--compile`` asked for it; None:
    it stays what it is, as that of a learner which was trained on a GPU and is timed on a CPU."""
    if training.compiled:
        return CompiledLoss(learner)
    if training.captured and next(learner.parameters()).device.type == "cuda":
        return CapturedLoss(learner)
    return None


class CompiledLoss:
    """Called like `Learner.loss`, under the same precision each time.

    Args:
        learner: one that does not say itself that it cannot be compiled (`why_not_compiled`); in
            ``train()`` mode whenever this is called.

    Attributes:
        seconds: spent so far on recording, compiling and comparing.
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
        self._parameters = list(learner.parameters())
        self._by_shape: dict[Any, _Compiled] = {}

    def __call__(self, batch: Any) -> Tensor:
        """The loss of a batch, a scalar to call `backward` of.

        Raises:
            BenchError: it cannot be recorded, or what was recorded is something else.
        """
        tensors, key = taken_apart(batch)
        if key in self._by_shape:
            return given(self._by_shape[key](self.learner, tensors), self._parameters)
        started = time.perf_counter()
        with no_autocast_cache():
            result = self._compiled(batch, tensors, key)
        self.seconds += time.perf_counter() - started
        return given(result, self._parameters)

    def _compiled(self, batch: Any, tensors: list[Tensor], key: Any) -> Result:
        """The compiled result of the first batch of a shape."""
        learner = self.learner
        before, numbers = State(learner), plain_numbers(learner)
        own = ordinary(learner, batch)
        after = State(learner)
        if name := changed(numbers, plain_numbers(learner)):
            raise BenchError(_CANNOT.format(f"its loss changes {name}, a number"))
        before.put_back()
        slack = rounding(learner, batch, own)
        before.put_back()
        try:
            plain = self._recorded(batch, tensors)
            before.put_back()
            again = plain(learner, tensors)
            buffers = State(learner).buffers
            words = difference(own, after.buffers, again, buffers, RECORDED_TOLERANCE, slack)
        except Exception as error:  # whatever a learner does that cannot be written down
            raise BenchError(_CANNOT.format(words_of(error))) from error
        if words is not None:
            raise BenchError(_CANNOT.format(f"recorded, it has a {words}"))
        before.put_back()
        # One graph as it is. With `fullgraph` torch 2.11 refused two trainings of ten on a GPU for
        # a generator ("Attempt to trace generator"), of which the graph has none. What it draws at
        # random is what is drawn without compiling.
        options: dict[str, Any] = {"fallback_random": True}
        function = torch.compile(plain.function, dynamic=False, options=options)
        made = _Compiled(function, plain.present)
        try:
            result = made(learner, tensors)
        except Exception as error:
            raise BenchError(_CANNOT.format(words_of(error))) from error
        buffers = State(learner).buffers
        words = difference(own, after.buffers, result, buffers, COMPILED_TOLERANCE, slack)
        if words is not None:
            raise BenchError(_CANNOT.format(f"compiled, it has a {words}"))
        self._by_shape[key] = made
        return result

    def _recorded(self, batch: Any, tensors: list[Tensor]) -> _Compiled:
        """What is computed, as a list of operations that nothing is made of yet."""
        from torch.fx.experimental.proxy_tensor import make_fx

        objective = _Objective(self.learner)
        present: list[bool] = []
        names = [f"learner.{name}" for name, _ in self.learner.named_parameters()]
        names += [f"learner.{name}" for name, _ in self.learner.named_buffers()]

        def function(
            values: list[Tensor], buffers: list[Tensor], tensors: list[Tensor]
        ) -> list[Tensor]:
            weights = [value.detach().requires_grad_() for value in values]
            kept = [buffer.clone() for buffer in buffers]
            named = dict(zip(names, [*weights, *kept], strict=True))
            arguments = (put_together(batch, tensors),)
            loss = torch.func.functional_call(objective, named, arguments)
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            present[:] = [gradient is not None for gradient in gradients]
            return [loss.detach(), *(one for one in gradients if one is not None), *kept]

        values, buffers = _inputs(self.learner)
        with compiling():
            module = make_fx(function, tracing_mode="fake")(values, buffers, tensors)
        return _Compiled(module, present)


_CANNOT = "the update cannot be compiled: {}; run it without --compile"


@dataclass(frozen=True)
class _Compiled:
    """One shape of a batch.

    Attributes:
        function: gives the loss, the gradients that there are, and the buffers as they are then.
        present: which parameters have a gradient.
    """

    function: Compiled
    present: list[bool]

    def __call__(self, learner: Learner, tensors: list[Tensor]) -> Result:
        """Loss and gradients; the buffers are changed."""
        values, buffers = _inputs(learner)
        with torch.no_grad(), torch.autocast(values[0].device.type, enabled=False):
            loss, *others = self.function(values, buffers, tensors)
            gradients = iter(others)
            result: Result = [loss]
            result += [next(gradients) if there else None for there in self.present]
            for buffer, new in zip(buffers, gradients, strict=True):
                buffer.copy_(new)
        return result


def _inputs(learner: Learner) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers."""
    return [one.detach() for one in learner.parameters()], list(learner.buffers())


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
