"""`bench run`: makes cells exist."""

from __future__ import annotations

import re
import reprlib
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import DATA_DIR, RESULTS, Word
from bench.cli.site_options import Setting, read_options
from bench.cli.stopping import exit_code
from bench.errors import BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.running.runner import Runner


MOST_SEEDS = 10_000
"""In one command: a slip of the keyboard is not to fill the memory."""


class Seeds(click.ParamType[list[int]]):
    """``0-2`` or ``0,3,7``."""

    name = "seeds"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        seeds: list[int] = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*([0-9]{1,19})(?:-([0-9]{1,19}))?\s*", part)
            if match is None or (match[2] and int(match[2]) < int(match[1])):
                told = reprlib.repr(value)
                self.fail(f"{told} is no list of seeds; write 0-2 or 0,3,7", param, ctx)
            first, last = int(match[1]), int(match[2] or match[1])
            if last - first + len(seeds) >= MOST_SEEDS:
                told = f"{reprlib.repr(value)} are more than {MOST_SEEDS:,} seeds"
                self.fail(f"{told}; write fewer, as 0-2", param, ctx)
            seeds += range(first, last + 1)
        return list(dict.fromkeys(seeds))


class Quantity(click.ParamType[float]):
    """A number with a unit, as ``90s`` or ``4GiB``."""

    def __init__(self, name: str, units: dict[str, float], example: str) -> None:
        self.name, self.units, self.example = name, units, example

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Za-z]*)\s*", value)
        if match is None or match[2].lower() not in self.units or float(match[1]) == 0:
            told = f"{reprlib.repr(value)} is no {self.name}"
            self.fail(f"{told}; write {self.example}", param, ctx)
        return float(match[1]) * self.units[match[2].lower()]


DURATION = Quantity("duration", {"": 1, "s": 1, "min": 60, "h": 3600}, "90s, 10min or 2h")
SIZE = Quantity(
    "size",
    {"": 1, "m": 2**20, "mb": 1e6, "mib": 2**20, "g": 2**30, "gb": 1e9, "gib": 2**30},
    "500MiB or 4GiB",
)


@click.command()
@click.option(
    "--suite", "suites", multiple=True, required=True, type=Word("glyphs-5way"), metavar="NAME",
    help="A suite, a glob, or the path of a .toml file. May be repeated.",
)  # fmt: skip
@click.option(
    "--learner", "learners", multiple=True, type=Word("'maml[inner_steps=1,5]'"), metavar="SPEC",
    help="A learner, a glob, 'maml[inner_steps=1,5]' (lists make a product), or file.py:Class of "
    "one that is not installed. May be repeated.  [default: all that are installed]",
)  # fmt: skip
@click.option("--seeds", type=Seeds(), default="0", show_default=True, help="0-2 or 0,3,7.")
@click.option(
    "--device", "devices", multiple=True, type=Word("cpu"), default=("cpu",), show_default=True,
    metavar="NAME",
    help="cpu, cpu/1 (one thread), cuda (every GPU), cuda:1 (just that one) or mps. May be "
    "repeated: the first one trains and tests, all are timed.",
)  # fmt: skip
@click.option(
    "--budget", type=Word("standard"), default="standard", show_default=True, metavar="BUDGET",
    help="smoke, standard, paper, <n>examples or <n>min of meta-training.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True,
    help="bf16 is autocast.",
)  # fmt: skip
@click.option(
    "--compile", is_flag=True,
    help="Compiles the update of each learner, in a minute or more, and trains those of many small "
    "steps faster. Needs a C++ compiler. On a CUDA GPU any learner's update becomes a CUDA graph.",
)  # fmt: skip
@DATA_DIR
@RESULTS
@click.option(
    "--executor", type=Word("local"), default="local", show_default=True, metavar="NAME",
    help="Where the work is done: `bench list executors` shows all.",
)  # fmt: skip
@click.option(
    "-X", "options", type=Setting(), multiple=True, metavar="KEY=VALUE",
    help="An option of the executor; for slurm one of sbatch: -X partition=gpu. May be repeated.",
)  # fmt: skip
@click.option(
    "--executor-options", "option_file", type=click.Path(path_type=Path), default=None,
    metavar="FILE", help="A TOML file of such options.",
)  # fmt: skip
@click.option("--detach", is_flag=True, help="Hands the work over and leaves; see `bench status`.")
@click.option(
    "--print",
    "print_only",
    is_flag=True,
    help="Shows what would be submitted, and submits nothing.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=None,
    help="Trainings at once, each with its tests.  [default: 1; with --device cuda one per GPU]",
)  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(min=1), default=None,
    help="CPU threads of each training; they decide the last bits of its weights, and a training "
    "that has begun keeps them.  [default: the machine's cores shared among the jobs]",
)  # fmt: skip
@click.option(
    "--timeout", type=DURATION, default=None, help="Ends a process after so long.  [default: never]"
)
@click.option(
    "--memory", type=SIZE, default=None, help="Ends a process above so much.  [default: no limit]"
)
@click.option(
    "--store", multiple=True, type=click.Choice(["answers"]),
    help="Also stores each answer, for `bench show-episode` and accuracies by class.",
)  # fmt: skip
@click.option(
    "--tracker", default="", metavar="NAME",
    help="Shows curves while they grow: tensorboard, or one that a package brings.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Shows the cells and an estimate of their time.")
@click.option(
    "--plan-only", is_flag=True,
    help="Writes the plan that `bench work` carries out, and begins nothing.",
)  # fmt: skip
@click.option("--rerun", is_flag=True, help="Computes again what is done.")
@click.option("--retry-failed", is_flag=True, help="Tries again what has failed.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    dry_run: bool,
    plan_only: bool,
    detach: bool,
    print_only: bool,
    options: Sequence[tuple[str, str]],
    option_file: Path | None,
    **asked: Any,
) -> None:
    """Makes the asked cells exist: suites by settings by learners by seeds.

    Only what is missing is computed: give the same command again after an interruption. Exits with
    1 where a cell has failed.
    """
    from bench.apart.ahead import import_ahead

    if asked["executor"] != "inline":  # which has no other process
        import_ahead()
    from bench.cli.output import literal
    from bench.cli.progress import MOST_REASON, MOST_TITLE, Display
    from bench.running.prepare import prepare
    from bench.running.request import Request

    if asked["memory"] is not None:
        asked["memory"] = int(asked["memory"])
    asked["options"] = {**(read_options(option_file) if option_file else {}), **dict(options)}
    request = Request(**asked)
    with Display() as display:
        runner = prepare(request, display.listen, display.note)
        for note in runner.plan.notes:
            display.note(note)
        for label, reason in runner.plan.failed.items():
            display.note(f"FAILED {literal(label, MOST_TITLE)}: {literal(reason, MOST_REASON)}")
        for name, meant, able in (
            ("--detach", detach, runner.executor.detaches),
            ("--print", print_only, runner.prints),
        ):
            if meant and not able:
                raise BenchError(f"{name}: the executor {request.executor!r} cannot do that")
        if print_only:
            click.echo("\n".join(runner.scripts()) or "nothing is left to do")
            return
        if plan_only:
            click.echo(told_plan(runner))
            return
        if detach:
            left = runner.detach()
            click.echo(f"{left} groups are left to {request.executor}; see: {status_line(runner)}")
            return
        if not dry_run:
            display.expect(runner)
            try:
                runner.run()
            except KeyboardInterrupt as stopped:
                display.close()
                again = shlex.join(["bench", *_without_removal(runner, sys.argv[1:])])
                click.echo(f"Stopped. Nothing finished is lost; go on with:\n  {again}", err=True)
                ctx.exit(exit_code(stopped))
    done = _show_plan(runner) if dry_run else _show_results(runner)
    if not done:
        ctx.exit(1)


def status_line(runner: Runner) -> str:
    """The command that says how far a run is."""
    return shlex.join(["bench", "status", "--results", str(runner.results)])


def told_plan(runner: Runner) -> str:
    """Writes the plan; what to do with it."""
    path, groups = runner.write_plan()
    left = [group for group in groups if group.pending]
    kinds = {"train": "trainings with their tests and audits", "time": "timings"}
    lines = [f"{path}: {len(left)} of {len(groups)} groups are left to do"]
    for kind, words in kinds.items():
        numbers = ranges(group.index for group in left if group.kind == kind)
        if numbers:
            order = "side by side" if kind == "train" else "afterwards, each alone on its device"
            lines.append(f"  {words}, {order}: {numbers}")
    return "\n".join([*lines, f"  bench work {shlex.quote(str(path))} --index N"])


def ranges(numbers: Iterable[int]) -> str:
    """``0-3,7``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ",".join("-".join(map(str, part)) for part in found)


def _without_removal(runner: Runner, arguments: list[str]) -> list[str]:
    """The arguments to go on with: what --rerun and --retry-failed removed is removed, and would be
    again with what was finished since."""
    removing = {"--rerun", "--retry-failed"} if runner.prepared else set()
    return [argument for argument in arguments if argument not in removing]


def _show_plan(runner: Runner) -> bool:
    """Prints the cells and how long they take; whether every learner could be planned."""
    from bench.cli.terminal import render
    from bench.running.estimate import estimate_cells

    rows = estimate_cells(
        runner.plan,
        runner.results,
        runner.places[0],
        runner.threads,
        here=runner.executor.here,
    )
    failed = [{"learner": label, "status": "failed"} for label in runner.plan.failed]
    click.echo(render([*rows, *failed], list(rows[0]), "table"))
    total = sum(row["seconds"] or 0 for row in rows)
    click.echo(
        f"{len(rows)} cells, about {total / 60:.1f} min with one job "
        "(measured on two updates of each training)"
    )
    return not runner.plan.failed


def _show_results(runner: Runner) -> bool:
    """Prints the table, writes the report; whether every cell is done."""
    from bench.cli.output import literal
    from bench.cli.sources import sources_for
    from bench.cli.terminal import print_boards
    from bench.report.audits import failed_audits, read_audits
    from bench.results.reading import read_results
    from bench.running.runner import statuses

    sources = sources_for(runner.results, runner.plan.sources)
    asked = {cell.id for cell in runner.plan.cells}
    print_boards([row for row in read_results(runner.results, sources).rows if row.id in asked])
    for label, reason in runner.plan.failed.items():
        click.echo(f"failed  {literal(label)}: {literal(reason)}")
    report = _report(runner, sources)
    counts = statuses(runner.plan, runner.results)
    click.echo(f"{counts['done']} of {len(runner.plan.cells)} cells done; report: {report}")
    if counts["failed"]:
        click.echo(
            f"{counts['failed']} failed; `bench report` shows why, --retry-failed tries again",
            err=True,
        )
    for training in runner.plan.trainings:
        audits, crash = read_audits(runner.results, training.folder(runner.results).name)
        failed = [audit.name for audit in failed_audits(audits)]
        if failed or crash:
            told = f"audits failed: {', '.join(failed)}" if failed else "the audits failed"
            what = f"{training.learner}, {training.dataset}, seed {training.seed}: {told}"
            click.echo(f"{what}; `bench report` shows why", err=True)
    return counts["done"] == len(runner.plan.cells) and not runner.plan.failed


def _report(runner: Runner, sources: dict[str, str]) -> Path:
    """The page of all that is stored; written where it does not say that already."""
    from bench.cli.sources import installed_controls
    from bench.report.up_to_date import made_of, standing

    controls = sorted(installed_controls())
    if page := standing(runner.results, made_of(runner.results, sources, [], [], controls, False)):
        return page
    from bench.report import write_report  # draws: seconds of imports

    return write_report(runner.results, formats=["html"], sources=sources, controls=controls)[0]
