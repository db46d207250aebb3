"""Checks of equivalences: the two views, and what must make no difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.api import Episodes, Learner
from bench.errors import BenchError
from bench.protocols.base import Protocol
from bench.store.tensors import readable
from bench.testing.answering import (
    agree,
    answers,
    as_tensor,
    changed_share,
    difference,
    of_numbers,
    predicted,
    spread,
    unrolled,
)
from bench.testing.check import FailedError, NotApplicableError, Seen, check
from bench.testing.subject import UPDATES, Examined, Subject, train


@check(
    "Compare `unroll` with the default of bench.api.Learner, which conditions on every prefix: "
    "where they differ, the mask, the shift of the labels or a class without support is at fault."
)
def two_views(subject: Examined) -> None:
    """unroll(x, y)[:, t] equals predict(adapt(x[:, :t], y[:, :t]), x[:, t]) for t >= 1: both
    protocols measure one learner."""
    for learner, stream in subject.streamed():
        online = unrolled(learner, stream)
        for t in spread(1, stream.y.shape[1], subject.most):
            now = slice(t, t + 1)
            prefix = Episodes(
                stream.ways, stream.x[:, :t], stream.y[:, :t], stream.x[:, now], stream.y[:, now]
            )
            alone = predicted(learner, prefix)[:, 0]
            what = f"after {t} examples unroll and adapt with predict differ"
            what += f", trained {learner.task.protocol}"
            agree(online[:, t], alone, what, subject.tolerance)


@check(
    "Begin every episode from scratch in `adapt` (`initial_state`), and put all that `predict` "
    "needs into the state; assign nothing to `self`."
)
def state_reset(subject: Examined) -> None:
    """Nothing of an episode is left for the next one: the same episodes are answered alike before
    and after others, also from a state that was made before them."""
    for protocol, learner, batch in subject.views():
        others = subject.others(protocol)
        first = answers(protocol, learner, batch)
        answers(protocol, learner, others)
        again, what = (
            answers(protocol, learner, batch),
            f"other episodes before it count, {protocol}",
        )
        agree(first, again, what, subject.tolerance)
        if protocol.view == "predict":
            with torch.no_grad():
                torch.manual_seed(0)
                made = learner.adapt(batch.support_x, batch.support_y, batch.ways)
                answers(protocol, learner, others)
                late = as_tensor(learner.predict(made, batch.query_x))
            what = "a state gives other answers once another one was made"
            agree(first, late, what, subject.tolerance)


@check(
    "Draw with torch's generators only (they are seeded before each batch), and assign no weight "
    "by the order of a set."
)
def determinism(subject: Subject) -> None:
    """The same seed gives the same initial weights, the same first updates and the same answers: a
    resumed training equals an undisturbed one."""
    for protocol in subject.protocols:
        twins = [subject.build(protocol, seed=3) for _ in range(2)]
        states = [twin.state_dict() for twin in twins]
        other = [name for name in states[0] if not same(states[0][name], states[1][name])]
        if other:
            raise FailedError(f"initial weights differ under one seed: {', '.join(other)}")
        if subject.learner.trained:
            first, second = (torch.tensor(list(train(twin, 3))) for twin in twins)
            agree(first, second, f"losses of the first updates differ under one seed, {protocol}")
        told = [answers(protocol, twin, subject.episodes(protocol)) for twin in (*twins, twins[0])]
        agree(told[0], told[1], f"answers differ under one seed, {protocol}")
        agree(told[0], told[2], f"a second time it answers otherwise, {protocol}")


def same(one: Any, other: Any) -> bool:
    """Whether two parts of a state are equal: tensors, and what modules keep in `get_extra_state`.
    What nobody has set yet may be NaN in both."""
    if type(one) is not type(other):
        return False
    match one:
        case torch.Tensor():
            alike = one.shape == other.shape and one.dtype == other.dtype
            return alike and bool(((one == other) | (one.isnan() & other.isnan())).all())
        case np.ndarray() | float():
            return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind in "fc")
        case dict():
            return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
        case list() | tuple():
            return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@check(
    "Keep all that is learned or drawn at construction in parameters and buffers "
    "(`register_buffer`), and tensors, arrays and plain values in the states of modules, optimizer "
    "and schedule."
)
def state_dict(subject: Subject) -> None:
    """Weights that were saved and loaded into a new learner answer as those that were trained: a
    test is another process than the training. What an interrupted training goes on from can be
    read back too."""
    for protocol in subject.protocols:
        weights = subject.weights(protocol)
        try:
            read = readable({"learner": weights.state, **_optimizer_state(subject, protocol)})
        except BenchError as error:
            raise FailedError(str(error)) from error
        loaded = subject.build(protocol, seed=1)  # another seed: what is not stored is drawn anew
        loaded.load_state_dict(read["learner"])
        told = answers(protocol, loaded, subject.episodes(protocol))
        agree(weights.answers, told, f"after saving and loading it answers otherwise, {protocol}")


def _optimizer_state(subject: Subject, protocol: Protocol[Any, Any]) -> dict[str, Any]:
    """The states of the optimizer and its schedule after an update, by what they are."""
    if not subject.learner.trained:
        return {}
    learner = subject.build(protocol)
    made = learner.optimizer(UPDATES)
    list(train(learner, 1, made))
    both: tuple[Any, ...] = made if isinstance(made, tuple) else (made,)
    return {
        name: one.state_dict() for name, one in zip(("optimizer", "scheduler"), both, strict=False)
    }


@check("Aggregate the support set by sums, means or attention; or take `order_invariant` away.")
def support_order(subject: Examined) -> Seen:
    """Where a learner states `order_invariant = True`, the order of the support set makes no
    difference; of others it is reported whether it does."""
    views = subject.support()
    return _invariant(subject, views, "order_invariant", "the order of the support set", _reordered)


@check("Give every class the same initial weights; or take `label_equivariant` away.")
def label_order(subject: Examined) -> Seen:
    """Where a learner states `label_equivariant = True`, exchanging the labels of classes exchanges
    their logits and changes nothing else; of others it is reported whether it does."""
    views = [view for view in subject.support() if not of_numbers(view[1])]
    if not views:
        raise NotApplicableError("its answers are numbers")
    return _invariant(subject, views, "label_equivariant", "which label a class has", _relabelled)


def _invariant(
    subject: Examined,
    views: list[tuple[Learner, Episodes]],
    statement: str,
    what: str,
    change: Callable[[Episodes], tuple[Episodes, Tensor | None]],
) -> Seen:
    """What is stated holds in all views; what is not stated is reported, of the first in which it
    does not hold."""
    stated = getattr(subject.learner, statement, False)
    passed: list[Seen] = []
    for learner, batch in views:
        changed, back = change(batch)
        told, after = predicted(learner, batch), predicted(learner, changed)
        if back is not None:
            after = after.gather(2, back.to(told.device).expand_as(told))
        numbers = of_numbers(batch)
        (apart, scale), share = difference(told, after), changed_share(told, after, numbers)
        if apart <= subject.tolerance * scale:
            same = f"{what} makes no difference"
            passed.append(Seen(same if stated else f"{same}, and that is not stated", share))
            continue
        kind = "numbers" if numbers else "logits"
        seen = f"{what} moves {kind} of up to {scale:.2g} by {apart:.2g} and changes {share:.1%} of"
        seen += " the answers"
        if stated:
            raise FailedError(seen, share)
        raise NotApplicableError(f"{seen}; {statement} = True is not stated", share)
    return passed[0]


def _reordered(batch: Episodes) -> tuple[Episodes, None]:
    """The support set backwards; each answer is then where it was."""
    changed = dataclasses.replace(
        batch, support_x=batch.support_x.flip(1), support_y=batch.support_y.flip(1)
    )
    return changed, None


def _relabelled(batch: Episodes) -> tuple[Episodes, Tensor]:
    """Every label one higher, the last one 0, and where each logit is then."""
    support_y = (batch.support_y + 1) % batch.ways
    changed = dataclasses.replace(batch, support_y=support_y)
    return changed, (torch.arange(batch.ways) + 1) % batch.ways
