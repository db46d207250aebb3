"""Conv4 forward and backward, with channels last, as it is here, and with channels first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from bench.nn import Conv4
from bench.worker.evaluation import autocast
from benchmarks.measuring import (
    interleaved,
    operations,
    precisions,
    share_of_peak,
    under,
)
from benchmarks.part import Asked, Measurement, Part, Row, at, bars, milliseconds, percent, times

SHAPES = {
    "360 images of 28x28": (360, 1, 28, 28),
    "100 images of 32x32x3": (100, 3, 32, 32),
    "100 images of 84x84x3": (100, 3, 84, 84),
}


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each shape of a batch."""
    shapes = {"4 images of 16x16": (4, 1, 16, 16)} if asked.small else SHAPES
    for name, shape in shapes.items():
        yield name, partial(measure, shape, asked)


def measure(shape: tuple[int, ...], asked: Asked) -> Row:
    """Seconds by layout and precision."""
    torch.manual_seed(0)
    images = torch.rand(shape, device=asked.device)
    encoder = Conv4(shape[1:]).to(asked.device)
    plain = ChannelsFirst(Conv4(shape[1:])).to(asked.device)
    calls: dict[str, Callable[[], Any]] = {}
    for precision in precisions(asked.device):
        calls[precision] = under(precision, partial(passes, encoder, images, precision))
        calls[f"{precision}, channels first"] = under(
            precision, partial(passes, plain, images, precision)
        )
    seconds = interleaved(calls, asked.repeats, asked.device)
    count = operations(calls["fp32"])
    return {
        "seconds": seconds,
        "share_of_peak": {
            name: share_of_peak(count, found, asked.peaks.get(name.partition(",")[0]))
            for name, found in seconds.items()
        },
        "ratio": {
            precision: seconds[f"{precision}, channels first"] / seconds[precision]
            for precision in precisions(asked.device)
        },
    }


class ChannelsFirst(nn.Module):
    """`Conv4` in the other layout."""

    def __init__(self, encoder: Conv4) -> None:
        super().__init__()
        self.blocks = encoder.blocks
        blocks: Any = self.blocks
        blocks.to(memory_format=torch.contiguous_format)

    def forward(self, x: torch.Tensor) -> Any:
        """(B, C, H, W) to (B, D)."""
        return self.blocks(x).flatten(1)


def passes(encoder: nn.Module, images: torch.Tensor, precision: str) -> None:
    """Forward and backward."""
    encoder.zero_grad(set_to_none=True)
    with autocast(images.device, precision):
        features = encoder(images)
    features.float().sum().backward()


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """The share of the product peak."""
    series = [
        f"{p}{layout}" for p in ("fp32", "tf32", "bf16") for layout in ("", ", channels first")
    ]
    bars(
        axes,
        found,
        series,
        lambda row, name: (
            None if at(row, "share_of_peak", name) is None else 100 * row["share_of_peak"][name]
        ),
    )
    axes.set_xlabel("% of the product peak in the same precision")


def columns() -> dict[str, Callable[[Row], str]]:
    """Of each precision: seconds, what channels last gain, share."""
    made: dict[str, Callable[[Row], str]] = {}
    for precision in ("fp32", "tf32", "bf16"):
        made[f"{precision}, ms"] = milliseconds("seconds", precision)
        made[f"{precision}, against channels first"] = times("ratio", precision)
        made[f"{precision} share"] = percent("share_of_peak", precision)
    return made


PART = Part(
    title="Conv4",
    about=(
        "Forward and backward, 64 filters, with channels last, which is what `bench.nn.Conv4` is; "
        "× says how many times as fast as the same with channels first. `share`: of the product "
        "peak in the same precision."
    ),
    rows=rows,
    columns=columns(),
    draw=draw,
)
