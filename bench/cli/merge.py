"""`bench merge`: results of several machines become one folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A B")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="C",
    help="The folder that they are joined in; what it has already counts first.",
)  # fmt: skip
@click.pass_context
def merge(ctx: click.Context, /, folders: tuple[Path, ...], output: Path) -> None:
    """Joins results folders A, B, ... into C.

    What is in several and equal, apart from times and environments, is taken once; files that the
    first one lacks or has damaged (scores, weights, answers) are taken from another that has them
    whole. What is different is named, the first one is kept, and the exit code is 1, as it is where
    a file is damaged, which is named and left out. Folders A and B stay as they are.
    """
    from bench.cli.output import literal
    from bench.running.prepare import results_folder
    from bench.store.merge import merge as join

    merged = join(list(folders), results_folder(output, "-o"))
    for source, count in merged.copied.items():
        click.echo(f"{literal(source)}: {count} trainings and cells taken")
    click.echo(f"{merged.equal} in several folders and equal; joined in {literal(str(output))}")
    if merged.completed:
        click.echo(f"{merged.completed} completed: a later folder has what an earlier one lacks")
    for line in merged.different:
        click.echo(f"different: {literal(line)}", err=True)
    for line in merged.left_out:
        click.echo(f"left out: {literal(line)}", err=True)
    if merged.different or merged.left_out:
        ctx.exit(1)
