"""What `bench show` says of a suite, a learner or a dataset, as text."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from bench.apart.blame import touching
from bench.api.dataset import Notify
from bench.cli.kinds import Kind
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.api import Learner
    from bench.api.dataset import Source
    from bench.suites.schema import Suite


def described(name: str, kind: Kind | None, tell: Notify) -> str:
    """What is called so, as text; imports it.

    Args:
        name: see `show`.
        kind: what it is; None: the first kind that has the name.
        tell: told where others have it too.
    """
    from bench import registry as plugins
    from bench.cli.kinds import kind_of, one_suite
    from bench.planning.data import named_source
    from bench.registry.learner_files import find, is_file

    kind = kind or kind_of(name, tell)
    if kind == "suite":
        return describe_suite(one_suite(name))
    if kind == "dataset":
        return describe_dataset(name, named_source(name))
    if "[" in name:
        alone = name.partition("[")[0]
        raise BenchError(f"options are not shown one by one; `bench show {alone}` shows all")
    learner = find(name)[1] if is_file(name) else plugins.learners(name).get(name)
    with touching(f"describing {name}"):
        return describe_learner(name, learner)


def describe_suite(suite: Suite) -> str:
    """Everything that a suite decides, as text; of a folder of images also what each phase has.

    Raises:
        BenchError: a folder of images that cannot be used, or that its split does not fit.
    """
    from bench.data.own_data import own_source
    from bench.planning.own_data import own_classes
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
    if suite.own is not None:
        classes = own_classes(suite).classes
        counts = own_source(classes).class_counts()
        told |= {phase: str(counted) for phase, counted in classes.count(counts).items()}
    lines += ["", *(f"{name:<12}{what}" for name, what in told.items())]
    lines += [f"meta-test   {suite.test.episodes} episodes, seed {suite.test.seed}", "", "settings"]
    for name, setting in suite.settings.items():
        other = suite.tested_on(name)
        on = f"; tested on {other.dataset}, split {other.split}" if other else ""
        lines.append(f"  {name}  {own.describe(setting)}{on}")
    lines += ["", "budgets"]
    for name, budget in suite.budgets:
        limits = ", ".join(f"{key} = {value}" for key, value in budget if value is not None)
        lines.append(f"  {name}  {limits}")
    return "\n".join(lines)


def describe_dataset(name: str, source: Source) -> str:
    """What a dataset is, as text; of a folder of images also how much it has."""
    from bench.data.class_folder import Counted
    from bench.data.own_data import OwnData

    if isinstance(source, OwnData):
        counted = Counted(tuple(source.class_counts().values()))
        kind = "a folder of images by class" if source.name == "folder" else "arrays"
        return f"{name}: {kind}\n\n{counted}"
    splits = f"\n\nsplits: {', '.join(source.splits)}" if source.splits else ""
    return f"{name}: a dataset\n\n{source.description}{splits}"


def describe_learner(name: str, learner: type[Learner]) -> str:
    """What a learner is, its options and its papers, as text."""
    from bench.registry.learners import default_of, option_types
    from bench.registry.option_values import as_text

    lines = [f"{name}: {learner.family}", "", inspect.getdoc(learner) or ""]
    lines += ["", "options (--learner 'NAME[option=value]')"]
    types = option_types(learner)
    fields: list[dataclasses.Field[Any]] = list(dataclasses.fields(learner.Config))
    defaults = [f"{one.name} = {as_text(default_of(one), types.get(one.name))}" for one in fields]
    width = max(map(len, defaults), default=0)
    for field, default in zip(fields, defaults, strict=True):
        lines.append(f"  {default:<{width}}  {field.metadata.get('meaning', '')}")
    if not fields:
        lines.append("  none")
    for preset, options in learner.presets.items():
        told = ", ".join(f"{k}={as_text(own, types.get(k))}" for k, own in options.items())
        lines.append(f"  preset {preset}: {told or 'the defaults'}")
    for protocol, options in learner.protocol_defaults.items():
        told = ", ".join(f"{k}={as_text(own, types.get(k))}" for k, own in options.items())
        lines.append(f"  defaults in {protocol}: {told}")
    if learner.references:
        lines += ["", "references", *(f"  {reference}" for reference in learner.references)]
    return "\n".join(lines)
