"""What a learner is that reads an episode step by step.

Letters in shapes: see `bench.api`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.api.learner import Learner, State, map_tensors
from bench.api.tasks import Episodes, Protocol, Sequences, Stream


class SequenceLearner(Learner):
    """A learner with a memory that is fed step by step: `initial_state` and `step` are written.

    At step t it receives the encoding of ``x_t`` and the label of ``t - 1`` (Santoro et al. 2016,
    Section 2.2). All views follow: `adapt` feeds the support set and keeps the last label
    *pending*, which the step of each query consumes; every query is answered from its own copy of
    the state. In a memory probe there are no labels (L = 0), and a step answers with E bits.
    """

    protocols: ClassVar[tuple[Protocol, ...]] = ("kshot", "online", "sequence")

    @property
    def label_size(self) -> int:
        """Width L of an encoded label: one-hot, or 0 in a memory probe."""
        return 0 if self.task.protocol == "sequence" else self.task.ways

    def encode(self, x: Tensor) -> Tensor:
        """All that does not depend on the recurrence, for all steps at once: (B, T, D)."""
        return x.flatten(2)

    def label(self, y: Tensor) -> Tensor:
        """Encodes labels (B, T) as (B, T, L). All zeros mean "no label". Default: one-hot."""
        return F.one_hot(y, self.task.ways).float()

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step; nothing of an earlier episode may be left in it."""
        raise NotImplementedError

    def begin(self, first_x: Tensor) -> State:
        """The state before the first step of episodes whose first inputs are ``first_x``.

        Default: `initial_state`. A learner that draws something per episode derives it from the
        first input, so that an episode is answered alike in any batch and in both views.

        Args:
            first_x: (B, *input_shape).
        """
        return self.initial_state(len(first_x))

    @abstractmethod
    def step(self, state: State, z: Tensor, label: Tensor) -> tuple[Tensor, State]:
        """One time step.

        Args:
            state: the state after the step before.
            z: (B, D), this step's encoding.
            label: (B, L), the label of the step before.

        Returns:
            Logits (B, task.answer_size), and the new state.
        """
        raise NotImplementedError

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Feeds the support set in its order; the last label stays pending."""
        self.check_ways(ways)
        z, label = self.encode(support_x), self.label(support_y)  # (B, S, D), (B, S, L)
        state = self.begin(support_x[:, 0])
        previous = torch.zeros_like(label[:, 0])
        for z_t, label_t in zip(z.unbind(1), label.unbind(1), strict=True):
            _, state = self.step(state, z_t, previous)
            previous = label_t
        return {"memory": state, "pending": previous, "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """One step per query, each from its own copy of the state."""
        batch, queries = query_x.shape[:2]
        z = self.encode(query_x).flatten(0, 1)  # (BQ, D)
        copies = map_tensors(lambda tensor: tensor.repeat_interleave(queries, dim=0), state)
        logits, _ = self.step(copies["memory"], z, copies["pending"])
        return logits.unflatten(0, (batch, queries))[..., : state["ways"]]

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """One pass over the stream."""
        self.check_ways(ways)
        return self._steps(x, previous_labels(self.label(y)))[..., :ways]

    def respond(self, x: Tensor) -> Tensor:
        """Memory probes: what it answers at every step.

        Args:
            x: (B, T, D).

        Returns:
            Logits (B, T, E), one per bit.
        """
        return self._steps(x, x.new_zeros(*x.shape[:2], 0))

    def weightings(self, x: Tensor) -> dict[str, Tensor]:
        """Memory probes: where in the memory each head was, for a picture in the report.

        Args:
            x: (B, T, D).

        Returns:
            By the head's name its weights (B, T, rows) in [0, 1]. Default: nothing to show.
        """
        return {}

    def loss(self, batch: Episodes | Stream | Sequences) -> Tensor:
        """Cross-entropy: of the queries, of every step of a stream, of every bit of a probe."""
        if not isinstance(batch, Sequences):
            return super().loss(batch)
        logits = self.respond(batch.x).float()
        bits = F.binary_cross_entropy_with_logits(logits, batch.target, reduction="none").mean(-1)
        return (bits * batch.mask).sum() / batch.mask.sum()

    def _steps(self, x: Tensor, labels: Tensor) -> Tensor:
        """Feeds x (B, T, *input_shape), each step with its label (B, T, L); all logits."""
        z, state = self.encode(x), self.begin(x[:, 0])
        logits = []
        # `unbind`, because the gradient of ``z[:, t]`` would fill a whole z with zeros at every t.
        for z_t, label_t in zip(z.unbind(1), labels.unbind(1), strict=True):
            output, state = self.step(state, z_t, label_t)
            logits.append(output)
        return torch.stack(logits, dim=1)  # (B, T, answer_size)


def previous_labels(label: Tensor) -> Tensor:
    """Each step's label moved to the step after it, zeros at the first: (B, T, L)."""
    return torch.cat([torch.zeros_like(label[:, :1]), label[:, :-1]], dim=1)
