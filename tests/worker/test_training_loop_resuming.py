"""The meta-training loop: resumable to the bit, validated, early-stopped."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import bench.worker.training_loop
from bench.api import TaskSpec
from bench.data.probes import Copy
from bench.episodes.banks import Bank
from bench.episodes.words import Purpose
from bench.protocols.answers import Scores
from bench.store.checked import UnreadableError
from bench.suites.schema import Budget
from bench.worker.checkpoints import best_weights
from bench.worker.training_loop import (
    History,
    MetaTraining,
    build_learner,
    examples,
    planned_updates,
    validation_bank,
    warnings,
)
from tests.helpers.noisy import CLASSES, Noisy, assert_same, codes


def without_seconds(curve: list[dict]) -> list[dict]:
    return [{key: value for key, value in point.items() if key != "seconds"} for point in curve]


# -- resuming -------------------------------------------------------------------------------------


class Killed(Exception):  # noqa: N818 - it stands for SIGKILL
    pass


@pytest.mark.parametrize("shots", [1, (1, 3)])
@pytest.mark.parametrize("checkpoint_seconds", [-1.0, 1e9], ids=["always", "after validations"])
@pytest.mark.parametrize("kills", [[3], [5], [7, 8, 16]])
def test_a_killed_training_equals_an_undisturbed_one(
    start, monkeypatch, kills, checkpoint_seconds, shots
):
    monkeypatch.setattr("bench.worker.training_loop.CHECKPOINT_SECONDS", checkpoint_seconds)
    task = TaskSpec((1, 4, 4), 3, shots, 2, episodes_per_update=4)
    undisturbed = start(folder="undisturbed", task=task)
    undisturbed.run()

    work = MetaTraining._update
    for kill in kills:

        def dies(self, kill=kill):
            if self.history.updates == kill:
                raise Killed
            work(self)

        monkeypatch.setattr(MetaTraining, "_update", dies)
        with pytest.raises(Killed):
            start(folder="killed", task=task).run()
    monkeypatch.setattr(MetaTraining, "_update", work)
    killed = start(folder="killed", task=task)
    # an update is done again only where it was not stored
    resumed = kills[-1] if checkpoint_seconds < 0 else kills[-1] // 5 * 5
    assert killed.history.updates == resumed
    killed.run()

    assert killed.history.updates == undisturbed.history.updates == 20
    assert killed.history.examples == undisturbed.history.examples
    assert len(killed.history.curve) == 4
    assert without_seconds(killed.history.curve) == without_seconds(undisturbed.history.curve)
    assert_same(killed.learner.state_dict(), undisturbed.learner.state_dict())
    assert_same(best_weights(killed.folder), best_weights(undisturbed.folder))


def test_a_checkpoint_of_other_code_of_the_learner_is_not_gone_on_from(start):
    """Its result would be said to be of today's code. One that does not say whose it is, is."""
    for written in ("abc", None):
        start(source=written, folder=str(written)).checkpoint()
    start(source="abc", folder="abc")
    start(source="def", folder="None")
    with pytest.raises(UnreadableError, match="was made by other code of this learner"):
        start(source="def", folder="abc")


def test_a_training_that_had_ended_does_nothing_more(start):
    first = start()
    first.run()
    again = start()
    again.run()
    assert again.history == first.history


def test_initial_weights_come_from_the_seed(make_training):
    def weight(seed: int) -> Tensor:
        learner = build_learner(make_training(seed=seed), Noisy, Noisy.Config())
        return learner.embed[1].weight

    first = weight(0)
    torch.rand(3)
    assert torch.equal(first, weight(0))
    assert not torch.equal(first, weight(1))


# -- meta-validation ------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """Lets meta-validations give these (accuracy, NLL); returns the weights that each saw."""

    def script(points: list[tuple[float, float]]) -> list[dict[str, Tensor]]:
        remaining, seen = iter(points), []

        def evaluate(learner, bank, precision):
            seen.append({key: value.clone() for key, value in learner.state_dict().items()})
            accuracy, nll = next(remaining)
            return Scores({"accuracy": np.array([accuracy]), "nll": np.array([nll])})

        monkeypatch.setattr("bench.worker.training_loop.evaluate", evaluate)
        return seen

    return script


def test_the_best_checkpoint_is_a_copy(start, scripted):
    seen = scripted([(0.5, 1), (0.9, 1), (0.8, 1), (0.7, 1)])
    run = start()
    run.run()
    assert run.history.best["updates"] == 10
    assert_same(best_weights(run.folder), seen[1])
    live = run.learner.state_dict()["embed.1.weight"]
    assert not torch.equal(best_weights(run.folder)["embed.1.weight"], live)


def test_equal_accuracies_are_decided_by_the_likelihood(start, scripted):
    scripted([(0.9, math.nan), (0.9, 0.5), (0.9, 0.4), (0.9, 0.6)])
    assert start().run().best["updates"] == 15


def test_early_stopping_counts_meta_validations_without_a_better_one(start, scripted):
    scripted([(0.5, 1), (0.6, 1), (0.6, 1), (0.6, 2), (0.6, 1), (0.9, 1)])
    budget = Budget(updates=30, validations=6, validation_images=180, patience=3)
    history = start(budget=budget).run()
    assert history.stopped == "early stopping"
    assert history.updates == 25
    assert history.best["updates"] == 10


def test_meta_validations_are_evenly_spaced_and_the_last_ends_the_budget(start):
    budget = Budget(updates=23, validations=4, validation_images=180)
    history = start(budget=budget).run()
    assert [point["updates"] for point in history.curve] == [6, 12, 18, 23]
    assert history.stopped == "budget"


def test_a_single_update_is_validated_too(start):
    history = start(budget=Budget(updates=1, validations=20)).run()
    assert [point["updates"] for point in history.curve] == [1]


def test_a_budget_of_minutes_ends(start):
    history = start(budget=Budget(minutes=0.002, validations=2, validation_images=60)).run()
    assert history.stopped == "budget"
    assert history.seconds >= 0.12
    assert len(history.curve) == 2


def test_training_learns_and_the_curve_tells(start):
    budget = Budget(updates=200, validations=4, validation_images=900)
    history = start(budget=budget, task=TaskSpec((1, 4, 4), 5, 1, 2, episodes_per_update=8)).run()
    losses = [point["loss"] for point in history.curve]
    assert losses[-1] < losses[0]
    assert history.best["val_accuracy"] > 0.5  # chance is 0.2
    assert [point["examples"] for point in history.curve] == [6000, 12000, 18000, 24000]
    assert 0 < history.curve[0]["seconds"] < history.curve[-1]["seconds"] <= history.seconds


def test_the_curve_has_the_mean_loss_since_the_point_before(start, monkeypatch):
    losses = iter([1.0, 2, None, 4, 5, *range(6, 21)])  # an update that was skipped has none
    monkeypatch.setattr("bench.worker.training_loop.update", lambda *arguments: next(losses))
    assert [point["loss"] for point in start().run().curve] == [3.0, 8.0, 13.0, 18.0]


def test_examples_add_up_to_those_of_the_updates(start):
    task = TaskSpec((1, 4, 4), 3, (1, 3), 2, episodes_per_update=4)
    history = start(task=task, seed=5).run()
    assert history.examples == sum(examples(task, 5, number) for number in range(20))


def test_the_validation_bank_serves_every_seed_and_setting(make_training):
    task = TaskSpec((1, 4, 4), ways=60, shots=(1, 3), queries=2)
    training = make_training(task=task, budget=Budget(updates=1, validation_images=200))
    bank = validation_bank(training, codes(30))
    assert bank.task.ways == CLASSES  # as many as there are
    assert bank.task.shots == 3
    assert len(bank) == 200 // (CLASSES * 5)
    other_seed = validation_bank(training.model_copy(update={"seed": 5}), codes(30))
    assert bank.draw.digest() == other_seed.draw.digest()
    other_bank = validation_bank(training.model_copy(update={"bank_seed": 5}), codes(30))
    assert bank.draw.digest() != other_bank.draw.digest()


def probe_task(items: int | tuple[int, int]) -> TaskSpec:
    return TaskSpec(
        (10,), ways=1, protocol="sequence", items=items, outputs=8, episodes_per_update=4
    )


def test_probes_are_validated_at_their_longest(make_training):
    training = make_training(
        task=probe_task((1, 6)), budget=Budget(updates=1, validation_images=200)
    )
    bank = validation_bank(training, Copy())
    assert bank.task.items == 6
    assert len(bank) == 200 // 14  # steps


def test_a_probe_that_stays_at_chance_is_told(make_training):
    training = make_training(task=probe_task((1, 6)))
    bank = validation_bank(training, Copy())
    for accuracy, told in ((0.502, 1), (0.7, 0)):
        history = History(best={"val_accuracy": accuracy, "val_nll": 0.6, "updates": 5})
        found = warnings(history, bank)
        assert len(found) == told
    assert warnings(History(best={"val_accuracy": 0.502, "val_nll": 0.7}), bank) == [
        "meta-validation stayed at chance: 50.2% of the bits at 6 items"
    ]


# -- schedules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "budget", "updates"),
    [
        # 4 episodes of 5 classes of 1 + 5 images: 120 an update
        (TaskSpec((1,), 5, 1, 5, episodes_per_update=4), Budget(examples=1200), 10),
        (TaskSpec((1,), 5, 1, 5, episodes_per_update=4), Budget(examples=1201), 11),
        # 1 to 5 shots: 160 on average
        (TaskSpec((1,), 5, (1, 5), 5, episodes_per_update=4), Budget(examples=1600), 10),
        (TaskSpec((1,), 5, protocol="online", length=50, episodes_per_update=2),
         Budget(examples=1000), 10),
        # a memory probe counts as one, however long it is
        (TaskSpec((1,), 1, protocol="sequence", items=(1, 20), outputs=8, episodes_per_update=4),
         Budget(examples=400), 100),
        (TaskSpec((1,), 5), Budget(updates=77), 77),
        (TaskSpec((1,), 5), Budget(minutes=3), 10_000),
        (TaskSpec((1,), 5), Budget(examples=1), 1),
    ],
)  # fmt: skip
def test_planned_updates_by_hand(task, budget, updates):
    assert planned_updates(task, budget) == updates


@pytest.mark.parametrize("shots", [1, (1, 5)])
def test_planned_updates_are_about_those_made(shots):
    task, budget = TaskSpec((1,), 5, shots, 5, episodes_per_update=4), Budget(examples=50_000)
    seen = made = 0
    while seen < budget.examples:
        seen += examples(task, 3, made)
        made += 1
    assert planned_updates(task, budget) == pytest.approx(made, rel=0.03)


def test_examples_are_those_of_the_batch():
    task = TaskSpec((1, 4, 4), 3, (1, 4), 2, episodes_per_update=2)
    for number in range(10):
        batch = bench.worker.training_loop.training_batch(codes(10), task, 5, number)
        assert examples(task, 5, number) == batch.support_y.numel() + batch.query_y.numel()


def test_the_validation_bank_shares_no_word_with_training():
    task = TaskSpec((1, 4, 4), 3, 1, 2, episodes_per_update=4)
    banks = {
        Bank.drawn(codes(10), task, 4, 0, purpose).draw.digest()
        for purpose in (Purpose.TRAIN, Purpose.VALIDATION, Purpose.TEST)
    }
    assert len(banks) == 3
