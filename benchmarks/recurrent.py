"""Learners that read an episode step by step: against their matrix products alone, and `ntm`
against a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from bench.api import Learner, Stream, TaskSpec
from bench.worker.captured import CapturedLoss
from bench.worker.compiled import CompiledLoss
from bench_plugins.model_based.lstm import LSTM
from bench_plugins.model_based.mann import MANN
from bench_plugins.model_based.ntm import NTM
from bench_plugins.model_based.snail import SNAIL
from benchmarks.measuring import interleaved, operations, share_of_peak, under
from benchmarks.part import (
    Asked,
    Measurement,
    Part,
    Row,
    at,
    bars,
    milliseconds,
    number,
    percent,
    times,
)
from benchmarks.plain_ntm import PlainNTM
from benchmarks.products import products

LEARNERS: Mapping[str, type[Learner]] = {"ntm": NTM, "mann": MANN, "lstm": LSTM, "snail": SNAIL}


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each learner."""
    for name in LEARNERS:
        yield name, partial(measure, name, asked)


def measure(name: str, asked: Asked) -> Row:
    """Seconds of loss and gradient, and of what is beside it."""
    device = asked.device
    learner = made(name, asked.small).to(device).train()
    batch = stream_of(learner.task).to(device)
    calls = {"bench": gradient(learner, partial(learner.loss, batch))}
    if isinstance(learner, NTM):
        plain = PlainNTM(learner).to(device)
        calls["plain loop"] = gradient(plain, partial(plain_loss, plain, batch))
        torch.testing.assert_close(calls["bench"](), calls["plain loop"](), atol=1e-3, rtol=1e-3)
    count = operations(calls["bench"])
    own: CapturedLoss | CompiledLoss | None = None
    if device.type == "cuda":
        own = CapturedLoss(learner)
    elif asked.compiled == "all" or (asked.compiled == "few" and name in ("ntm", "mann")):
        own = CompiledLoss(learner)
    if own is not None:
        calls["compiled"] = gradient(learner, partial(own, batch))
        for _ in range(own.warm_up):
            calls["compiled"]()
    calls["products"] = products(calls["bench"])
    calls = {key: under("fp32", call) for key, call in calls.items()}
    seconds = interleaved(calls, asked.repeats, device)
    row: Row = {
        "seconds": seconds,
        "of_products": seconds["bench"] / seconds["products"],
        "share_of_peak": share_of_peak(count, seconds["bench"], asked.peaks.get("fp32")),
    }
    if own is not None:
        row["compiled_of_products"] = seconds["compiled"] / seconds["products"]
        row["than_eager"] = seconds["bench"] / seconds["compiled"]
        row["compile_seconds"] = own.seconds
        row["not_captured"] = own.refused
    if "plain loop" in seconds:
        row["ratio"] = seconds["plain loop"] / seconds["bench"]
    return row


def made(name: str, small: bool) -> Learner:
    """A learner, always with the same weights; those with a memory see pixels, as in Santoro et al.
    2016 and Graves et al. 2014, so that nothing but the recurrence costs much."""
    torch.manual_seed(0)
    cls = LEARNERS[name]
    task = TaskSpec(
        (1, 20, 20), 5, protocol="online", length=10 if small else 50,
        episodes_per_update=2 if small else 16,
    )  # fmt: skip
    options: dict[str, Any] = {} if name == "snail" else {"encoder": "pixels"}
    return cls(cls.Config(**options), task)


def stream_of(task: TaskSpec) -> Stream:
    """Random images, and labels in random order."""
    random = torch.Generator().manual_seed(0)
    shape = task.episodes_per_update, task.length
    order = torch.rand(shape, generator=random).argsort(1)
    return Stream(
        task.ways, torch.rand(*shape, *task.input_shape, generator=random), order % task.ways
    )


def plain_loss(model: PlainNTM, batch: Stream) -> torch.Tensor:
    """Cross-entropy of every step."""
    return F.cross_entropy(model(batch.x, batch.y).flatten(0, 1), batch.y.flatten())


def gradient(module: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], Any]:
    """A call that computes loss and gradient; returns the loss."""

    def call() -> torch.Tensor:
        module.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        return value.detach()

    return call


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """Times their products."""
    bars(
        axes,
        found,
        ("bench", "compiled", "plain loop"),
        lambda row, name: (
            at(row, "seconds", name) and row["seconds"][name] / row["seconds"]["products"]
        ),
    )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times their matrix products alone")


PART = Part(
    title="Step by step",
    about=(
        "Loss and gradient of 16 streams of 50 images of 20x20, 5 ways; `ntm`, `mann` and `lstm` "
        "see pixels, `snail` its convolutions. `products`: the same matrix products and "
        "convolutions, forward and backward, and nothing else. The plain loop is the same NTM, "
        "from the same weights, with an LSTM cell, head by head (`benchmarks/plain_ntm.py`). "
        "`compiled`: by `--compile`, on a GPU as one CUDA graph."
    ),
    rows=rows,
    columns={
        "bench, ms": milliseconds("seconds", "bench"),
        "products, ms": milliseconds("seconds", "products"),
        "of its products": times("of_products"),
        "compiled, ms": milliseconds("seconds", "compiled"),
        "compiled, of its products": times("compiled_of_products"),
        "than eager": times("than_eager"),
        "compiling, s": number("compile_seconds"),
        "plain loop, ms": milliseconds("seconds", "plain loop"),
        "than the plain loop": times("ratio"),
        "share": percent("share_of_peak"),
    },
    draw=draw,
)
