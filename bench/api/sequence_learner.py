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
from bench.api.numbers import Answered, Normal
from bench.api.tasks import Episodes, Protocol, Sequences, Stream


class SequenceLearner(Learner):
    """A learner with a memory that is fed step by step: `initial_state` and `step` are written.

    When the label of an example is told is decided by `offset_labels`, and all views follow from it
    and from `step`:

    * **With an offset** (Santoro et al. 2016, Section 2.2) the label of an example comes with the
      next one: step t receives the encoding of ``x_t`` and the label of ``t - 1``. `adapt` feeds
      the support set so and keeps its last label *pending*; the step of each query consumes it.
    * **Without** an example that is remembered comes with its own label, and one that is asked for
      with none, which is all zeros. Online every example is asked for first and told then.

    In both forms every query is answered from its own copy of the state, and `unroll` answers what
    `adapt` and `predict` answer after the same examples. In a memory probe there are no labels
    (L = 0), and a step answers with E bits. In regression the label of an example is its numbers
    and a 1, which no label has; a step answers with 2 E outputs, which `Normal.read` understands.
    """

    protocols: ClassVar[tuple[Protocol, ...]] = ("kshot", "online", "sequence")

    @property
    def offset_labels(self) -> bool:
        """Whether a label comes with the example after its own.

        Default: online only. Its protocol says so, and a k-shot support set has pairs.
        """
        return self.task.protocol not in {"kshot", "regression"}

    @property
    def label_size(self) -> int:
        """Width L of an encoded label: one-hot; 0 in a memory probe; in regression E + 1."""
        if self.task.regression:
            return self.task.outputs + 1
        return 0 if self.task.protocol == "sequence" else self.task.ways

    @property
    def output_size(self) -> int:
        """Outputs of a step: one per class or bit; in regression two per number, a mean and what
        makes a standard deviation (`bench.api.Normal.read`)."""
        return 2 * self.task.outputs if self.task.regression else self.task.answer_size

    def encode(self, x: Tensor) -> Tensor:
        """All that does not depend on the recurrence, for all steps at once: (B, T, D)."""
        return x.flatten(2)

    def label(self, y: Tensor) -> Tensor:
        """Encodes labels (B, T) as (B, T, L). All zeros mean "no label". Default: one-hot; of
        numbers (B, T, E) these and a 1."""
        if self.task.regression:
            return F.pad(y, (0, 1), value=1.0)
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
            label: (B, L), what is told at this step: its own label, the one of the step before, or
                none, which is all zeros; see `offset_labels`.

        Returns:
            Logits (B, output_size), and the new state.
        """
        raise NotImplementedError

    def feed(self, state: State, z: Tensor, labels: Tensor) -> tuple[Tensor, State]:
        """Many steps one after the other. To be overridden where one call can do them.

        Args:
            state: the state before the first of them.
            z: (B, T, D), their encodings.
            labels: (B, T, L), what is told at each.

        Returns:
            Logits (B, T, output_size), and the state after the last step.
        """
        logits = []
        # `unbind`, because the gradient of ``z[:, t]`` would fill a whole z with zeros at every t.
        for z_t, label_t in zip(z.unbind(1), labels.unbind(1), strict=True):
            output, state = self.step(state, z_t, label_t)
            logits.append(output)
        return torch.stack(logits, dim=1), state

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Feeds the support set in its order."""
        return self.remember(support_x, self.encode(support_x), support_y, ways)

    def predict(self, state: State, query_x: Tensor) -> Answered:
        """One step per query, each from its own copy of the state."""
        return self.answer(state, self.encode(query_x))

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Answered:
        """One pass over the stream."""
        self.check_ways(ways)
        z, label, state = self.encode(x), self.label(y), self.begin(x[:, 0])
        if self.offset_labels:
            return self._said(self.feed(state, z, previous_labels(label))[0], ways)
        logits = []
        for z_t, label_t in zip(z.unbind(1), label.unbind(1), strict=True):
            logits.append(self.step(state, z_t, torch.zeros_like(label_t))[0])  # asked of a copy
            _, state = self.step(state, z_t, label_t)  # and told
        return self._said(torch.stack(logits, dim=1), ways)  # (B, T, N)

    def respond(self, x: Tensor) -> Tensor:
        """Memory probes: what it answers at every step.

        Args:
            x: (B, T, D).

        Returns:
            Logits (B, T, E), one per bit.
        """
        return self.feed(self.begin(x[:, 0]), self.encode(x), x.new_zeros(*x.shape[:2], 0))[0]

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

    def remember(self, x: Tensor, z: Tensor, y: Tensor, ways: int) -> State:
        """The state after a support set with encodings z (B, S, D) and labels y (B, S)."""
        self.check_ways(ways)
        label, state = self.label(y), self.begin(x[:, 0])  # (B, S, L)
        told = previous_labels(label) if self.offset_labels else label
        _, memory = self.feed(state, z, told)
        pending = label[:, -1] if self.offset_labels else torch.zeros_like(label[:, -1])
        return {"memory": memory, "pending": pending, "ways": ways}

    def answer(self, state: State, z: Tensor) -> Answered:
        """Answers (B, Q, N) to queries with encodings z (B, Q, D)."""
        queries = z.shape[1]
        copies = map_tensors(lambda tensor: tensor.repeat_interleave(queries, dim=0), state)
        logits, _ = self.step(copies["memory"], z.flatten(0, 1), copies["pending"])
        return self._said(logits.unflatten(0, (-1, queries)), state["ways"])

    def _said(self, outputs: Tensor, ways: int) -> Answered:
        """What outputs (B, Q or T, output_size) say: logits of so many ways, or numbers."""
        return Normal.read(outputs) if self.task.regression else outputs[..., :ways]


def previous_labels(label: Tensor) -> Tensor:
    """Each step's label moved to the step after it, zeros at the first: (B, T, L)."""
    return torch.cat([torch.zeros_like(label[:, :1]), label[:, :-1]], dim=1)
