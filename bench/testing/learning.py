"""Checks of meta-training: gradients, and that it learns at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F

from bench.api import Learner
from bench.protocols.base import Protocol
from bench.testing.answering import answers, loss_of, of_numbers
from bench.testing.check import FailedError, NotApplicableError, check
from bench.testing.subject import Subject, View, train
from bench.testing.tasks import draw

FEW_PATTERNS, TOGETHER = 3, 32
"""The patterns, and the episodes of an update: a recurrent learner gets them in 200 updates."""

MOST_UPDATES, EVERY = 500, 10
FEW_ERRORS = 0.05
LEFT = 2 / 3
"""Of its first squared error on lines, to what it has to fall: an inner loop of small steps is
slow."""
GOOD = 1 / 3
"""Of the squared error of the best constant: below it a learner knows what lines are."""
ANSWERED = 64
"""Episodes that are answered to see how far it is."""


@check(
    "Add a small constant under roots, logarithms and norms, as bench.nn.cosine_similarity does; "
    "set `requires_grad_(False)` on what is not trained; look for a `detach` too many."
)
def gradients(subject: Subject) -> None:
    """Every parameter that asks for a gradient gets one, and it is finite, also for images that are
    all zeros, all ones or all alike: a single NaN ends a training."""
    subject.needs_training()
    for protocol in subject.protocols:
        for what, inputs in (
            ("ordinary inputs", None),
            ("inputs of zeros", torch.zeros_like),
            ("inputs of ones", torch.ones_like),
            ("inputs that are all alike", lambda x: x[:1, :1].expand_as(x)),
        ):
            learner = subject.build(protocol).train()
            batch: Any = draw(learner.task, 2, seed=7, training=True)
            if inputs is not None:
                changes = {name: inputs(getattr(batch, name)) for name in protocol.inputs}
                batch = dataclasses.replace(batch, **changes)
            loss_of(learner, batch).backward()
            for name, parameter in learner.named_parameters():
                if parameter.requires_grad and parameter.grad is None:
                    raise FailedError(f"{name} gets no gradient, {protocol}")
                if parameter.grad is not None and not parameter.grad.isfinite().all():
                    raise FailedError(
                        f"{name} gets a gradient that is not finite at {what}, {protocol}"
                    )


@check(
    "Look at `loss` (does it reach the weights?), at the learning rate in `optimizer`, and at "
    "whether the support labels reach the answer; a learner without anything to train states "
    "`trained = False`."
)
def trains(subject: Subject) -> str:
    """On 2-way tasks of three patterns the negative log-likelihood of the queries, or their error
    rate, is halved within 500 updates. Of a learner of numbers the squared error on straight lines
    falls by a third, or to a third of a constant's."""
    subject.needs_training()
    views = [*subject.asked("predict"), *subject.asked("unroll")]
    if not views:
        raise NotApplicableError("it takes part in no protocol that has tiny tasks to learn")
    of_classes = [view.protocol for view in views if _of_classes(view)]
    others = [view.protocol for view in views if not _of_classes(view)]
    told = [_learns(subject, within) for within in of_classes[:1]]  # in one of each is enough
    told += [_fits(subject, within) for within in others[:1]]
    return "; ".join(told)


def _of_classes(view: View) -> bool:
    return not of_numbers(view.batch)


def _fits(subject: Subject, within: Protocol[Any, Any]) -> str:
    """Whether it learns straight lines."""
    test = subject.task(within).but(episodes_per_update=TOGETHER)
    torch.manual_seed(0)
    learner = subject.learner(subject.config_in(within.name), subject.training_task(test))
    batch = draw(test, ANSWERED, seed=9)
    before, constant = (_mean(within, learner, batch, mark) for mark in ("mse", "constant_mse"))
    if before < GOOD * constant:
        return f"untrained it answers with a mean squared error of {before:.2g} already"
    now = before
    for update, _ in enumerate(train(learner, MOST_UPDATES), start=1):
        if update % EVERY == 0:
            now = _mean(within, learner, batch, "mse")
            if now <= max(LEFT * before, GOOD * constant):
                break
    seen = f"mean squared error {before:.2g} to {now:.2g} in {update} updates"
    if not now <= max(LEFT * before, GOOD * constant):  # NaN too
        raise FailedError(seen)
    return seen


def _mean(within: Protocol[Any, Any], learner: Learner, batch: Any, mark: str) -> float:
    """The mean of a mark over all answers."""
    return float(within.mark(answers(within, learner, batch), batch)[mark].mean())


def _learns(subject: Subject, within: Protocol[Any, Any]) -> str:
    """Whether it learns to tell patterns apart."""
    test = subject.task(within, ways=2).but(classes=FEW_PATTERNS, episodes_per_update=TOGETHER)
    torch.manual_seed(0)
    learner = subject.learner(subject.config_in(within.name), subject.training_task(test))
    batch = draw(test, ANSWERED, seed=9)
    nll, error = _scores(within, learner, batch)
    if nll < 0.05 and error < 0.01:
        raise NotApplicableError(
            f"untrained it answers with a likelihood of {nll:.2g} nats already"
        )
    now = nll, error
    for update, _ in enumerate(train(learner, MOST_UPDATES), start=1):
        if update % EVERY == 0:
            now = _scores(within, learner, batch)
            if _halved((nll, error), now):
                break
    seen = f"{nll:.2f} to {now[0]:.2f} nats, {error:.0%} to {now[1]:.0%} wrong, in {update} updates"
    if not _halved((nll, error), now):
        raise FailedError(seen)
    return seen


def _halved(before: tuple[float, float], now: tuple[float, float]) -> bool:
    """Whether likelihood or error rate is; few errors may halve by chance. False for NaN."""
    return now[0] <= before[0] / 2 or (before[1] >= FEW_ERRORS and now[1] <= before[1] / 2)


def _scores(within: Protocol[Any, Any], learner: Learner, batch: Any) -> tuple[float, float]:
    """Negative log-likelihood in nats and error rate; online, of classes that were seen before."""
    told, knowable = answers(within, learner, batch), within.knowable(batch)
    assert knowable is not None, "its answers are classes"
    y, known = knowable
    nll = F.cross_entropy(told[known], y[known])
    return nll.item(), (told.argmax(-1) != y)[known].float().mean().item()
