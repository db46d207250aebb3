"""`bench status`: how far the runs are that other machines carry out."""

from __future__ import annotations

import click

from bench.cli.options import RESULTS


@click.command()
@RESULTS
@click.pass_context
def status(ctx: click.Context, /, results: str) -> None:
    """Says what is queued, running, done, failed or lost, and where the logs are.

    Of each run in the results folder that was begun with an executor of other machines, or whose
    plan was written for `bench work`. Nothing is changed. Exits with 1 where something has failed.
    """
    from bench.cli.output import literal
    from bench.running.prepare import results_folder
    from bench.running.states import runs_in, state_of

    failed = False
    runs = runs_in(results_folder(results))
    for run in runs:
        told = state_of(run, lambda message: click.echo(message, err=True))
        failed |= bool(told.failed)
        click.echo(f"{literal(told.title)}")
        click.echo("  " + ", ".join(f"{count} {word}" for word, count in told.counts.items()))
        for line in [*told.running, *told.failed]:
            click.echo(f"  {literal(line)}")
        click.echo(f"  logs: {literal(str(told.logs))}")
    if not runs:
        click.echo(
            "no run of other machines is in this results folder; `bench results` shows cells"
        )
    if failed:
        ctx.exit(1)
