"""`bench show`: a suite's protocol, a learner's hyper-parameters and references."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from bench.cli.options import KIND

if TYPE_CHECKING:
    from bench.cli.kinds import Kind


@click.command()
@click.argument("name")
@KIND
def show(name: str, kind: Kind | None) -> None:
    """Shows a suite's protocol, a learner's hyper-parameters and references, or a dataset.

    NAME is installed, or the path of a suite's .toml file, or folder:PATH for a folder of images by
    class. Nothing is decoded.
    """
    from bench.apart.ahead import import_ahead

    import_ahead()
    from bench.apart.call import apart
    from bench.cli.describe import described

    click.echo(apart(described)(name, kind, partial(click.echo, err=True)))
