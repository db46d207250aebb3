"""MAML's meta-gradient compiled, as `bench run --compile` does it, beside learn2learn's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bench.worker.captured import CapturedLoss
from bench.worker.compiled import CompiledLoss
from bench_plugins.optimization_based.maml import MAML
from benchmarks.measuring import under
from benchmarks.meta_updates import (
    Setting,
    batch_of,
    beside_theirs,
    draw_against,
    made,
    settings,
    update,
)
from benchmarks.part import Asked, Measurement, Part, Row, milliseconds, number, percent, times


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each setting that is to be compiled."""
    for setting in settings(asked.small):
        few = setting.steps == 1 and not setting.first_order and setting.side != 32
        if asked.compiled == "all" or (asked.compiled == "few" and few):
            yield str(setting), partial(measure, setting, asked)


def measure(setting: Setting, asked: Asked) -> Row:
    """Seconds of a meta-gradient, eager and compiled, and those of compiling."""
    batch, filters = batch_of(setting.task).to(asked.device), 4 if asked.small else 64
    own = made(MAML, setting, filters, asked.device)
    calls = {"fp32": under("fp32", update(own, batch))}
    compiling, cuda = {}, asked.device.type == "cuda"
    for precision in ("fp32", "bf16"):
        compiled = CapturedLoss(own) if cuda else CompiledLoss(own)
        call = under(precision, update(own, batch, precision, compiled))
        for _ in range(compiled.warm_up):
            call()  # compiles
        compiling[precision] = compiled.seconds
        calls[f"compiled {precision}"] = call
    row = beside_theirs(setting, calls, batch, asked)
    seconds = row["seconds"]
    row["than_eager"] = {name: seconds["fp32"] / found for name, found in seconds.items()}
    row["compile_seconds"] = compiling
    return row


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """How many times as fast as learn2learn; where that is not there, milliseconds."""
    draw_against(axes, found, ("fp32", "compiled fp32", "compiled bf16"))


PART = Part(
    title="MAML's meta-gradient compiled",
    about=(
        "As above, compiled (`--compile`), on a GPU as one CUDA graph; × says how many times as "
        "fast as learn2learn, and as the same without compiling. Compiling takes its seconds once "
        "for each shape of a batch; its results are kept in the cache, where the next process "
        "finds them."
    ),
    rows=rows,
    columns={
        "learn2learn, ms": milliseconds("seconds", "learn2learn"),
        "eager, ms": milliseconds("seconds", "fp32"),
        "eager": times("ratio", "fp32"),
        "compiled, ms": milliseconds("seconds", "compiled fp32"),
        "compiled": times("ratio", "compiled fp32"),
        "than eager": times("than_eager", "compiled fp32"),
        "bf16, ms": milliseconds("seconds", "compiled bf16"),
        "bf16": times("ratio", "compiled bf16"),
        "bf16 than eager": times("than_eager", "compiled bf16"),
        "share": percent("share_of_peak", "compiled fp32"),
        "compiling, s": number("compile_seconds", "fp32"),
        "compiling bf16, s": number("compile_seconds", "bf16"),
    },
    draw=draw,
)
