"""Checks of what an answer must not know: query labels, other queries, other episodes, what comes
later."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from bench.api import Episodes, Sequences, Stream
from bench.stats import exceeds, first_presentation_ceiling
from bench.testing.check import FailedError, NotApplicableError, check
from bench.testing.subject import Subject, agree, answers, difference, loss_of
from bench.testing.tasks import Batch, draw, tiny_task

ROUNDING = 1e-5
"""Tolerance where the same operations are done on other data, relative to the largest logit."""

STREAMS = 32
LEAK = 1e-4
"""The one-sided p-value of the test for a first presentation above the ceiling."""


@check("Keep nothing of a batch in `loss`: what it learns goes through parameters and buffers.")
def query_labels(subject: Subject) -> None:
    """Answers do not depend on labels that `loss` was given before: it is the only method that
    receives query labels, and they are for training."""
    subject.needs_training()
    for protocol in subject.protocols:
        weights = subject.weights(protocol).state
        told: list[Tensor] = []
        for shift in (0, 1):
            learner = subject.slightly_trained(protocol)
            batch = draw(learner.task, 2, seed=4, training=True)
            for training in (True, False):
                learner.load_state_dict(weights)  # running statistics may hang on labels
                torch.manual_seed(0)
                loss_of(learner.train(training), _relabelled(batch, shift))
            told.append(answers(learner, batch))
        agree(told[0], told[1], f"answers follow the labels that loss was given, {protocol}")


def _relabelled(batch: Batch, shift: int) -> Batch:
    """The same inputs with every query's label (of a probe: every bit) another one."""
    if isinstance(batch, Episodes):
        return dataclasses.replace(batch, query_y=(batch.query_y + shift) % batch.ways)
    if isinstance(batch, Stream):
        return dataclasses.replace(batch, y=(batch.y + shift) % batch.ways)
    return dataclasses.replace(batch, target=(batch.target - shift).abs())


@check(
    "Use no statistics over the queries (batch normalisation in train mode is one); or state "
    "`transductive = True`, which is shown beside every result."
)
def query_independence(subject: Subject) -> None:
    """A query is answered alike alone and among others; what looks at them together is
    transductive, which is an advantage that has to be stated."""
    learner, batch = subject.kshot()
    if learner.transductive:
        raise NotApplicableError("it states that it is transductive")
    together = answers(learner, batch)
    for q in range(together.shape[1]):
        one = dataclasses.replace(batch, query_x=batch.query_x[:, q : q + 1])
        alone = answers(learner, one)[:, 0]
        agree(together[:, q], alone, "a query is answered otherwise when it is the only one")


@check(
    "Reduce over no batch dimension: not in a normalisation, not in the inner loop's gradients "
    "(sum the losses of episodes, do not average), not in the state."
)
def episode_independence(subject: Subject) -> None:
    """An episode is answered alike alone and among others: how many are handled together is the
    harness's choice."""
    for protocol, learner, batch in subject.views():
        together = answers(learner, batch)
        for b in range(len(together)):
            alone = answers(learner, _rows(batch, slice(b, b + 1)))[0]
            agree(together[b], alone, f"an episode is answered otherwise alone, {protocol}")


def _rows(batch: Any, rows: slice | Tensor) -> Any:
    """Some of the episodes of a batch."""
    values = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return type(batch)(
        **{name: v[rows] if isinstance(v, Tensor) else v for name, v in values.items()}
    )


@check(
    "Shift the labels by one step before they meet the inputs, and mask attention and convolutions "
    "so that step t sees the steps before it; a cumulative sum includes its own step "
    "(bench.nn.sum_before does not)."
)
def causality(subject: Subject) -> str | None:
    """In the online view and in memory probes no answer depends on its own label or on anything
    later: for each step, all that comes after its answer is replaced."""
    weakest = float("inf")
    for _, learner, batch in subject.views():
        if isinstance(batch, Episodes):
            continue
        # Row t of each batch below is one sequence, of which all is replaced after the answer t.
        steps = torch.arange(batch.x.shape[1])
        one = _rows(batch, torch.zeros_like(steps))
        told = answers(learner, one)
        later = steps > steps[:, None]  # (T, T), row t: what comes after step t
        for what, changed in _later_replaced(one, later):
            after = answers(learner, changed)
            before_t = ~later
            agree(told[before_t], after[before_t], f"an answer depends on {what}", ROUNDING)
            apart, scale = difference(told, after)
            weakest = min(weakest, apart / scale)
    if weakest == float("inf"):
        raise NotApplicableError("it has neither an online view nor memory probes")
    if weakest < 10 * ROUNDING:
        raise NotApplicableError("nothing that is replaced changes an answer, not even a later one")
    return None


def _later_replaced(one: Stream | Sequences, later: Tensor) -> list[tuple[str, Stream | Sequences]]:
    random = torch.Generator().manual_seed(5)
    x = one.x.where(~later.view(*later.shape, *[1] * (one.x.dim() - 2)), 1 - one.x)
    changed: list[tuple[str, Stream | Sequences]] = [
        ("an input that comes later", dataclasses.replace(one, x=x))
    ]
    if isinstance(one, Stream):
        # Other labels all along, by other shifts: equal labels must not stay equal.
        shift = torch.randint(1, one.ways, one.y.shape, generator=random)
        unknown = later | torch.eye(len(later), dtype=torch.bool)  # the step's own label, too
        y = one.y.where(~unknown, (one.y + shift) % one.ways)
        changed.append(("its own label or a later one", dataclasses.replace(one, y=y)))
    return changed


@check(
    "Look for the label of a step on its way into the answer of that step: in `unroll`, in the "
    "order of the support set, in attention without a mask."
)
def first_presentation(subject: Subject) -> str:
    """Online, the first presentation of a class is not answered better than guessing among the
    labels not yet seen allows: more is a leak."""
    (learner, _), task = subject.online(), tiny_task("online")
    stream = draw(task, STREAMS, seed=6)
    assert isinstance(stream, Stream)
    told = answers(learner, stream).argmax(-1) == stream.y  # (B, T)
    same = stream.y[:, :, None] == stream.y[:, None]  # (B, T, T)
    first = ~same.tril(-1).any(2)  # (B, T), no earlier step has its label
    accuracy = (told & first).sum(1) / task.ways  # (B,)
    ceiling = first_presentation_ceiling(task.ways)
    seen = f"{accuracy.mean():.1%} at the first presentation; the ceiling is {ceiling:.1%}"
    if exceeds(accuracy.numpy(), ceiling) < LEAK:
        raise FailedError(seen)
    return seen
