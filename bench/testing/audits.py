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

from bench.api import Episodes, Learner, Protocol, Stream
from bench.testing import laws, leaks
from bench.testing.check import Check, CheckResult, NotApplicableError
from bench.testing.subject import Examined, answers, difference
from bench.testing.tasks import Batch

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
        learner: its class.
        build: makes a new learner with the trained weights.
        episodes: some to answer; two or more.
        others: as many others.
        given: a batch as `Learner.loss` is given it.
    """

    most = 5

    def __init__(
        self,
        learner: type[Learner],
        build: Callable[[], Learner],
        episodes: Batch,
        others: Batch,
        given: Batch,
    ) -> None:
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
        (protocol,) = self.protocols
        batch: Any = self._episodes
        name = "support_x" if protocol == "kshot" else "x"
        x: Tensor = getattr(batch, name)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(7)).to(x.device)
        moved = dataclasses.replace(batch, **{name: x * (1 + 1e-5 * noise)})
        told, after = (answers(self.fresh(protocol), one) for one in (batch, moved))
        apart, scale = difference(told, after)
        return apart / scale

    @property
    def protocols(self) -> list[Protocol]:
        """The one that it was trained for: its weights are measured in no other."""
        if isinstance(self._episodes, Episodes):
            return ["kshot"]
        return ["online" if isinstance(self._episodes, Stream) else "sequence"]

    def fresh(self, protocol: Protocol) -> Learner:
        """See `Examined.fresh`."""
        return self._build().eval()

    def episodes(self, protocol: Protocol) -> Batch:
        """See `Examined.episodes`."""
        return self._episodes

    def others(self, protocol: Protocol) -> Batch:
        """See `Examined.others`."""
        return self._others

    def given(self, protocol: Protocol) -> Batch:
        """See `Examined.given`."""
        return self._given

    def many_streams(self) -> Stream:
        """See `Examined.many_streams`."""
        return self.online()[1]

    def kshot(self) -> tuple[Learner, Episodes]:
        """See `Examined.kshot`."""
        self._trained_for("kshot")
        return super().kshot()

    def online(self) -> tuple[Learner, Stream]:
        """See `Examined.online`."""
        self._trained_for("online")
        return super().online()

    def support(self) -> tuple[Learner, Episodes]:
        """See `Examined.support`. The first half of a stream is one, the second asks."""
        stream = self._episodes
        if not isinstance(stream, Stream) or "kshot" not in self.learner.protocols:
            return self.kshot()
        half = stream.y.shape[1] // 2
        first, second = slice(half), slice(half, None)
        return self.fresh("kshot"), Episodes(
            stream.ways,
            stream.x[:, first],
            stream.y[:, first],
            stream.x[:, second],
            stream.y[:, second],
        )

    def _trained_for(self, protocol: Protocol) -> None:
        if protocol not in self.protocols:
            words = {"kshot": "k-shot", "online": "online", "sequence": "for a memory probe"}
            raise NotApplicableError(f"it was trained {words[self.protocols[0]]}")


def audit(trained: Trained) -> list[CheckResult]:
    """What each of `AUDITS` finds. Whatever the learner raises is a failure of that audit."""
    return [check(trained) for check in AUDITS]
