"""`bench work`: one group of a plan, for the array tasks of a cluster and for anybody's loop."""

from __future__ import annotations

import signal
from pathlib import Path

import click

AGAIN = 75
"""Exit code: it was stopped, or waits for others, and is to be carried out again (EX_TEMPFAIL)."""


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--index", type=click.IntRange(min=0), required=True, metavar="N",
    help="Number of the group, from 0.",
)  # fmt: skip
@click.pass_context
def work(ctx: click.Context, /, plan: Path, index: int) -> None:
    """Carries out one group of a plan: a training with its tests and audit, or its timings.

    `bench run --plan-only` writes a plan. Its groups may be carried out in any order, each on any
    machine that has the results folder: the trainings side by side, afterwards the timings, each
    alone on its device. What is done is kept; what fails is stored in the results folder.

    Exits with 0 when all is done, 1 where something has failed, 2 where the group is refused (other
    versions than those of the plan), and 75 when it is to be carried out again: it was stopped by a
    signal, and has stored where it stands, or these are timings of what is not trained and tested
    yet.
    """
    from bench.api.executor import Cancelled
    from bench.cli.progress import Display
    from bench.groups.work import Stopping
    from bench.groups.work import work as carry_out

    stopping, told = Stopping(), []

    def stop(number: int, frame: object) -> None:
        told.append(number)
        stopping(by_hand=number == signal.SIGINT)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    with Display() as display:
        try:
            outcome = carry_out(plan, index, display.listen, stopping, display.note)
        except Cancelled:
            display.note("Stopped: what is finished is kept; carry it out again to go on")
            ctx.exit(128 + signal.SIGINT if told == [signal.SIGINT] else AGAIN)
    if outcome != "done":
        ctx.exit(AGAIN if outcome == "waiting" else 1)
