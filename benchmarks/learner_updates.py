"""Each installed learner's own meta-training update: loss, backward, clipping, optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from bench.worker.captured import CapturedLoss
from bench.worker.updates import make_optimizer, update
from benchmarks.data import built, episode_pool, learner_names, planned, typical_batch
from benchmarks.measuring import (
    interleaved,
    operations,
    peak_memory,
    precisions,
    share_of_peak,
    under,
)
from benchmarks.part import (
    Asked,
    Measurement,
    Part,
    Row,
    SkippedError,
    at,
    bars,
    mebibytes,
    milliseconds,
    number,
    percent,
    times,
)

PEAKS = {"captured": "fp32"}
"""Calls of another name than the precision they are in."""
SMALL = ("prototypical", "mann", "pixel-nearest-neighbour")


def rows(asked: Asked) -> Iterator[Measurement]:
    """One for each learner."""
    for name in SMALL if asked.small else learner_names():
        yield name, partial(measure, name, asked)


def measure(name: str, asked: Asked) -> Row:
    """Seconds, images per second, share of the peak and memory, by precision."""
    device = asked.device
    pool = episode_pool(device, classes=64 if asked.small else 1028)
    contestant, task = planned(name, pool)
    if not contestant.learner.trained:
        raise SkippedError("it has nothing to meta-train")
    if asked.small:
        task = task.but(ways=5, episodes_per_update=1)
    learner = built(contestant, task, device)
    task, batch = typical_batch(pool, task)
    optimizer, _ = make_optimizer(learner, 1000)
    calls = {
        precision: under(
            precision,
            partial(update, learner, optimizer, batch, "bf16" if precision == "bf16" else "fp32"),
        )
        for precision in (precisions(device) if device.type == "cuda" else ("fp32",))
    }
    if device.type == "cuda":
        captured = CapturedLoss(learner)
        whole = partial(update, learner, optimizer, batch, "fp32", captured)
        calls["captured"] = under("fp32", whole)
        for _ in range(captured.warm_up):
            calls["captured"]()
        if captured.refused is not None:
            del calls["captured"]
    failed = what_fails(calls)
    calls = {precision: call for precision, call in calls.items() if precision not in failed}
    seconds = interleaved(calls, asked.repeats, device)
    count = operations(calls["fp32"])
    return {
        "task": f"{task.ways}-way {task.shots}-shot, {task.queries} queries, "
        f"{task.episodes_per_update} episode{'s' if task.episodes_per_update > 1 else ''}",
        "seconds": seconds,
        "images_per_second": {
            precision: task.examples_per_update / found for precision, found in seconds.items()
        },
        "operations": count,
        "failed": failed,
        "than_eager": {name: seconds["fp32"] / found for name, found in seconds.items()},
        "not_captured": captured.refused if device.type == "cuda" else None,
        "share_of_peak": {
            precision: share_of_peak(count, found, asked.peaks.get(PEAKS.get(precision, precision)))
            for precision, found in seconds.items()
        },
        "peak_memory": {precision: peak_memory(call, device) for precision, call in calls.items()},
    }


def what_fails(calls: Mapping[str, Callable[[], Any]]) -> dict[str, str]:
    """The precisions, fp32 excepted, in which a learner cannot be trained, and why."""
    failed = {}
    for precision, call in calls.items():
        try:
            call()
        except Exception as error:  # another's code: one precision is not to cost the others
            if precision == "fp32":
                raise
            failed[precision] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return failed


def draw(axes: Any, found: Mapping[str, Row]) -> None:
    """The share of the product peak."""
    bars(
        axes,
        found,
        ("fp32", "captured", "tf32", "bf16"),
        lambda row, name: (
            None if at(row, "share_of_peak", name) is None else 100 * row["share_of_peak"][name]
        ),
    )
    axes.set_xlabel("% of the product peak in the same precision")


PART = Part(
    title="Each learner's update",
    about=(
        "The whole update that `bench run --suite omniglot-5way` makes, on the task that the "
        "learner asks for to be tested 5-way 1-shot; of a range of shots the middle one. On "
        "random images. `share`: of the product peak in the same precision. `captured`: as one "
        "CUDA graph (`--compile` on a GPU), in fp32. Conv4 is in channels-last everywhere, on "
        "CPUs and GPUs. Memory is what torch had allocated at most."
    ),
    rows=rows,
    columns={
        "its training task": number("task"),
        "fp32, ms": milliseconds("seconds", "fp32"),
        "images/s": number("images_per_second", "fp32"),
        "share": percent("share_of_peak", "fp32"),
        "captured, ms": milliseconds("seconds", "captured"),
        "than eager": times("than_eager", "captured"),
        "captured share": percent("share_of_peak", "captured"),
        "tf32, ms": milliseconds("seconds", "tf32"),
        "tf32 share": percent("share_of_peak", "tf32"),
        "bf16, ms": milliseconds("seconds", "bf16"),
        "bf16 images/s": number("images_per_second", "bf16"),
        "bf16 share": percent("share_of_peak", "bf16"),
        "memory, MiB": mebibytes("peak_memory", "fp32"),
        "bf16 memory, MiB": mebibytes("peak_memory", "bf16"),
    },
    draw=draw,
)
