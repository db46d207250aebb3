"""`bench check`: a learner keeps the contract, a suite fits its data, a dataset is sound."""

from __future__ import annotations

import re
import reprlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bench.cli.options import DATA_DIR, KIND

if TYPE_CHECKING:
    from bench.cli.kinds import Kind


class Shape(click.ParamType[tuple[int, int, int]]):
    """``3x64x64``: channels, height and width of an image."""

    name = "shape"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int, int]:
        match = re.fullmatch(r"([1-9][0-9]?)x([1-9][0-9]{0,2})x([1-9][0-9]{0,2})", str(value))
        if match is None:
            told = f"{reprlib.repr(value)} is no shape of an image"
            self.fail(f"{told}; write channels, height and width, as 3x64x64", param, ctx)
        channels, height, width = map(int, match.groups())
        return channels, height, width


@click.command()
@click.argument("thing", metavar="LEARNER|SUITE|DATASET")
@KIND
@click.option(
    "--check", "checks", multiple=True, metavar="NAME",
    help="Only this check of a learner. May be repeated.  [default: all]",
)  # fmt: skip
@click.option(
    "--input", "input_shape", type=Shape(), default=None, metavar="CxHxW",
    help="Shape of the images that a learner is checked with, as 3x64x64.  [default: small ones, "
    "or a usual shape that it can answer]",
)  # fmt: skip
@click.option(
    "--image-size", type=click.IntRange(8, 256), default=28, show_default=True, metavar="PIXELS",
    help="What a dataset is loaded at.",
)  # fmt: skip
@DATA_DIR
@click.option(
    "--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.pass_context
def check(
    ctx: click.Context,
    /,
    thing: str,
    kind: Kind | None,
    checks: tuple[str, ...],
    input_shape: tuple[int, int, int] | None,
    image_size: int,
    data_dir: Path | None,
    fmt: Literal["table", "json"],
) -> None:
    """Checks that a learner keeps the contract: no leaks, the law of the two views, gradients, ...
    Or that a suite fits its data, or that a dataset is sound.

    LEARNER is what --learner of `bench run` takes, or package.module:Class for one that is not
    installed. The tasks are tiny and made up; a small configuration ('maml[filters=8]') is quicker.

    SUITE is a suite's name or the path of a .toml file: its data is loaded and counted, no class is
    in two phases, and every setting finds enough classes and images.

    DATASET is an installed dataset or memory probe, or folder:PATH for a folder of images by class:
    it loads, the same twice, and its splits are sound.

    Exits with 1 where a check fails.
    """
    from bench.apart.ahead import import_ahead

    import_ahead()
    from bench.apart.call import apart
    from bench.cli.check_data import check_data
    from bench.cli.check_learner import check_learners, progress
    from bench.cli.kinds import kind_of
    from bench.data.folders import data_folders

    tell = partial(click.echo, err=True)
    kind = kind or apart(kind_of)(thing, tell)
    if kind == "learner":
        with progress() as step:
            text, passed = apart(check_learners)(thing, checks, input_shape, fmt, step)
    else:
        for option, given in (("--check", checks), ("--input", input_shape)):
            if given:
                raise click.UsageError(f"{option} is for learners, and {thing} is a {kind}")
        folders = data_folders(data_dir)
        text, passed = apart(check_data)(thing, kind, image_size, folders, fmt, tell)
    click.echo(text)
    if not passed:
        ctx.exit(1)
