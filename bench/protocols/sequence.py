"""Memory probes (Graves et al. 2014): copy a sequence, recall by association.

Letters in shapes: ``B`` sequences, ``T`` time steps, ``D`` inputs and ``E`` bits of a step, ``Q``
bits that a sequence asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from torch import Tensor

from bench.api import Learner, SequenceLearner, Sequences, TaskSpec
from bench.data.probes import Probe
from bench.episodes.banks import Bank
from bench.episodes.words import Purpose
from bench.errors import BenchError
from bench.protocols.answers import Answer, ContractError, Summary, Timed, answer, interval
from bench.protocols.classification import Classification, Classified
from bench.protocols.settings import Keys, Setting
from bench.store.records import Measure

TINY_BITS = 6
"""Of a vector to copy, in the tiny task."""


class SequenceSetting(Setting):
    """Sequences of some length."""

    items: int = Field(ge=1)
    """Vectors to copy, items to recall."""


def _in_order(items: tuple[int, int]) -> tuple[int, int]:
    fewest, most = items
    if not 1 <= fewest <= most:
        raise ValueError(f"the fewest and the most items, got [{fewest}, {most}]")
    return items


class SequenceKeys(Keys):
    """What meta-training has, once for all settings."""

    training_items: Annotated[tuple[int, int], AfterValidator(_in_order)]
    """Fewest and most items in meta-training, one number per update."""


class Sequence(Classification[SequenceSetting, Sequences]):
    """The protocol of memory probes: every bit of an answer is a class."""

    name = "sequence"
    description = "memory probes: what a learner with a memory can keep, and for how long"
    setting = SequenceSetting
    keys = SequenceKeys
    source = Probe
    about = "memory probes"
    inputs_per_image = 8
    audit_room = 1600
    view = "respond"
    inputs = ("x",)
    in_time = True
    trained_for = "for a memory probe"

    def describe(self, setting: SequenceSetting) -> str:
        """Items."""
        return f"{setting.items} items"

    def describe_task(self, task: TaskSpec) -> str:
        """``1-20 items``."""
        fewest, most = task.item_range
        return f"{fewest}-{most} items"

    def describe_keys(self, keys: Any) -> dict[str, str]:
        """The range of meta-training."""
        fewest, most = keys.training_items
        return {"training": f"{fewest} to {most} items, one number per update"}

    # -- the data ---------------------------------------------------------------------------------

    def check_keys(self, keys: Any, pool: Probe) -> None:
        """See `Protocol.check_keys`."""
        try:
            check_items(pool, keys.training_items[0])
        except BenchError as error:
            raise BenchError(f"training_items: {error}") from error

    def check_setting(self, setting: SequenceSetting, train: Any, val: Any, test: Probe) -> None:
        """Raises a `BenchError` where fewer items are asked for than make sense."""
        check_items(test, setting.items)

    # -- tasks ------------------------------------------------------------------------------------

    def task(
        self, setting: SequenceSetting, train: Probe, test: Probe, episodes_per_update: int
    ) -> TaskSpec:
        """See `Protocol.task`."""
        return TaskSpec(
            input_shape=test.input_shape,
            ways=1,
            protocol=self.name,
            episodes_per_update=episodes_per_update,
            items=setting.items,
            outputs=test.outputs,
        )

    def shared(self, test: TaskSpec, keys: Any) -> TaskSpec:
        """One training for all settings."""
        return test.but(items=keys.training_items)

    def check_task(self, task: TaskSpec) -> None:
        """Raises a `ValueError` unless it has vectors, items and outputs."""
        if task.item_range[0] < 1 or task.outputs < 1 or len(task.input_shape) != 1:
            raise ValueError(f"a memory probe has vectors, items and outputs, got {task}")

    def examples(self, task: TaskSpec) -> int:
        """A sequence counts as one."""
        return 1

    def validation_task(self, task: TaskSpec, pool: Probe) -> TaskSpec:
        """The largest number of items."""
        return task.but(items=task.item_range[1])

    # -- answers ----------------------------------------------------------------------------------

    def ask(self, learner: Learner, batch: Sequences) -> Answer:
        """All steps; the learner sees the inputs only."""
        logits = cast(SequenceLearner, learner).respond(batch.x)
        return Answer("respond", logits, tuple(batch.target.shape), "(probes, steps, bits)")

    def mark(self, logits: Tensor, batch: Sequences) -> dict[str, Tensor]:
        """Each bit that is due is right or wrong; an undecided one is a zero."""
        # Probes of one batch ask for equally many bits: (B, T, E) to (B, Q).
        due, count = batch.mask.bool(), len(batch.mask)
        logits, bits = (tensor[due].view(count, -1) for tensor in (logits, batch.target))
        return {
            "nll": F.binary_cross_entropy_with_logits(logits, bits, reduction="none"),
            "confidence": logits.abs().sigmoid(),
            "correct": (logits > 0) == bits.bool(),
        }

    def scores(self, marks: Mapping[str, Tensor], task: TaskSpec) -> Classified:
        """Those of all bits, and how many are wrong."""
        scores = super().scores(marks, task)
        return replace(scores, values={**scores.values, "bit_errors": scores.errors})

    def summarise(self, scores: Classified, task: TaskSpec) -> Summary:
        """Also the wrong bits of a sequence, and how many it asks for."""
        summary = super().summarise(scores, task)
        metrics = {**summary.metrics, "bit_errors": interval(scores.errors)}
        fields = {**summary.fields, "bits": scores.correct.shape[1]}
        return Summary(metrics, fields, summary.warnings)

    @torch.no_grad()
    def picture(self, learner: Learner, bank: Bank) -> dict[str, NDArray[np.float32]] | None:
        """How it answers the first sequence, and where in its memory it reads and writes meanwhile.

        Returns:
            ``x`` (T, D), ``target`` (T, E), ``answer`` (T, E) probabilities, ``mask`` (T,), and as
            ``head <name>`` each head of `SequenceLearner.weightings` (T, M).
        """
        batch = cast(Sequences, next(bank.first(1).batches(1)))
        shown = cast(SequenceLearner, learner).weightings(batch.x)
        if not shown:
            return None
        answered = answer(self, learner, batch).sigmoid()
        arrays = {"x": batch.x, "target": batch.target, "answer": answered, "mask": batch.mask}
        for name, weights in shown.items():
            if weights.dim() != 3 or weights.shape[:2] != batch.mask.shape:
                raise ContractError(
                    f"weightings returned {name!r} of shape {tuple(weights.shape)}; expected "
                    f"(probes, steps, rows) = {(*batch.mask.shape, '...')}"
                )
            arrays[f"head {name}"] = weights
        return {name: tensor[0].float().cpu().numpy() for name, tensor in arrays.items()}

    def chance(self, task: TaskSpec) -> float:
        """A bit is one of two."""
        return 1 / 2

    def at(self, task: TaskSpec) -> str:
        """Accuracy is of bits."""
        return f"of the bits at {task.items} items"

    def measure(self, task: TaskSpec | None, pool: Probe) -> Measure:
        """Wrong bits of a sequence; a learner that guesses has half of them wrong."""
        chance = None
        if task is not None:
            batch = pool.build(task, pool.draw(task, 1, 0, Purpose.TEST))
            chance = int(batch.mask.sum()) * task.outputs / 2
        return Measure(
            metric="bit_errors",
            heading="wrong bits",
            higher_is_better=False,
            unit="count",
            chance=chance,
            perfect=0.0,
        )

    # -- cost -------------------------------------------------------------------------------------

    def timed(self, learner: Learner, batch: Sequences) -> Iterator[tuple[str, Timed]]:
        """A step of `respond`."""
        respond = cast(SequenceLearner, learner).respond
        yield "step", Timed(lambda: respond(batch.x), per=batch.x.shape[1])

    # -- audits and checks ------------------------------------------------------------------------

    def audit_task(
        self, task: TaskSpec, pool: Probe, learner: type[Learner]
    ) -> tuple[TaskSpec, int]:
        """The training's, of a range of items the middle; it is small."""
        return task, pool.inputs(task)

    def relabelled(self, batch: Sequences, shift: int) -> Sequences:
        """Every bit another one."""
        return replace(batch, target=(batch.target - shift).abs())

    def tiny_task(self, ways: int = 5) -> TaskSpec:
        """Three vectors to copy."""
        return TaskSpec(
            (TINY_BITS + 1,), 1, protocol=self.name, items=3, outputs=TINY_BITS,
            episodes_per_update=8,
        )  # fmt: skip

    def tiny_batch(self, task: TaskSpec, episodes: int, seed: int, training: bool) -> Sequences:
        """Vectors, a mark, and as many steps at which to say them again."""
        random, items = torch.Generator().manual_seed(seed), task.item_range[0]
        vectors = torch.rand(episodes, items, TINY_BITS, generator=random).round()
        x = torch.zeros(episodes, 2 * items + 1, TINY_BITS + 1)
        x[:, :items, :TINY_BITS] = vectors
        x[:, items, TINY_BITS] = 1
        target, mask = torch.zeros(*x.shape[:2], TINY_BITS), torch.zeros(x.shape[:2])
        target[:, items + 1 :] = vectors
        mask[:, items + 1 :] = 1
        return Sequences(x, target, mask)

    def other_sizes(self) -> list[tuple[TaskSpec, int]]:
        """Fewer and more items and sequences."""
        return [(self.tiny_task().but(items=items), count) for items, count in ((1, 1), (5, 4))]


def check_items(probe: Probe, items: int) -> None:
    """Raises a `BenchError` where the probe makes no sense with so few items."""
    if items < probe.fewest:
        raise BenchError(f"{probe.name} needs {probe.fewest} items or more, got {items}")
