"""`bench show`: a suite's protocol, a learner's hyper-parameters and references."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import click

from bench.errors import unknown_name

if TYPE_CHECKING:
    from bench.api import Learner
    from bench.suites.schema import Suite


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Shows a suite's protocol, or a learner's hyper-parameters and references."""
    from bench import plugins

    suites, learners, datasets = plugins.suites(), plugins.learners(), plugins.datasets()
    if name in suites.things:
        click.echo(describe_suite(suites.things[name]))
    elif name in learners.things:
        click.echo(describe_learner(name, learners.things[name]))
    elif name in datasets.things:
        source = datasets.things[name]
        splits = f"\n\nsplits: {', '.join(source.splits)}" if source.splits else ""
        click.echo(f"{name}: a dataset\n\n{source.description}{splits}")
    else:
        known = [*suites.things, *learners.things, *datasets.things]
        raise unknown_name("suite, learner or dataset", name, known)


def describe_suite(suite: Suite) -> str:
    """Everything that a suite decides, as text."""
    lines = [
        f"{suite.name} (version {suite.version}): {suite.title}",
        "",
        suite.description.strip(),
    ]
    if suite.protocol == "sequence":
        fewest, most = suite.training_items
        lines += ["", f"dataset     {suite.dataset}", f"protocol    {suite.protocol}"]
        lines += [f"training    {fewest} to {most} items, one number per update"]
    else:
        turned = [phase for phase, on in suite.rotations if on]
        size = f"{suite.image_size} pixels"
        lines += ["", f"dataset     {suite.dataset}, split {suite.split}, {size}"]
        lines += [f"protocol    {suite.protocol}"]
        lines += [f"rotations   {' and '.join(turned) or 'none'}"]
    lines += [f"meta-test   {suite.test.episodes} episodes, seed {suite.test.seed}", "", "settings"]
    for name, setting in suite.settings.items():
        ways = f"{setting.ways}-way"
        told = {
            "kshot": f"{ways}, {setting.shots}-shot, {setting.queries} queries per class",
            "online": f"{ways}, each class presented {setting.presentations} times",
            "sequence": f"{setting.items} items",
        }[suite.protocol]
        lines.append(f"  {name}  {told}")
    lines += ["", "budgets"]
    for name, budget in suite.budgets:
        told = ", ".join(f"{key} = {value}" for key, value in budget if value is not None)
        lines.append(f"  {name}  {told}")
    return "\n".join(lines)


def describe_learner(name: str, learner: type[Learner]) -> str:
    """What a learner is, its options and its papers, as text."""
    lines = [f"{name}: a {learner.family} learner", "", inspect.getdoc(learner) or ""]
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
    if learner.references:
        lines += ["", "references", *(f"  {reference}" for reference in learner.references)]
    return "\n".join(lines)
