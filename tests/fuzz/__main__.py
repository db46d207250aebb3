"""A long run, in this process: ``python -m tests.fuzz --executions 2000000 --state FOLDER``.

The state is ``FOLDER/counts.json`` and ``FOLDER/findings/TARGET/``: for each place that raised the
first input that led there, and the traceback beside it. The same command goes on where it stopped.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
import traceback
from pathlib import Path

import click
import psutil

from tests.fuzz import file_targets, targets
from tests.fuzz.target import Target, place_of

ALL = {target.name: target for target in (*targets.TARGETS, *file_targets.TARGETS)}
TURN = 20
"""Executions of a target of share 1 before the next one has its turn."""
MOST_BYTES = 2 * 2**30
"""Of memory."""


@click.command()
@click.option("--executions", default=100_000, show_default=True, help="Of all targets together.")
@click.option("--state", type=click.Path(path_type=Path), default=Path("fuzz-state"))
@click.option("--target", "chosen", multiple=True, metavar="NAME", help="Only this.")
@click.option("--again", type=int, help="Only this execution of one target, with its traceback.")
def main(executions: int, state: Path, chosen: tuple[str, ...], again: int | None) -> None:
    """Mutates and reads until so many executions are counted; exits with 1 where one was wrong."""
    if unknown := sorted(set(chosen) - set(ALL)):
        raise click.UsageError(f"no target is called {unknown[0]!r}; known: {', '.join(ALL)}")
    wanted = [ALL[name] for name in chosen or ALL]
    if again is not None:
        content = wanted[0].case(again)
        click.echo(repr(content))
        wanted[0].read(content)
        return
    bound_memory()
    counts = _read(state)
    started, before = time.monotonic(), sum(counts.values())
    while (done := sum(counts.values())) < executions:
        for target in wanted:
            turn(target, counts, state)
        _write(state, counts)
        rate = (done - before) / (time.monotonic() - started)
        click.echo(f"{done:,} of {executions:,} executions, {rate:,.0f}/s", err=True)
    found = sorted((state / "findings").glob("*/*.txt"))
    for name, count in counts.items():
        own = sum(path.parent.name == name for path in found)
        click.echo(f"{name:<14}{count:>10,} executions {own:>4} findings")
    click.echo(f"{sum(counts.values()):,} executions, {len(found)} findings in {state}")
    raise SystemExit(bool(found))


def bound_memory() -> None:
    """From now on this process gets `MOST_BYTES` more: an input that takes them is a finding."""
    if sys.platform == "linux":
        import resource

        now = psutil.Process().memory_info().data
        resource.setrlimit(resource.RLIMIT_DATA, (now + MOST_BYTES, resource.RLIM_INFINITY))


def turn(target: Target, counts: dict[str, int], state: Path) -> None:
    """Some executions of one target, from where it stands."""
    first = counts.get(target.name, 0)
    for number in range(first, first + TURN * target.share):
        content = target.case(number)
        error = target.finding(content)
        if error is not None:
            _keep(state / "findings" / target.name, number, content, error)
    counts[target.name] = first + TURN * target.share


def _keep(folder: Path, number: int, content: bytes, error: BaseException) -> None:
    """The first input for each place."""
    name = "".join(c if c.isalnum() else "-" for c in place_of(error))
    if (folder / f"{name}.txt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.input").write_bytes(content)
    told = "".join(traceback.format_exception(error))
    text = f"execution {number}\n{content[:2000]!r}\n\n{told}"
    (folder / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")


def _read(state: Path) -> dict[str, int]:
    try:
        counts: dict[str, int] = json.loads((state / "counts.json").read_text(encoding="utf-8"))
        return counts
    except FileNotFoundError:
        return {}


def _write(state: Path, counts: dict[str, int]) -> None:
    state.mkdir(parents=True, exist_ok=True)
    partial = state / "counts.json.partial"
    partial.write_text(json.dumps(counts), encoding="utf-8")
    partial.replace(state / "counts.json")


if __name__ == "__main__":
    faulthandler.enable()
    main()
