"""``python -m benchmarks``: measures, prints, writes JSON, a table and a picture.

Each row is measured for itself: one that fails is told and left out, and what was measured is
written at once. The same command again goes on where it was cut off, and tries what was left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bench.errors import BenchError
from bench.worker.devices import Device
from benchmarks.measuring import precisions, product_peak
from benchmarks.part import Asked, Row
from benchmarks.parts import PARTS
from benchmarks.picture import draw
from benchmarks.results import NAME, Results, commit, machine
from benchmarks.table import tables


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `parser`."""
    asked = parser().parse_args(arguments)
    try:
        if asked.table:
            print("\n\n".join(tables(Results.read(path)) for path in asked.table))
            return
        run(asked)
    except BenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = made.add_argument
    add("--device", choices=("cpu", "cuda"), default="cpu", help="cpu: one thread of it")
    add("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    add("--limit", type=float, metavar="SECONDS", help="what has not begun by then is left out")
    add("--repeats", type=int, default=5, help="calls that a median is of  [default: 5]")
    add(
        "--compile",
        choices=("none", "few", "all"),
        default="few",
        help="which meta-gradients are compiled too, in a minute or more each; few: those of "
        "second order and 1 step, on characters  [default: few]",
    )
    add("--small", action="store_true", help="tiny shapes: whether all works")
    add("--output", type=Path, default=Path("benchmarks-results"), metavar="FOLDER")
    add(
        "--fresh", action="store_true", help="measures these parts anew, though the folder has them"
    )
    add(
        "--table",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measures nothing: prints what these results.json say, as Markdown",
    )
    return made


def run(asked: argparse.Namespace) -> None:
    """Measures what is not there yet.

    Raises:
        BenchError: no such device; the folder holds what was measured elsewhere.
    """
    device = Device.parse("cuda" if asked.device == "cuda" else "cpu/1")
    device.check()
    device.use(threads=1)
    commit()  # what is changed from now on is not what measures
    began, path = time.monotonic(), asked.output / NAME
    found = Results(
        machine(device.torch),
        {"small": asked.small, "repeats": asked.repeats, "compile": asked.compile},
    )
    if asked.only or not asked.fresh:
        found.go_on(path)
    if asked.fresh:
        for name in asked.only or PARTS:
            found.forget(name)
    for precision in precisions(device.torch):
        size = 64 if asked.small else 8192 if device.kind == "cuda" else 1024
        found.peaks.setdefault(
            precision, product_peak(asked.repeats, size, device.torch, precision)
        )
    to_parts = Asked(device.torch, asked.repeats, asked.small, asked.compile, found.peaks)
    for name in asked.only or PARTS:
        for row, measure in PARTS[name].rows(to_parts):
            if row in found.rows.get(name, {}):
                continue
            late = asked.limit is not None and time.monotonic() - began > asked.limit
            reason = (
                f"not begun within {asked.limit:g} s"
                if late
                else one_row(found, name, row, measure)
            )
            if reason is not None:
                found.skip(name, row, reason)
                print(f"{name}: {row}: skipped, {reason}", flush=True)
            found.write(path)
    path.with_suffix(".md").write_text(tables(found) + "\n", "utf-8")
    draw(found, path.with_suffix(".svg"))
    print(f"written: {path}, {path.stem}.md and {path.stem}.svg")


def one_row(found: Results, part: str, name: str, measure: Callable[[], Row]) -> str | None:
    """Measures a row and keeps it, or returns why it cannot be."""
    started = time.monotonic()
    try:
        row = measure()
    except Exception as error:  # another library, the machine's memory, a learner
        words = str(error).strip().splitlines() or [type(error).__name__]
        return words[0] if isinstance(error, BenchError) else f"{type(error).__name__}: {words[0]}"
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    found.keep(part, name, row)
    cells = ", ".join(
        f"{heading} {text}".strip()
        for heading, text in PARTS[part].cells(row).items()
        if text != "–"
    )
    print(f"{part}: {name}: {cells} [{time.monotonic() - started:.0f} s]", flush=True)
    return None


def as_a_worker() -> None:
    """Begins anew with what a worker of bench has in its environment: glibc reads it when a process
    begins."""
    from bench.processes.forkserver import KEEP_FREED

    if not KEEP_FREED.keys() <= os.environ.keys():
        environment = {**KEEP_FREED, **os.environ, "OMP_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], environment)


if __name__ == "__main__":
    as_a_worker()
    main()
