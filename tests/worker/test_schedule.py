"""Schedules follow the fraction of the budget that is spent."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR

from bench.api import TaskSpec
from bench.store import layout
from bench.store.tensors import load_torch, save_torch
from bench.suites.installed import suites
from bench.suites.schema import Budget
from bench.worker.schedule import advance, steps_due
from bench.worker.training_loop import MetaTraining, examples, planned_updates
from tests.helpers.noisy import Noisy, assert_same

counts = st.integers(1, 300)


def after(budget, planned, updates=0, examples=0, seconds=0.0):
    return steps_due(budget, planned, updates=updates, examples=examples, seconds=seconds)


@given(limit=st.integers(1, 5_000), each=counts)
def test_fixed_updates_take_one_step_each_and_end_at_the_end(limit, each):
    """Updates of ``each`` images until ``limit`` is reached: k steps after k of them."""
    budget, planned = Budget(examples=limit), math.ceil(limit / each)
    for k in range(planned + 1):
        assert after(budget, planned, k, k * each) == k
    assert after(budget, planned, planned + 1, (planned + 1) * each) == planned


@given(updates=counts)
def test_a_budget_of_updates_takes_one_step_each(updates):
    budget = Budget(updates=updates)
    taken = [after(budget, updates, k) for k in range(updates + 2)]
    assert taken == [*range(updates + 1), updates]


@given(
    seen=st.lists(counts, min_size=1, max_size=60),
    planned=counts,
    kind=st.sampled_from(["examples", "minutes"]),
)
def test_updates_that_differ_never_go_back_and_end_at_the_end(seen, planned, kind):
    """What updates bring is as it comes; the budget is spent by the last one, and by no earlier."""
    total = sum(seen)
    budget = Budget(examples=total) if kind == "examples" else Budget(minutes=total / 60)
    spent, taken = 0, [0]
    for number, n in enumerate(seen):
        spent += n
        taken.append(after(budget, planned, number + 1, spent, float(spent)))
        exact = spent * planned / total
        assert exact - 1 - 1e-6 <= taken[-1] <= exact + 1e-6
    assert taken == sorted(taken)
    assert taken[-1] >= planned - (kind == "minutes")  # 60 * (total / 60) may exceed the total
    assert after(budget, planned, 99, 2 * total, 2.0 * total) == planned


@pytest.mark.parametrize("seed", range(3))
def test_with_drawn_shots_it_ends_with_the_budget(seed):
    task, budget = TaskSpec((1,), 5, (1, 5), 5, episodes_per_update=4), Budget(examples=20_000)
    planned, seen, made, taken = planned_updates(task, budget), 0, 0, [0]
    while seen < 20_000:
        seen += examples(task, seed, made)
        made += 1
        taken.append(after(budget, planned, made, seen))
    assert made != planned, "the test has something to show"
    assert taken == sorted(taken)
    assert taken[-2] < planned == taken[-1]


def rate(run):
    return run.optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize(
    "budget",
    [
        Budget(updates=20, validations=4, validation_images=180),
        Budget(examples=700, validations=4, validation_images=180),
        Budget(minutes=0.004, validations=2, validation_images=60),
    ],
    ids=["updates", "examples", "minutes"],
)
@pytest.mark.parametrize("shots", [1, (1, 3)])
def test_a_cosine_reaches_zero_and_never_rises(start, monkeypatch, budget, shots):
    rates = []
    work = MetaTraining._update

    def watched(self):
        rates.append(rate(self))
        work(self)

    monkeypatch.setattr(MetaTraining, "_update", watched)
    task = TaskSpec((1, 4, 4), 3, shots, 2, episodes_per_update=4)
    run = start(budget=budget, task=task)
    run.run()
    assert rates[0] == 0.05
    assert rates == sorted(rates, reverse=True)
    assert rate(run) == pytest.approx(0, abs=1e-9)
    assert run.history.scheduler_steps == run.scheduler.last_epoch == run.planned


@pytest.mark.parametrize("kill", [1, 4, 11])
def test_a_resumed_schedule_equals_an_undisturbed_one(start, monkeypatch, kill):
    """Shots are drawn: some updates take no step and some several."""
    monkeypatch.setattr("bench.worker.training_loop.CHECKPOINT_SECONDS", -1.0)
    task = TaskSpec((1, 4, 4), 3, (1, 6), 2, episodes_per_update=4)
    budget = Budget(examples=900, validations=2, validation_images=180)
    undisturbed, rates = start(folder="undisturbed", task=task, budget=budget), []
    while undisturbed.fraction() < 1:
        rates.append(rate(undisturbed))
        undisturbed._update()
    killed = start(folder="killed", task=task, budget=budget)
    for _ in range(kill):
        killed._update()
    killed.checkpoint()
    resumed, again = start(folder="killed", task=task, budget=budget), []
    assert resumed.history.scheduler_steps == resumed.scheduler.last_epoch
    while resumed.fraction() < 1:
        again.append(rate(resumed))
        resumed._update()
    assert again == rates[kill:]
    assert_same(resumed.learner.state_dict(), undisturbed.learner.state_dict())


def test_a_checkpoint_that_counts_no_steps_goes_on_without_a_jump(start, tmp_path):
    """Of before schedules followed the budget: then each update was a step."""
    killed = start(folder="killed")
    for _ in range(7):
        killed._update()
    killed.checkpoint()
    path = tmp_path / "killed" / layout.CHECKPOINT
    content = load_torch(path)
    del content["history"]["scheduler_steps"]
    save_torch(path, content)
    resumed = start(folder="killed")
    resumed._update()
    assert resumed.history.scheduler_steps == resumed.scheduler.last_epoch == 8


class FirstIsNaN(Noisy):
    def loss(self, batch):
        loss = super().loss(batch)
        return loss * math.nan if self.calls == 1 else loss


def test_an_update_that_is_skipped_spends_its_part_without_a_complaint(start):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = start(FirstIsNaN)
        assert run.run().skipped == 1
    assert run.history.scheduler_steps == 20


def test_other_warnings_of_a_scheduler_are_told():
    class Warns(StepLR):
        def get_lr(self):
            warnings.warn("look here", UserWarning, stacklevel=1)
            return [group["lr"] for group in self.optimizer.param_groups]

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.warns(UserWarning, match="look here"):
        scheduler = Warns(optimizer, 2)
    with pytest.warns(UserWarning, match="look here"):
        advance(scheduler, 1)


def test_several_steps_are_as_many_single_ones():
    def after_steps(*steps):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = CosineAnnealingLR(optimizer, 10)
        for n in steps:
            advance(scheduler, n)
        return optimizer.param_groups[0]["lr"]

    assert after_steps(3, 0, 4) == after_steps(*[1] * 7)


# -- early stopping -------------------------------------------------------------------------------


class Plateau(Noisy):
    """Guesses until update 20, then learns: what recurrent learners do."""

    def predict(self, state, query_x):
        logits = super().predict(state, query_x)
        return logits if self.calls > 20 else 0 * logits + torch.rand(logits.shape)


class Stuck(Plateau):
    """Learns until update 20, then stays where it is."""

    def predict(self, state, query_x):
        return Noisy.predict(self, state, query_x)

    def optimizer(self, updates):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_early_stopping_never_at_chance(start):
    budget = Budget(updates=60, validations=30, validation_images=3600, patience=3)
    task = TaskSpec((1, 4, 4), 3, 1, 2, episodes_per_update=4)
    plateau = start(Plateau, budget=budget, task=task).run()
    assert plateau.best["updates"] > 20, "it was given the time to leave its plateau"
    stuck = start(Stuck, folder="stuck", budget=budget, task=task).run()
    assert stuck.stopped == "early stopping", "above chance patience counts"
    assert stuck.updates == 2 + 3 * 2


def test_no_suite_stops_early():
    """Every learner of a board sees equal data, and schedules fall over the whole budget."""
    for suite in suites().things.values():
        assert suite.budgets.standard.patience is None
        assert suite.budgets.smoke.patience is None
