"""The online protocol: presentations, the honest ceiling, and a leak that is planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from bench.api import Learner, Stream, TaskSpec
from bench.protocols.online import Online, OnlineSetting, StreamPool, by_presentation, presentation

ONLINE = Online()
TASK = TaskSpec((1, 2, 2), ways=2, protocol="online", length=4, episodes_per_update=3)


def pool(classes: int = 7, images: int = 9) -> StreamPool:
    pixels = torch.zeros(classes * images, 1, 2, 2, dtype=torch.uint8)
    return StreamPool(pixels, np.arange(classes) * images, np.full(classes, images))


def test_the_task_of_a_setting():
    setting = OnlineSetting(ways=5, presentations=3)
    task = ONLINE.task(setting, pool(), pool(), 4)
    assert (task.ways, task.length, task.presentations, task.classes) == (5, 15, 3, 7)
    assert ONLINE.requirements(setting) == {"classes": 5, "images_per_class": 3}
    assert ONLINE.describe(setting) == "5-way, each class presented 3 times"
    assert ONLINE.describe_task(task) == "5-way online, 15 steps"
    assert ONLINE.examples(task) == 15
    assert ONLINE.cut_down(task, pool(2), pool(2)).length == 6


def test_validation_has_as_many_ways_as_there_are_classes_each_as_often_presented():
    task = TASK.but(ways=5, length=50)
    few = ONLINE.validation_task(task, pool(3))
    assert (few.ways, few.length, few.presentations) == (3, 30, 10)
    assert ONLINE.validation_task(task, pool(9)) == task


def test_a_wish_is_cut_to_the_classes_and_images_that_there_are():
    asked = TaskSpec((1, 2, 2), ways=9, protocol="online", length=9 * 12)
    task = Online().cut_down(asked, pool(7, 9), pool(3, 6))
    assert (task.ways, task.presentations, task.classes) == (7, 6, 7)


def test_a_task_without_steps_is_refused():
    ONLINE.check_task(TASK)
    with pytest.raises(ValueError, match="needs a length, got 0"):
        ONLINE.check_task(TASK.but(length=0))


def test_which_presentation_of_its_class_a_step_is():
    assert presentation(torch.tensor([[0, 1, 1, 0, 1]]), 2).tolist() == [[0, 0, 1, 1, 2]]


def test_accuracy_by_presentation_by_hand():
    # 0 1 1 0, right at steps 1 and 2; 1 1 0 0, right at 1, 2 and 3
    y = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]])
    correct = torch.tensor([[False, True, True, False], [False, True, True, True]])
    told = by_presentation(correct, presentation(y, 2), 2)
    assert_array_equal(told, [[0.5, 0.5], [0.5, 1.0]])


def scores_of(right_at_first: float, episodes: int = 400):
    """Scores of a learner that is right at the first presentation so often, and always later."""
    y = torch.tensor([[0, 1, 1, 0]]).repeat(episodes, 1)
    random = torch.Generator().manual_seed(0)
    correct = torch.ones(y.shape, dtype=torch.bool)
    correct[:, :2] = torch.rand(episodes, 2, generator=random) < right_at_first
    marks = {
        "nll": torch.zeros(y.shape), "confidence": torch.ones(y.shape), "correct": correct,
        "presentation": presentation(y, 2),
    }  # fmt: skip
    return ONLINE.scores(marks, TASK)


def test_the_ceiling_is_stored_and_a_leak_is_told():
    honest = ONLINE.summarise(scores_of(0.7), TASK)
    assert honest.fields["ceiling"] == pytest.approx((1 + 1 / 2) / 2)  # 2 ways: mean of 1 and 1/2
    assert honest.warnings == []
    assert len(honest.fields["by_presentation"]) == 2
    assert honest.fields["by_presentation"][1].mean == 1.0
    [told] = ONLINE.summarise(scores_of(0.95), TASK).warnings
    assert told.startswith("LEAK: 9")
    assert "cannot be above 75.0%" in told


def test_per_episode_scores_have_a_row_per_presentation():
    scores = scores_of(0.5, episodes=3)
    assert scores.values["by_presentation"].shape == (3, 2)
    assert set(scores.means()) == {"accuracy", "nll"}
    assert_allclose(scores.by_presentation.mean(1), scores.accuracy)


def test_stand_ins_have_the_shape_of_their_task():
    stream = ONLINE.stand_in(None, TaskSpec((1,), 3, protocol="online", length=12), 0)
    assert isinstance(stream, Stream)
    assert stream.x.shape == (16, 12, 1)
    assert stream.y.max() == 2


class Unrolls(Learner):
    """Answers all at once."""

    family, contract = "test", 1

    def unroll(self, x, y, ways):
        return torch.zeros(*y.shape, ways)


def test_who_conditions_on_every_prefix_is_audited_on_fewer_presentations():
    task = TASK.but(ways=5, length=50)
    assert ONLINE.audit_task(task, pool(), Learner) == (task.but(length=10), 10 * 9 // 2)
    assert ONLINE.audit_task(task, pool(), Unrolls) == (task, 50)


def test_what_was_presented_before_can_be_known():
    y = torch.tensor([[0, 1, 1, 0]])
    labels, known = ONLINE.knowable(Stream(2, torch.zeros(1, 4), y))
    assert torch.equal(labels, y)
    assert known.tolist() == [[False, False, True, True]]


def test_only_a_learner_with_the_k_shot_view_has_a_support_set():
    stream = Stream(2, torch.zeros(1, 4, 1), torch.tensor([[0, 1, 1, 0]]))
    episodes = ONLINE.support(Learner, stream)
    assert episodes.support_y.tolist() == [[0, 1]]
    assert episodes.query_y.tolist() == [[1, 0]]
    alone = type("Alone", (Learner,), {"protocols": ("online",)})
    assert ONLINE.support(alone, stream) is None
