"""`bench show`: a suite's protocol, a learner's hyper-parameters and references."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import KIND
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.api import Learner
    from bench.api.dataset import Source
    from bench.cli.kinds import Kind
    from bench.suites.schema import Suite


@click.command()
@click.argument("name")
@KIND
def show(name: str, kind: Kind | None) -> None:
    """Shows a suite's protocol, a learner's hyper-parameters and references, or a dataset.

    NAME is installed, or the path of a suite's .toml file, or folder:PATH for a folder of images by
    class. Nothing is decoded.
    """
    from bench import registry as plugins
    from bench.cli.kinds import kind_of, one_suite
    from bench.planning.data import named_source

    kind = kind or kind_of(name)
    if kind == "suite":
        click.echo(describe_suite(one_suite(name)))
    elif kind == "learner":
        if "[" in name:
            alone = name.partition("[")[0]
            raise BenchError(f"options are not shown one by one; `bench show {alone}` shows all")
        click.echo(describe_learner(name, plugins.learners().get(name)))
    else:
        click.echo(describe_dataset(name, named_source(name)))


def describe_suite(suite: Suite) -> str:
    """Everything that a suite decides, as text; of a folder of images also what each phase has.

    Raises:
        BenchError: a folder of images that cannot be used, or that its split does not fit.
    """
    from bench.planning.data import folder_classes
    from bench.registry.installed import protocol

    lines = [
        f"{suite.name} (version {suite.version}): {suite.title}",
        "",
        suite.description.strip(),
    ]
    own = protocol(suite.protocol)
    data = suite.dataset
    if own.needs:
        data += f", split {suite.split}, {suite.image_size} pixels"
    told = {"dataset": data, "protocol": suite.protocol, **own.describe_keys(suite)}
    if "rotations" in own.allows:
        turned = [phase for phase, on in suite.rotations if on]
        told["rotations"] = " and ".join(turned) or "none"
    if suite.folder is not None:
        images, _ = folder_classes(suite, suite.folder)
        told |= {phase: str(counted) for phase, counted in images.count().items()}
    lines += ["", *(f"{name:<12}{what}" for name, what in told.items())]
    lines += [f"meta-test   {suite.test.episodes} episodes, seed {suite.test.seed}", "", "settings"]
    for name, setting in suite.settings.items():
        lines.append(f"  {name}  {own.describe(setting)}")
    lines += ["", "budgets"]
    for name, budget in suite.budgets:
        limits = ", ".join(f"{key} = {value}" for key, value in budget if value is not None)
        lines.append(f"  {name}  {limits}")
    return "\n".join(lines)


def describe_dataset(name: str, source: Source) -> str:
    """What a dataset is, as text; of a folder of images also how much it has."""
    from bench.data.image_folder import Counted, ImageFolder, image_files

    if isinstance(source, ImageFolder):
        counted = Counted(tuple(len(listed) for listed in image_files(source.root).values()))
        return f"{name}: a folder of images by class\n\n{counted}"
    splits = f"\n\nsplits: {', '.join(source.splits)}" if source.splits else ""
    return f"{name}: a dataset\n\n{source.description}{splits}"


def describe_learner(name: str, learner: type[Learner]) -> str:
    """What a learner is, its options and its papers, as text."""
    lines = [f"{name}: {learner.family}", "", inspect.getdoc(learner) or ""]
    lines += ["", "options (--learner 'NAME[option=value]')"]
    fields: list[dataclasses.Field[Any]] = list(dataclasses.fields(learner.Config))
    width = max((len(f"{field.name} = {field.default}") for field in fields), default=0)
    for field in fields:
        meaning = field.metadata.get("meaning", "")
        lines.append(f"  {f'{field.name} = {field.default}':<{width}}  {meaning}")
    if not fields:
        lines.append("  none")
    for preset, options in learner.presets.items():
        told = ", ".join(f"{key}={value}" for key, value in options.items()) or "the defaults"
        lines.append(f"  preset {preset}: {told}")
    for protocol, options in learner.protocol_defaults.items():
        told = ", ".join(f"{key}={value}" for key, value in options.items())
        lines.append(f"  defaults in {protocol}: {told}")
    if learner.references:
        lines += ["", "references", *(f"  {reference}" for reference in learner.references)]
    return "\n".join(lines)
