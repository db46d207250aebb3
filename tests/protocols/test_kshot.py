"""The k-shot protocol: what a setting needs, what is asked, what guessing gets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.api import Episodes, Learner, TaskSpec
from bench.errors import BenchError
from bench.protocols.images import random_classes
from bench.protocols.kshot import EpisodePool, KShot, KShotSetting

KSHOT = KShot()
TASK = TaskSpec((1, 4, 4), ways=3, shots=(1, 2), queries=5, episodes_per_update=2)


def pool(classes: int, images: int) -> EpisodePool:
    pixels = torch.zeros(classes * images, 1, 4, 4, dtype=torch.uint8)
    return EpisodePool(pixels, np.arange(classes) * images, np.full(classes, images))


def test_a_setting_has_ways_shots_and_queries():
    assert KSHOT.describe(KShotSetting(ways=5, shots=1)) == "5-way, 1-shot, 15 queries per class"
    for wrong in ({"ways": 5}, {"ways": 1, "shots": 1}, {"ways": 5, "shots": 1, "items": 2}):
        with pytest.raises(ValidationError):
            KShotSetting(**wrong)


def test_what_a_setting_needs_of_each_phase():
    setting = KShotSetting(ways=5, shots=2, queries=3)
    assert KSHOT.requirements(setting) == {"classes": 5, "images_per_class": 5}
    KSHOT.check_setting(setting, pool(2, 5), pool(2, 5), pool(5, 5))
    for phases, said in (
        ((pool(2, 5), pool(2, 5), pool(4, 5)), "in test, an episode needs 5 classes"),
        ((pool(2, 4), pool(2, 5), pool(5, 5)), "in train, an episode needs 5 images"),
        ((pool(2, 5), pool(1, 5), pool(5, 5)), "in val, an episode needs 2 classes"),
    ):
        with pytest.raises(BenchError, match=said):
            KSHOT.check_setting(setting, *phases)


def test_the_task_of_a_setting():
    task = KSHOT.task(KShotSetting(ways=5, shots=2, queries=3), pool(7, 9), pool(6, 9), 4)
    assert task == TaskSpec((1, 4, 4), 5, 2, 3, "kshot", episodes_per_update=4, classes=7)
    assert KSHOT.examples(task) == 5 * (2 + 3)
    assert KSHOT.describe_task(task) == "5-way 2-shot"
    assert KSHOT.describe_task(TASK) == "3-way 1-2-shot"
    assert KSHOT.validation_task(TASK, pool(2, 9)) == TASK.but(ways=2, shots=2)


def test_a_wish_is_cut_to_the_images_that_there_are():
    def cut(images: int, shots: object, queries: int = 5) -> tuple[object, int]:
        asked = TASK.but(shots=shots, queries=queries)
        task = KSHOT.cut_down(asked, pool(7, images), pool(2, 9))
        return task.shots, task.queries

    assert cut(7, 2) == (2, 5)
    assert cut(6, 2) == (2, 4), "first fewer queries"
    assert cut(4, 5) == (3, 1), "then fewer shots: one query is left"
    assert cut(4, (1, 5)) == ((1, 3), 1)
    assert cut(2, (3, 5)) == ((1, 1), 1)
    assert cut(20, 9) == (8, 1), "meta-validation counts too"


def test_classes_that_are_too_small_are_named():
    counts = np.array([5, 1, 5, 2])
    named = EpisodePool(
        torch.zeros(13, 1, 4, 4), np.cumsum(counts) - counts, counts, names=("a", "b", "c", "d")
    )
    setting = KShotSetting(ways=2, shots=2, queries=1)
    said = r"in train, .* only 1: 2 of 4 have fewer, b \(1\), d \(2\); use fewer shots"
    with pytest.raises(BenchError, match=said):
        KSHOT.check_setting(setting, named, pool(2, 5), pool(5, 5))


class Recorder(Learner):
    """Keeps what `predict` is given."""

    family, contract = "test", 1

    def adapt(self, support_x, support_y, ways):
        return support_y

    def predict(self, state, query_x):
        self.asked = query_x
        return torch.zeros(*query_x.shape[:2], 3)


def test_queries_are_asked_without_their_labels():
    batch = KSHOT.stand_in(None, TASK, 0)
    learner = Recorder(Recorder.Config(), TASK)
    said = KSHOT.ask(learner, batch)
    assert (said.view, said.shape) == ("predict", (2, 15, 3))
    assert learner.asked is batch.query_x


def test_marks_and_scores_by_hand():
    y = torch.tensor([[0, 1]])
    logits = torch.tensor([[[0.8, 0.2], [0.6, 0.4]]]).log()
    batch = Episodes(2, torch.zeros(0), torch.zeros(0), torch.zeros(1, 2), y)
    scores = KSHOT.scores(KSHOT.mark(logits + 7, batch), TASK)  # a constant must not matter
    assert scores.correct.tolist() == [[True, False]]
    assert scores.confidence[0] == pytest.approx([0.8, 0.6], rel=1e-5)
    assert scores.nll[0] == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2, rel=1e-5)
    assert scores.means()["accuracy"] == 0.5
    summary = KSHOT.summarise(scores, TASK)
    # bins of 0.8 and 0.6: |1 - 0.8| / 2 + |0 - 0.6| / 2
    assert summary.metrics["ece"].mean == pytest.approx(0.4, rel=1e-5)
    assert set(summary.fields) == {"reliability"}


def test_guessing_gets_one_of_the_ways():
    measure = KSHOT.measure(TASK, None)
    assert (measure.metric, measure.higher_is_better) == ("accuracy", True)
    assert (measure.chance, measure.perfect) == (pytest.approx(1 / 3), 1.0)
    # 3 sqrt(2/9 / (100 * 3)) is 0.082
    stayed = KSHOT.at_chance({"accuracy": 0.41, "nll": 1.0}, TASK, 100)
    assert stayed == "meta-validation stayed at chance: 41.0% at 3 ways"
    assert KSHOT.at_chance({"accuracy": 0.42, "nll": 1.0}, TASK, 100) is None


def test_accuracy_ranks_then_the_likelihood():
    def rank(accuracy: float, nll: float) -> tuple[float, ...]:
        return KSHOT.rank({"accuracy": accuracy, "nll": nll})

    assert rank(0.6, 9.0) > rank(0.5, 1.0) > rank(0.5, 2.0) > rank(0.5, math.nan)


def test_stand_ins_have_the_shape_of_their_task():
    batch = KSHOT.stand_in(None, TASK, 0)
    assert batch.support_x.shape == (2, 6, 1, 4, 4)
    assert batch.query_x.shape == (2, 15, 1, 4, 4)
    assert batch.query_y[0].bincount().tolist() == [5, 5, 5]
    assert random_classes(TASK.but(classes=2)).max() == 1


def test_phases_of_answering():
    learner = Recorder(Recorder.Config(), TASK)
    phases = dict(KSHOT.timed(learner, KSHOT.stand_in(None, TASK.but(episodes_per_update=1), 0)))
    assert list(phases) == ["adapt", "first_answer", "further_query"]
    assert phases["further_query"].per == 14
    assert phases["further_query"].beyond is not None
    phases["further_query"].beyond()
    assert learner.asked.shape[1] == 1
    phases["further_query"].call()
    assert learner.asked.shape[1] == 15


def test_other_right_answers_are_other_ones():
    batch = KSHOT.tiny_batch(KSHOT.tiny_task(), 3, 0, training=True)
    other = KSHOT.relabelled(batch, 1)
    assert (other.query_y != batch.query_y).all()
    assert torch.equal(other.support_y, batch.support_y)
    assert torch.equal(KSHOT.relabelled(batch, 0).query_y, batch.query_y)
