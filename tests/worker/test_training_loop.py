"""One update of a meta-training, and what a training says of itself: honest about NaN."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import nn

import bench.worker.training_loop
from bench.api import Learner, TaskSpec
from bench.protocols.answers import NotFiniteError
from bench.store.tensors import load_torch
from bench.suites.schema import Budget
from bench.worker.checkpoints import best_weights
from bench.worker.training_loop import NAN_LIMIT, History, update, warnings
from tests.helpers.noisy import Noisy, assert_same

# -- one update -----------------------------------------------------------------------------------


class Line(Learner):
    """Its loss is what the test says, of a weight (3, 4)."""

    family, contract = "test", 1

    def __init__(self, loss_of_weight, weight) -> None:
        super().__init__(self.Config(), None)
        self.weight = nn.Parameter(torch.tensor(weight))
        self.loss_of_weight = loss_of_weight

    def loss(self, batch):
        return self.loss_of_weight(self.weight)


@pytest.mark.parametrize(("limit", "step"), [(None, [6.0, 8.0]), (5.0, [3.0, 4.0]), (99, [6, 8])])
def test_gradients_are_clipped_to_their_norm(limit, step):
    learner = Line(lambda w: w.square().sum(), [3.0, 4.0])  # gradient (6, 8), norm 10
    learner.max_grad_norm = limit
    loss = update(learner, torch.optim.SGD(learner.parameters(), lr=1.0), None, "fp32")
    assert loss == 25.0
    expected = torch.tensor([3.0, 4.0]) - torch.tensor(step)
    torch.testing.assert_close(learner.weight.data, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: (w * math.nan).sum(),
        lambda w: (w * math.inf).sum(),
        lambda w: (w * 0).sqrt().sum(),  # the loss is 0, its gradient is not finite
    ],
)
def test_an_update_that_is_not_finite_is_skipped(loss):
    learner = Line(loss, [3.0, 4.0])
    assert update(learner, torch.optim.SGD(learner.parameters(), lr=1.0), None, "fp32") is None
    assert learner.weight.tolist() == [3.0, 4.0]


class SometimesNaN(Noisy):
    def loss(self, batch):
        loss = super().loss(batch)
        return loss * math.nan if int(self.calls) % 3 == 0 else loss


def test_skipped_updates_are_counted_and_told(start):
    run = start(SometimesNaN)
    history = run.run()
    assert history.stopped == "budget"
    assert history.skipped == 6
    assert all(math.isfinite(point["loss"]) for point in history.curve)
    assert warnings(history, run.validation)[0] == (
        "6 updates were skipped: loss or gradient were not finite"
    )


class AlwaysNaN(Noisy):
    def loss(self, batch):
        return super().loss(batch) * math.nan


def test_nan_without_end_is_a_divergence(start):
    run = start(AlwaysNaN, budget=Budget(updates=1000, validations=2, validation_images=60))
    before = {key: value.clone() for key, value in run.learner.embed.state_dict().items()}
    history = run.run()
    assert history.stopped == "diverged"
    assert history.updates == history.skipped == NAN_LIMIT
    assert history.curve[-1]["loss"] is None
    assert warnings(history, run.validation)[0].startswith("it diverged after 50 updates")
    assert_same(run.learner.embed.state_dict(), before)


class Exploding(Noisy):
    """Its weights become infinite in update 13, and its answers with them."""

    def loss(self, batch):
        loss = super().loss(batch)
        if self.calls == 13:
            with torch.no_grad():
                self.embed[1].weight.fill_(math.inf)
        return loss


def test_a_training_that_explodes_keeps_what_was_good(start):
    run = start(Exploding)
    history = run.run()
    assert history.stopped == "diverged"
    assert history.updates == 15
    assert [point["updates"] for point in history.curve] == [5, 10]
    assert all(value.isfinite().all() for value in best_weights(run.folder).values())
    told = warnings(history, run.validation)
    kept = history.best["updates"]
    assert told[0] == f"it diverged after 15 updates; the weights are those of update {kept}"


def test_a_training_that_never_was_good_fails(start):
    with pytest.raises(NotFiniteError):
        start(Exploding, budget=Budget(updates=20, validations=1)).run()


# -- what is told ---------------------------------------------------------------------------------


class Deaf(Noisy):
    """Answers without looking."""

    def predict(self, state, query_x):
        return super().predict(state, query_x) * 0 + torch.rand(1)


def test_staying_at_chance_is_told(start):
    run = start(Deaf, budget=Budget(updates=5, validations=1, validation_images=9000))
    [told] = warnings(run.run(), run.validation)
    assert told.startswith("meta-validation stayed at chance: 3")
    assert told.endswith("at 3 ways")
    learning = start(folder="learning", budget=Budget(updates=60, validation_images=9000))
    assert warnings(learning.run(), learning.validation) == []


def test_overhead_is_what_the_learner_does_not_spend(start, monkeypatch):
    assert History(seconds=10.0, learner_seconds=8.0).overhead == pytest.approx(0.2)
    assert History().overhead == 0.0
    batch = bench.worker.training_loop.training_batch

    def slow(*arguments):
        time.sleep(0.02)
        return batch(*arguments)

    monkeypatch.setattr("bench.worker.training_loop.training_batch", slow)
    history = start().run()
    own = history.seconds - history.learner_seconds
    assert own >= 20 * 0.02, "what the harness slept is none of the learner's time"
    assert history.overhead == pytest.approx(own / history.seconds)


def test_progress_tells_where_it_stands(start):
    told = []
    history = start(progress=told.append).run()
    assert told[-1]["fraction"] == 1.0
    assert told[-1]["updates"] == 20
    assert told[-1]["val_accuracy"] == history.best["val_accuracy"]
    assert told[-1]["seconds_left"] == 0.0


def test_nothing_but_tensors_and_plain_values_is_stored(start):
    run = start()
    run.run()
    for name in ("best.pt", "checkpoint.pt"):
        assert load_torch(run.folder / name)  # with weights_only


def test_bf16_trains(start):
    history = start(precision="bf16", task=TaskSpec((1, 4, 4), 3, 1, 2)).run()
    assert history.skipped == 0
