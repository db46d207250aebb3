"""How long a plan will take."""

from __future__ import annotations

import pytest

from bench import registry as plugins
from bench.api import TaskSpec
from bench.planning.jobs import Cell
from bench.planning.plan import choose_suites, make_plan
from bench.registry.contestants import contestants
from bench.running.estimate import estimate_cells
from bench.running.trial import any_batch, training_seconds
from bench.suites.schema import Budget
from bench.worker.devices import Device

PLACE = Device.parse("cpu/1")


@pytest.fixture
def plan_of(tiny_plugins, tiny_suite):
    def plan(*specs, **options):
        chosen, who = choose_suites([str(tiny_suite)]), contestants(specs, plugins.learners())
        asked = {"seeds": (0,), "device": "cpu", "budget": "standard", "precision": "fp32"}
        return make_plan(chosen, who, **{**asked, **options}, folders=tiny_plugins, notify=print)

    return plan


def test_one_row_per_cell_with_the_seconds_it_needs(plan_of, tmp_path):
    plan = plan_of("nearest-code", "untrained", "raises")
    rows = estimate_cells(plan, tmp_path, PLACE, here=True)
    assert [(row["learner"], row["setting"]) for row in rows] == [
        (cell.training.learner, cell.setting) for cell in plan.cells
    ]
    seconds = {(row["learner"], row["setting"]): row["seconds"] for row in rows}
    assert seconds["raises", "5way1shot"] is None
    assert 0 <= seconds["untrained", "5way1shot"] < 60
    assert 0 < seconds["nearest-code", "5way1shot"] < 60
    assert {row["status"] for row in rows} == {"unfinished"}


def test_what_is_done_needs_no_time_and_is_not_measured(plan_of, tmp_path, monkeypatch):
    plan = plan_of("nearest-code")
    done, missing = plan.cells
    monkeypatch.setattr(
        Cell, "status", lambda cell, _: "done" if cell.id == done.id else "unfinished"
    )
    measured = []

    def time_once(training, cell, device):
        measured.append(cell)
        return 2.0, 0.5, 0.0

    monkeypatch.setattr("bench.running.trial.time_once", time_once)
    first, second = estimate_cells(plan, tmp_path, PLACE, here=True)
    assert (first["status"], first["seconds"]) == ("done", 0)
    assert measured == [missing]
    # 8,000 images are 50 updates of 4 episodes of 5 classes of 5 + 3 images; 60 test episodes
    assert second["seconds"] == 50 * 2.0 + 60 * 0.5


def test_a_training_that_serves_two_cells_counts_once(plan_of, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.running.trial.time_once", lambda *_: (2.0, 0.0, 0.0))
    learner = plugins.learners().things["nearest-code"]
    shared = TaskSpec((1, 16, 16), 5, 5, 3, episodes_per_update=4)
    monkeypatch.setattr(learner, "training_task", classmethod(lambda *_: shared))
    rows = estimate_cells(plan_of("nearest-code"), tmp_path, PLACE, here=True)
    assert [row["seconds"] for row in rows] == [100.0, 0.0]


def test_one_seed_is_measured_for_all(plan_of, tmp_path, monkeypatch):
    measured = []

    def time_once(training, cell, device):
        measured.append((training.seed, cell.setting))
        return 2.0, 0.5, 0.0

    monkeypatch.setattr("bench.running.trial.time_once", time_once)
    rows = estimate_cells(plan_of("nearest-code", seeds=(3, 4, 5)), tmp_path, PLACE, here=True)
    assert measured == [(3, "5way1shot"), (3, "5way5shot")]
    assert [(row["seed"], row["seconds"]) for row in rows] == [
        (seed, seconds) for seconds in (230.0, 130.0) for seed in (3, 4, 5)
    ]


def test_probes_are_timed_on_sequences_of_a_middle_length(tiny_plugins, tiny_probe, tmp_path):
    chosen, who = choose_suites([str(tiny_probe)]), contestants(["recurrent"], plugins.learners())
    plan = make_plan(chosen, who, (0,), "cpu", "smoke", "fp32", tiny_plugins, print)
    rows = estimate_cells(plan, tmp_path, PLACE, here=True)
    assert [row["setting"] for row in rows] == ["length2", "length4"]
    assert all(row["seconds"] is not None for row in rows)
    training = plan.trainings[0]
    batch = any_batch(training, training.task)
    assert batch.x.shape == (8, 2 * 2 + 2, 10)  # 1 to 3 items
    assert any_batch(training, plan.cells[1].task).x.shape == (8, 2 * 4 + 2, 10)


def test_a_budget_of_minutes_takes_its_minutes(make_training):
    assert training_seconds(make_training(budget=Budget(minutes=3)), 1e9) == 180
    assert training_seconds(make_training(budget=Budget(updates=7)), 2.0) == 14
    assert training_seconds(make_training(budget=None), 2.0) == 0
