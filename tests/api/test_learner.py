"""The contract's own code: tasks, states, and the two views of a learner."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F

from bench.api import Episodes, Learner, Stream, TaskSpec, map_tensors, option

SHAPE = (1, 2, 2)


# -- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"ways": 0},
        {"episodes_per_update": 0},
        {"shots": 0},
        {"shots": (3, 2)},
        {"queries": 0},
        {"protocol": "online", "length": 12},
    ],
)
def test_a_task_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"got|at least 1"):
        TaskSpec(SHAPE, **{"ways": 5, **wrong})


def test_examples_of_one_update():
    # 60 classes of 1 support and 5 query images in one episode, as Prototypical trains.
    proto = TaskSpec(SHAPE, 60, 1, 5, episodes_per_update=1)
    assert proto.examples_per_update == 360
    assert proto.but(shots=(1, 5)).examples_per_update == 600
    online = TaskSpec(SHAPE, 5, protocol="online", length=50, episodes_per_update=16)
    assert online.presentations == 10
    assert online.examples_per_update == 800


def test_shots_are_a_number_or_an_inclusive_range():
    assert TaskSpec(SHAPE, 5, 3).shot_range == (3, 3)
    assert TaskSpec(SHAPE, 5, (1, 5)).shot_range == (1, 5)


def test_a_task_is_a_value():
    task = TaskSpec(SHAPE, 5)
    assert task.but(ways=20).but(ways=5) == task
    assert len({task, TaskSpec(SHAPE, 5), task.but(ways=20)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.ways = 6


def test_an_option_carries_its_meaning():
    @dataclasses.dataclass(frozen=True)
    class Config:
        lr: float = option(0.1, "Step size.")

    assert Config().lr == 0.1
    assert dataclasses.fields(Config)[0].metadata["meaning"] == "Step size."


# -- states ---------------------------------------------------------------------------------------


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


def test_map_tensors_keeps_the_nesting():
    one = torch.ones(2)
    state = {"pair": Pair(one, one), "list": [one, (one, 3)], "ways": 5, "none": None, "x": 0.5}
    doubled = map_tensors(lambda t: 2 * t, state)
    assert isinstance(doubled["pair"], Pair)
    assert doubled["pair"].b.tolist() == [2, 2]
    assert isinstance(doubled["list"], list)
    assert doubled["list"][1][0].tolist() == [2, 2]
    assert doubled["list"][1][1] == 3
    assert (doubled["ways"], doubled["none"], doubled["x"]) == (5, None, 0.5)
    assert one.tolist() == [1, 1], "the state given stays as it was"


def test_map_tensors_names_what_does_not_belong():
    with pytest.raises(TypeError, match="not set"):
        map_tensors(lambda t: t, {"bad": {1, 2}})


def test_batches_move_with_all_their_tensors():
    x, y = torch.zeros(1, 2, *SHAPE), torch.zeros(1, 2, dtype=torch.int64)
    for batch in (
        Episodes(5, x, y, x, y, y),
        Episodes(5, x, y, x, y),
        Stream(5, x, y, y),
        Stream(5, x, y),
    ):
        moved = batch.to("meta")
        for field in dataclasses.fields(batch):
            before, after = getattr(batch, field.name), getattr(moved, field.name)
            if isinstance(before, torch.Tensor):
                assert after.device.type == "meta"
                assert after.shape == before.shape
            else:
                assert after == before


# -- the default views of a support-set learner ---------------------------------------------------


class Frequency(Learner):
    """Logit of a class: how often it is in the support set. Ignores the images."""

    family, contract = "test", 1

    def adapt(self, support_x, support_y, ways):
        assert support_x.shape[1] == support_y.shape[1] >= 1, "never an empty support set"
        return F.one_hot(support_y, ways).float().sum(1)

    def predict(self, state, query_x):
        return state[:, None].expand(-1, query_x.shape[1], -1)


def test_the_default_unroll_conditions_on_each_prefix():
    learner = Frequency(None, TaskSpec(SHAPE, 3))
    y = torch.tensor([[0, 2, 0, 1]])
    logits = learner.unroll(torch.zeros(1, 4, *SHAPE), y, 3)
    assert logits.tolist() == [[[0, 0, 0], [1, 0, 0], [1, 0, 1], [2, 0, 1]]]


def test_the_default_loss_by_hand():
    learner = Frequency(None, TaskSpec(SHAPE, 2))
    x, y = torch.zeros(1, 2, *SHAPE), torch.tensor([[0, 1]])
    # Both classes once in the support set: every query costs ln 2.
    episodes = Episodes(2, x, y, x, y)
    assert learner.loss(episodes).item() == pytest.approx(0.693147)
    # Step 0 is uniform (ln 2); at step 1 the logits are (1, 0) and class 1 is right: ln(1 + e).
    assert learner.loss(Stream(2, x, y)).item() == pytest.approx((0.693147 + 1.313262) / 2)


def test_the_defaults_train_as_tested_and_answer_the_whole_bank():
    task = TaskSpec(SHAPE, 2)
    assert Frequency.training_task(None, task) == task
    assert Frequency.published_updates(None, task) is None
    assert Frequency.bank_share(None, task, 1000) == 1000
