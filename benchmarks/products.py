"""The matrix products of a call, alone: recorded as it runs, made again on random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import flop_registry

LAYERS = {
    torch.ops.aten.mkldnn_rnn_layer,
    torch.ops.aten.mkldnn_rnn_layer_backward,
    torch.ops.aten._cudnn_rnn,
    torch.ops.aten._cudnn_rnn_backward,
}
"""torch's recurrent layers."""


@dataclass(frozen=True)
class Like:
    """What a tensor looks like."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def made(self) -> Tensor:
        """One of random numbers."""
        # What was expanded has several places for a number.
        length = 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        numbers = torch.rand(max(0, length), device=self.device).to(self.dtype)
        return numbers.as_strided(self.shape, self.stride)


def products(call: Callable[[], Any]) -> Callable[[], None]:
    """A call that makes the products and convolutions of another one, forward and backward, in
    their order and nothing else; torch's recurrent layers, which do more, as the products that they
    are made of."""
    recorder = Recorder()
    with recorder:
        call()
    made: dict[Like, Tensor] = {}

    def tensor(like: Any) -> Any:
        return made.setdefault(like, like.made()) if isinstance(like, Like) else like

    ready = [(function, tree_map(tensor, arguments)) for function, arguments in recorder.calls]

    def replay() -> None:
        with torch.no_grad():
            for function, (positional, named) in ready:
                function(*positional, **named)

    return replay


class Recorder(TorchDispatchMode):
    """Keeps what is called, and with tensors of which shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet in flop_registry:
            self.calls.append((func, tree_map(_like, (args, kwargs))))
        elif packet in LAYERS:
            names = (argument.name for argument in func._schema.arguments)
            named = dict(zip(names, args, strict=False)) | kwargs
            # cuDNN's take the weights as a list, and sequences in either layout.
            cudnn = "weight" in named
            inputs, recurrent = named["weight"][:2] if cudnn else args[1:3]
            x = named["input"]
            if cudnn and named.get("batch_first"):
                x = x.transpose(0, 1)
            self._add_layer(x, inputs, recurrent, backward="backward" in packet.__name__)
        return func(*args, **kwargs)

    def _add_layer(self, x: Tensor, inputs: Tensor, recurrent: Tensor, backward: bool) -> None:
        """An LSTM of one layer over x, (T, B, D): the inputs of all steps at once, the states step
        by step.

        Args:
            x: the sequence, (T, B, D).
            inputs: weights (4H, D).
            recurrent: weights (4H, H).
            backward: whether it is the derivative, by the sequence and by the weights.
        """
        steps, batch, features = x.shape
        gates, units = recurrent.shape

        def product(rows: int, inner: int, columns: int, times: int = 1) -> None:
            one, other = (
                Like((m, n), (n, 1), x.dtype, x.device)
                for m, n in ((rows, inner), (inner, columns))
            )
            self.calls += [(torch.ops.aten.mm.default, ((one, other), {}))] * times

        if not backward:
            product(steps * batch, features, gates)
            product(batch, units, gates, steps)
            return
        product(batch, gates, units, steps)
        product(steps * batch, gates, features)
        product(gates, steps * batch, features)
        product(gates, steps * batch, units)


def _like(one: Any) -> Any:
    if not isinstance(one, Tensor):
        return one
    return Like(tuple(one.shape), tuple(one.stride()), one.dtype, one.device)
