"""``python -m benchmarks.engines``: what an executor adds to each group, against ``local``.

A group is all but empty: a training of a few updates, with its test and audit, or its timing. They
go one after another, so that the difference to ``local`` is what an engine adds to each of them.
Engines take turns, and the median over the turns counts: what else the machine does is the same for
all. ``--engine slurm,poll=1,partition=main`` gives options.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.groups.events import Event
from bench.running.prepare import prepare
from bench.running.request import Request


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Measures, and prints a table; returns it, by engine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--engine", action="append", help="[default: local]")
    parser.add_argument("--suite", default="glyphs-5way")
    parser.add_argument("--learner", default="prototypical")
    parser.add_argument("--seeds", type=int, default=4, help="trainings of each setting")
    parser.add_argument("--repeats", type=int, default=3, help="turns")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="for results; on a cluster one that nodes share"
    )
    asked = parser.parse_args(arguments)
    engines = list(dict.fromkeys(["local", *(asked.engine or [])]))
    found: dict[str, list[tuple[float, float]]] = {engine: [] for engine in engines}
    for _ in range(asked.repeats):
        for engine, turns in found.items():
            with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
                turns.append(measure(engine, asked.suite, asked.learner, asked.seeds, folder))
            print(f"{engine}: {turns[-1][0]:.2f} s per group", file=sys.stderr, flush=True)
    table: dict[str, dict[str, float]] = {}
    print(f"{'engine':24} {'s per group':>12} {'more than local':>16} {'first begins':>13}")
    for engine, turns in found.items():
        group, first = (statistics.median(column) for column in zip(*turns, strict=True))
        more = group - table["local"]["group"] if table else 0.0
        table[engine] = {"group": group, "more": more, "first": first}
        print(f"{engine:24} {group:12.2f} {more:16.2f} {first:13.2f}", flush=True)
    return table


def measure(engine: str, suite: str, learner: str, seeds: int, folder: str) -> tuple[float, float]:
    """Seconds per group from the first that begins to the last that ends, and until that begins."""
    name, *options = engine.split(",")
    told: list[float] = []
    ended: list[float] = []

    def listen(event: Event) -> None:
        if event.kind == "start":
            told.append(time.perf_counter())
        elif event.kind in {"done", "failed"}:
            ended.append(time.perf_counter())

    request = Request(
        suites=[suite], learners=[learner], seeds=range(seeds), budget="smoke", executor=name,
        options=dict(option.split("=", 1) for option in options), jobs=1, threads=1, results=folder,
    )  # fmt: skip
    runner = prepare(request, listen)
    groups = len(runner.groups())
    began = time.perf_counter()
    runner.run()
    return (ended[-1] - told[0]) / groups, told[0] - began


if __name__ == "__main__":
    main()
