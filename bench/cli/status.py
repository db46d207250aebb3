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
    plan was written for `bench work`. Nothing is changed. Exits with 1 where something has failed,
    or a plan cannot be read.
    """
    from bench.api.files import is_folder
    from bench.cli.output import literal
    from bench.data.folders import named_path
    from bench.errors import BenchError
    from bench.running.states import runs_in, state_of

    folder = named_path(results, "the results folder", home=False)
    if not is_folder(folder):
        raise BenchError(
            f"the results folder {results!r} is no folder; name another with --results"
        )
    failed = False
    runs = runs_in(folder)
    for run in runs:
        try:
            told = state_of(run, lambda message: click.echo(message, err=True))
        except BenchError as error:  # of an older version, say: the others can be told
            click.echo(f"run {literal(run.name)}: {literal(str(error))}")
            failed = True
            continue
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
