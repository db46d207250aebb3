"""Checks of what a learner says of itself, and of the form of its answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bench.api import Episodes, Learner, State, TaskSpec, map_tensors
from bench.errors import BenchError
from bench.registry.contestants import configure
from bench.registry.installed import protocols
from bench.registry.learners import accept_learner, default_of
from bench.testing.answering import agree, answers, loss_of
from bench.testing.check import FailedError, check
from bench.testing.subject import EPISODES, Subject
from bench.testing.tasks import draw


@check(
    "State `contract`, `family`, `references` and `protocols` in the class body; see "
    "bench.api.Learner."
)
def declaration(subject: Subject) -> None:
    """The class states contract, family, references and protocols, as `bench list` and every table
    show them."""
    learner = subject.learner
    try:
        accept_learner(learner)
    except BenchError as error:
        raise FailedError(str(error)) from error
    known = tuple(protocols().things)
    if not learner.protocols or not set(learner.protocols) <= set(known):
        raise FailedError(f"protocols = {learner.protocols!r}; choose from {known}")
    if not isinstance(learner.references, tuple):
        raise FailedError(f"references = {learner.references!r}, expected a tuple of strings")


@check(
    'Write each field as `lr: float = option(1e-3, "Learning rate of Adam.")` in a '
    "`@dataclass(frozen=True)`, and let presets name fields only."
)
def config(subject: Subject) -> None:
    """Config is a frozen dataclass of options with default, type and meaning, and presets fit it:
    `bench show` prints them, --learner 'NAME[option=value]' sets them."""
    learner = subject.learner
    if not learner.Config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise FailedError("Config is not frozen, and a result's identity is a hash of it")
    fields: list[dataclasses.Field[Any]] = list(dataclasses.fields(learner.Config))
    for field in fields:
        if field.default is field.default_factory is dataclasses.MISSING:
            raise FailedError(f"the option {field.name!r} has no default")
        if not str(field.metadata.get("meaning", "")).strip():
            raise FailedError(f"the option {field.name!r} has no meaning")
    defaults = {field.name: default_of(field) for field in fields}
    by_protocol = {f"protocol_defaults of {k}": v for k, v in learner.protocol_defaults.items()}
    for preset, options in {"the defaults": defaults, **learner.presets, **by_protocol}.items():
        try:
            configure("NAME", learner, dict(options))
        except BenchError as error:
            raise FailedError(f"{preset}: {error}") from error


@check(
    "Return `task.but(...)` from training_task, a positive number or None from published_updates, "
    "and from bank_share a number of episodes between 200 and those of the bank."
)
def training_task(subject: Subject) -> None:
    """For tasks of any size the learner says how it wants to be trained, and for how long its paper
    did: the harness plans with it."""
    for task in _tasks(subject):
        config = subject.config_in(task.protocol)
        asked = subject.learner.training_task(config, task)
        if not isinstance(asked, TaskSpec):
            raise FailedError(f"training_task returned {type(asked).__name__}, expected a TaskSpec")
        for name in ("protocol", "input_shape", "outputs"):
            if getattr(asked, name) != getattr(task, name):
                raise FailedError(f"training_task changed {name}, for {task}")
        updates = subject.learner.published_updates(config, task)
        if updates is not None and not (isinstance(updates, int) and updates > 0):
            raise FailedError(f"published_updates returned {updates!r}")
        share = subject.learner.bank_share(config, task, 1000)
        if not (isinstance(share, int) and 200 <= share <= 1000):
            raise FailedError(f"bank_share returned {share!r} for a bank of 1,000 episodes")


def _tasks(subject: Subject) -> Iterator[TaskSpec]:
    for protocol in subject.protocols:
        yield subject.task(protocol)
        yield from protocol.usual_tasks()


@check(
    "Return logits (B, Q, ways) from predict and (B, T, ways) from unroll; give a class without "
    "support a finite logit (bench.nn.NoveltyLogit learns one)."
)
def logits(subject: Subject) -> None:
    """In every view logits have the shape that was asked for and are finite; of a learner with an
    online view also for classes that the support set lacks: one NaN is a failed cell."""
    for protocol in subject.protocols:  # before any training, which wrong logits may end
        answers(protocol, subject.build(protocol), subject.episodes(protocol))
    online = any(protocol.view == "unroll" for protocol in subject.protocols)
    for protocol, learner, batch in subject.views():
        _finite(answers(protocol, learner, batch), str(protocol))
        if protocol.view == "predict" and online:
            lacking = dataclasses.replace(batch, support_y=torch.full_like(batch.support_y, 3))
            _finite(
                answers(protocol, learner, lacking),
                f"{protocol}, where all support items have one label",
            )


def _finite(told: Tensor, where: str) -> None:
    if not told.isfinite().all():
        raise FailedError(f"logits are not finite, {where}")


@check(
    "Take every size from the tensors that came in and from `ways`, none from the config or the "
    "training task; where ways are limited, call `self.check_ways(ways)`."
)
def sizes(subject: Subject) -> str | None:
    """Ways, shots, queries, lengths and batch sizes other than those trained with are answered;
    more ways may be refused with a ValueError that says so."""
    seen = []
    if subject.input_shape is not None:
        seen.append(f"all of this with images of {'x'.join(map(str, subject.input_shape))}")
    for protocol, learner, _ in subject.views():
        for other, episodes in protocol.other_sizes():
            task = subject.shaped(other)
            told = answers(protocol, learner, draw(task, episodes, seed=2))
            _finite(told, f"{protocol}, {task}")
        more = learner.task.ways + 1
        test = subject.task(protocol, more)
        if test.ways != more:  # it has no classes
            continue
        batch = draw(test.but(classes=2 * more), 2, seed=2)
        try:
            _finite(answers(protocol, learner, batch), f"{protocol}, {more} ways")
        except ValueError as error:
            if not str(error):
                raise FailedError(f"{more} ways are refused without a word") from error
            seen.append(f"more ways than trained with are refused: {error}")
    return "; ".join(dict.fromkeys(seen)) or None


@check(
    "Return tensors, alone or in tuples, NamedTuples, lists and dicts, each with leading dimension "
    "B; plain numbers and None may stand beside them."
)
def state(subject: Subject) -> None:
    """What adapt returns is tensors with leading dimension B: the harness moves and copies it."""
    for learner, batch in subject.conditioned():
        with torch.no_grad():
            made = learner.adapt(batch.support_x, batch.support_y, batch.ways)
        try:
            shapes = {tuple(tensor.shape) for tensor in flat(made)}
        except TypeError as error:
            raise FailedError(str(error)) from error
        wrong = [shape for shape in shapes if shape[:1] != batch.support_y.shape[:1]]
        if wrong:
            raise FailedError(
                f"adapt returned a tensor of shape {wrong[0]} for {EPISODES} episodes"
            )


def flat(made: State) -> list[Tensor]:
    """Copies of the tensors in a state."""
    found: list[Tensor] = []

    def collect(tensor: Tensor) -> Tensor:
        found.append(tensor.clone())
        return tensor

    map_tensors(collect, made)
    return found


@check(
    "Register tensors that are no parameters with `register_buffer`, and create new ones with "
    "`device=x.device`, or as `x.new_zeros(...)`."
)
def devices(subject: Subject) -> str | None:
    """The learner can be moved: all its tensors are parameters or buffers, logits are where the
    inputs are, and on a GPU they are those of the CPU."""
    others = [name for name in ("cuda", "mps") if _available(name)]
    for protocol, learner, batch in subject.views():
        told = answers(protocol, learner, batch)
        for name, module in learner.named_modules():
            for attribute in _loose_tensors(module):
                where = f"{name}.{attribute}" if name else attribute
                raise FailedError(f"the tensor {where!r} would stay behind: it is no buffer")
        for device in others:
            there = answers(protocol, learner.to(device), batch.to(device))
            if there.device.type != device:
                raise FailedError(f"logits are on {there.device}, and the inputs were on {device}")
            # matrix products of GPUs may be coarser (TF32)
            agree(told, there.cpu(), f"{device} does not answer as the CPU, {protocol}", 1e-2)
    return None if others else "on the CPU only: no GPU here"


def _available(device: str) -> bool:
    return torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()


def _loose_tensors(module: nn.Module) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, Tensor)]


@check("Work on a copy: no `x += ...`, `x[...] = ...`, `x.clamp_()` on an argument or a state.")
def inputs_kept(subject: Subject) -> None:
    """No method changes the tensors that it is given, nor predict the state: the harness uses them
    again."""
    for protocol, learner, batch in subject.views():
        before = _tensors(batch)
        answers(protocol, learner, batch)
        _compare(before, _tensors(batch), f"of the episode were changed by a test, {protocol}")
        if protocol.view == "predict":
            _state_kept(learner, batch)
        if subject.learner.trained:
            drawn = draw(learner.task, 2, seed=3, training=True)
            before = _tensors(drawn)
            loss_of(learner.train(), drawn)
            _compare(before, _tensors(drawn), f"of the batch were changed by loss, {protocol}")


@torch.no_grad()
def _state_kept(learner: Learner, batch: Episodes) -> None:
    made = learner.adapt(batch.support_x, batch.support_y, batch.ways)
    before = flat(made)
    learner.predict(made, batch.query_x)
    if not all(map(torch.equal, before, flat(made))):
        raise FailedError("predict changed the state")


def _tensors(batch: Any) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in vars(batch).items() if isinstance(t, Tensor)}


def _compare(before: dict[str, Tensor], after: dict[str, Tensor], what: str) -> None:
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    if changed:
        raise FailedError(f"{', '.join(changed)} {what}")
