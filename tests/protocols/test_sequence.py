"""Memory probes as a protocol: bits, and what guessing gets of them."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from bench.api import Sequences, TaskSpec
from bench.data.probes import AssociativeRecall, Copy
from bench.errors import BenchError
from bench.protocols.sequence import Sequence, SequenceKeys, SequenceSetting

SEQUENCE = Sequence()


def task_of(probe, items: int) -> TaskSpec:
    return SEQUENCE.task(SequenceSetting(items=items), probe, probe, 8)


def test_the_task_of_a_setting_and_what_all_settings_train_on():
    task = task_of(Copy(), 4)
    assert (task.input_shape, task.items, task.outputs, task.answer_size) == ((10,), 4, 8, 8)
    keys = SequenceKeys(training_items=(1, 3))
    shared = {SEQUENCE.shared(task_of(Copy(), items), keys) for items in (2, 4)}
    assert [one.items for one in shared] == [(1, 3)]
    assert SEQUENCE.validation_task(*shared, Copy()).items == 3
    assert SEQUENCE.examples(task) == 1


@pytest.mark.parametrize("items", [(3, 1), (0, 2)])
def test_training_items_are_a_range(items):
    with pytest.raises(ValidationError, match="the fewest and the most items, got"):
        SequenceKeys(training_items=items)


def test_too_few_items_for_a_probe_are_told():
    with pytest.raises(BenchError, match="training_items: associative-recall needs 2 items or mor"):
        SEQUENCE.check_keys(SequenceKeys(training_items=(1, 3)), AssociativeRecall())
    with pytest.raises(BenchError, match="needs 2 items or more, got 1"):
        SEQUENCE.check_setting(SequenceSetting(items=1), None, None, AssociativeRecall())
    SEQUENCE.check_setting(SequenceSetting(items=1), None, None, Copy())


@pytest.mark.parametrize("change", [{"items": 0}, {"outputs": 0}, {"input_shape": (1, 4, 4)}])
def test_a_task_that_is_no_probe_is_refused(change):
    SEQUENCE.check_task(task_of(Copy(), 2))
    with pytest.raises(ValueError, match="vectors, items and outputs"):
        SEQUENCE.check_task(task_of(Copy(), 2).but(**change))


@pytest.mark.parametrize(
    ("probe", "items", "bits"), [(Copy(), 10, 80), (AssociativeRecall(), 6, 3 * 6)]
)
def test_half_of_the_bits_are_guessed(probe, items, bits):
    measure = SEQUENCE.measure(task_of(probe, items), probe)
    assert (measure.metric, measure.unit, measure.higher_is_better) == (
        "bit_errors",
        "count",
        False,
    )
    assert (measure.chance, measure.perfect) == (bits / 2, 0)


def test_bits_are_scored_where_they_are_due():
    mask = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    target = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    three = math.log(3)  # a probability of 3/4
    logits = torch.tensor([[[9.0, 9.0], [three, three]], [[9.0, 9.0], [-three, 0.0]]])
    batch = Sequences(torch.zeros(2, 2, 1), target, mask)
    scores = SEQUENCE.scores(SEQUENCE.mark(logits, batch), task_of(Copy(), 2))
    assert scores.correct.tolist() == [[True, False], [True, True]]  # an undecided bit is a zero
    assert scores.values["bit_errors"].tolist() == [1, 0]
    assert scores.nll[0] == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2, rel=1e-5)
    summary = SEQUENCE.summarise(scores, task_of(Copy(), 2))
    assert summary.fields["bits"] == 2
    assert summary.metrics["bit_errors"].mean == 0.5


def test_meta_validation_at_chance_is_told_in_bits():
    task = task_of(Copy(), 3)
    told = SEQUENCE.at_chance({"accuracy": 0.5, "nll": 0.7}, task, 50)
    assert told == "meta-validation stayed at chance: 50.0% of the bits at 3 items"
    assert SEQUENCE.at_chance({"accuracy": 0.7, "nll": 0.7}, task, 50) is None


def test_the_tiny_probe_asks_for_what_it_shows():
    batch = SEQUENCE.tiny_batch(SEQUENCE.tiny_task(), 4, 0, training=False)
    assert torch.equal(batch.target[:, 4:], batch.x[:, :3, :6])
    assert torch.equal(SEQUENCE.relabelled(batch, 1).target, 1 - batch.target)
