"""Audits: those checks that say something of weights, repeated on what a meta-training has made.

At initialisation a learner may keep every promise that its trained weights break: attention that
nobody masked, a gate that opens with training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bench.api import Episodes, Learner, Stream
from bench.protocols.base import Protocol
from bench.testing import laws, leaks
from bench.testing.answering import answers, difference
from bench.testing.check import Check, CheckResult, NotApplicableError
from bench.testing.subject import Examined, View

AUDITS: tuple[Check[Examined], ...] = (
    leaks.query_labels,
    leaks.query_independence,
    leaks.episode_independence,
    leaks.causality,
    leaks.first_presentation,
    laws.two_views,
    laws.state_reset,
    laws.support_order,
    laws.label_order,
)
"""In the order of a report's columns."""


class Trained(Examined):
    """A learner as its meta-training left it, in the view that it was trained for.

    Args:
        within: the protocol that it was trained for.
        learner: its class.
        build: makes a new learner with the trained weights.
        episodes: some to answer; two or more.
        others: as many others.
        given: a batch as `Learner.loss` is given it.
    """

    most = 5

    def __init__(
        self,
        within: Protocol[Any, Any],
        learner: type[Learner],
        build: Callable[[], Learner],
        episodes: Any,
        others: Any,
        given: Any,
    ) -> None:
        self._within = within
        self.learner = learner
        self._build = build
        self._episodes, self._others, self._given = episodes, others, given

    @property
    def tolerance(self) -> float:
        """See `Examined.tolerance`. An inner loop multiplies rounding: 1e-3, or three times what a
        change of the inputs in the fifth digit does (50 steps of Adam: 1e-2)."""
        return max(1e-3, 3 * self._sensitivity)

    @cached_property
    def _sensitivity(self) -> float:
        batch: Any = self._episodes
        if not self._within.inputs:
            return 0.0
        name = self._within.inputs[0]
        x: Tensor = getattr(batch, name)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(7)).to(x.device)
        moved = dataclasses.replace(batch, **{name: x * (1 + 1e-5 * noise)})
        told, after = (
            answers(self._within, self.fresh(self._within), one) for one in (batch, moved)
        )
        apart, scale = difference(told, after)
        return apart / scale

    @property
    def protocols(self) -> list[Protocol[Any, Any]]:
        """The one that it was trained for: its weights are measured in no other."""
        return [self._within]

    def fresh(self, within: Protocol[Any, Any]) -> Learner:
        """See `Examined.fresh`."""
        return self._build().eval()

    def episodes(self, within: Protocol[Any, Any]) -> Any:
        """See `Examined.episodes`."""
        return self._episodes

    def others(self, within: Protocol[Any, Any]) -> Any:
        """See `Examined.others`."""
        return self._others

    def given(self, within: Protocol[Any, Any]) -> Any:
        """See `Examined.given`."""
        return self._given

    def asked(self, view: str) -> list[View]:
        """See `Examined.asked`; what it was not trained for is not applicable."""
        seen = super().asked(view)
        if not seen:
            raise NotApplicableError(f"it was trained {self._within.trained_for}")
        return seen

    def many_streams(self) -> Stream:
        """See `Examined.many_streams`."""
        return self.streams()[0][1]

    def support(self) -> list[tuple[Learner, Episodes]]:
        """See `Examined.support`. The first half of a stream is one, the second asks."""
        episodes = self._within.support(self.learner, self._episodes)
        if episodes is None:
            return self.conditioned()
        return [(self.fresh(self._within), episodes)]


def audit(trained: Trained) -> list[CheckResult]:
    """What each of `AUDITS` finds. Whatever the learner raises is a failure of that audit."""
    return [check(trained) for check in AUDITS]
