"""Checks of what an answer must not know: query labels, other queries, other episodes, what comes
later."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor

from bench.api import Episodes, Learner
from bench.statistics.intervals import LEAK_P, first_presentation_ceiling, first_presentation_p
from bench.testing.answering import (
    agree,
    answers,
    changed_share,
    difference,
    loss_of,
    of_numbers,
    predicted,
    spread,
    unrolled,
)
from bench.testing.check import FailedError, NotApplicableError, Seen, check
from bench.testing.subject import Examined

ROUNDING = 0.1
"""Of the tolerance, where the same operations are done on other data."""


@check("Keep nothing of a batch in `loss`: what it learns goes through parameters and buffers.")
def query_labels(subject: Examined) -> None:
    """Answers do not depend on labels that `loss` was given before: it is the only method that
    receives query labels, and they are for training."""
    subject.needs_training()
    looked_at = False
    for protocol in subject.protocols:
        batch = subject.given(protocol)
        relabelled = [protocol.relabelled(batch, shift) for shift in (0, 1)]
        if relabelled[0] is None:
            continue
        looked_at = True
        told: list[Tensor] = []
        for given in relabelled:
            learner = subject.fresh(protocol)
            weights = copy.deepcopy(learner.state_dict())
            for training in (True, False):
                learner.load_state_dict(weights)  # running statistics may hang on labels
                torch.manual_seed(0)
                loss_of(learner.train(training), given)
            told.append(answers(protocol, learner, batch))
        what = f"answers follow the labels that loss was given, {protocol}"
        agree(told[0], told[1], what, subject.tolerance)
    if not looked_at:
        raise NotApplicableError("its protocols do not say what other right answers would be")


@check(
    "Use no statistics over the queries (batch normalisation in train mode is one); or state "
    "`transductive = True`, which is shown beside every result."
)
def query_independence(subject: Examined) -> Seen:
    """A query is answered alike alone and among others; what looks at them together is
    transductive, which is an advantage that has to be stated."""
    seen = [_asked_alone(subject, *view) for view in subject.conditioned()]
    return seen[0]


def _asked_alone(subject: Examined, learner: Learner, batch: Episodes) -> Seen:
    """What a view's queries are answered alone."""
    together = predicted(learner, batch)
    queries = spread(0, together.shape[1], subject.most)
    alone = [
        predicted(
            learner,
            dataclasses.replace(
                batch, query_x=batch.query_x[:, q : q + 1], query_y=batch.query_y[:, q : q + 1]
            ),
        )[:, 0]
        for q in queries
    ]
    together, others = together[:, queries], torch.stack(alone, dim=1)  # (B, Q, N)
    share = changed_share(together, others, of_numbers(batch))
    seen = f"{share:.1%} of the queries get another answer when they are alone"
    if learner.transductive:
        raise NotApplicableError(f"it states that it is transductive; {seen}", share)
    what = f"a query is answered otherwise when it is the only one; {seen}"
    agree(together, others, what, subject.tolerance, share)
    return Seen(seen, share)


@check(
    "Reduce over no batch dimension: not in a normalisation, not in the inner loop's gradients "
    "(sum the losses of episodes, do not average), not in the state."
)
def episode_independence(subject: Examined) -> None:
    """An episode is answered alike alone and among others: how many are handled together is the
    harness's choice."""
    for protocol, learner, batch in subject.views():
        together = answers(protocol, learner, batch)
        for b in range(len(together)):
            alone = answers(protocol, learner, _rows(batch, slice(b, b + 1)))[0]
            what = f"an episode is answered otherwise alone, {protocol}"
            agree(together[b], alone, what, subject.tolerance)


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
def causality(subject: Examined) -> None:
    """In the online view and in memory probes no answer depends on its own label or on anything
    later: for each step, all that comes after its answer is replaced."""
    weakest, rounding = float("inf"), ROUNDING * subject.tolerance
    for protocol, learner, batch in subject.views():
        if not protocol.in_time:
            continue
        # A row of each batch below is one sequence, of which all is replaced after the answer t.
        steps = torch.arange(batch.x.shape[1], device=batch.x.device)
        last = steps[spread(0, len(steps), subject.most), None]  # (R, 1) t
        one = _rows(batch, torch.zeros_like(last[:, 0]))
        told = answers(protocol, learner, one)  # (R, T, N)
        for what, changed in _later_replaced(one, protocol.revealed, steps > last, steps == last):
            after = answers(protocol, learner, changed)
            kept = steps <= last
            agree(told[kept], after[kept], f"an answer depends on {what}", rounding)
            apart, scale = difference(told, after)
            weakest = min(weakest, apart / scale)
    if weakest == float("inf"):
        raise NotApplicableError("these are episodes in which nothing comes later")
    if weakest < 10 * rounding:
        raise NotApplicableError("nothing that is replaced changes an answer, not even a later one")


def _later_replaced(
    one: Any, revealed: tuple[str, ...], later: Tensor, own: Tensor
) -> list[tuple[str, Any]]:
    """What comes later (R, T) replaced: the inputs, and the labels with the step's own."""
    random = torch.Generator().manual_seed(5)
    x = one.x.where(~later.view(*later.shape, *[1] * (one.x.dim() - 2)), 1 - one.x)
    changed = [("an input that comes later", dataclasses.replace(one, x=x))]
    for name in revealed:
        # Other labels all along, by other shifts: equal labels must not stay equal.
        y: Tensor = getattr(one, name)
        kept = ~(later | own).view(*later.shape, *[1] * (y.dim() - 2))
        if y.is_floating_point():
            y = y.where(kept, y + torch.randn(y.shape, generator=random).to(y))
        else:
            shift = torch.randint(1, one.ways, y.shape, generator=random).to(y.device)
            y = y.where(kept, (y + shift) % one.ways)
        changed.append(("its own label or a later one", dataclasses.replace(one, **{name: y})))
    return changed


@check(
    "Look for the label of a step on its way into the answer of that step: in `unroll`, in the "
    "order of the support set, in attention without a mask."
)
def first_presentation(subject: Examined) -> Seen:
    """Online, the first presentation of a class is not answered better than guessing among the
    labels not yet seen allows: more is a leak."""
    learner, stream = subject.class_streams(), subject.many_streams()
    told = unrolled(learner, stream).argmax(-1) == stream.y  # (B, T)
    same = stream.y[:, :, None] == stream.y[:, None]  # (B, T, T)
    first = ~same.tril(-1).any(2)  # (B, T), no earlier step has its label
    accuracy = (told & first).sum(1) / stream.ways  # (B,)
    mean, ceiling = accuracy.mean().item(), first_presentation_ceiling(stream.ways)
    seen = f"{mean:.1%} at the first presentation; the ceiling is {ceiling:.1%}"
    if first_presentation_p(accuracy.cpu().numpy(), stream.ways) < LEAK_P:
        raise FailedError(seen, mean)
    if first_presentation_p([1.0] * len(accuracy), stream.ways) >= LEAK_P:
        raise NotApplicableError(f"{seen}; {len(accuracy)} episodes are too few to find a leak by")
    return Seen(seen, mean)
