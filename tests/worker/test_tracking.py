"""Trackers are told how a training goes, and never stop it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import bench
from bench.api.tracker import Tracker
from bench.errors import BenchError
from bench.registry.discovery import Found
from bench.results.reading import read_results
from bench.store.files import learning_curve
from bench.worker import tracking
from bench.worker.tensorboard import FOLDER

TOLD = []
PAGE = Path(__file__).parents[2] / "docs" / "running.md"


class Remembers(Tracker):
    def __init__(self, tracked):
        super().__init__(tracked)
        TOLD.append(("begin", tracked))

    def log(self, update, values):
        TOLD.append((update, dict(values)))

    def close(self):
        TOLD.append(("close", None))


class Breaks(Tracker):
    def log(self, update, values):
        raise RuntimeError("no network\nat all")


@pytest.fixture
def known(monkeypatch):
    things = {"remembers": Remembers, "breaks": Breaks}
    monkeypatch.setattr(tracking, "trackers", lambda *names: Found("tracker", things, {}, []))
    monkeypatch.setattr("bench.running.request.names_of", lambda kind: frozenset(things))
    TOLD.clear()


def run(suite, tmp_path, tracker, **options):
    return bench.run(
        [str(suite)], ["nearest-code"], budget="500examples", results=tmp_path / "results",
        executor="inline", tracker=tracker, **options,
    )  # fmt: skip


def test_each_meta_validation_is_told_once(tiny_suite, tmp_path, known):
    frame = run(tiny_suite, tmp_path, "remembers")
    training = read_results(tmp_path / "results").rows[0].training
    curve = learning_curve(tmp_path / "results", training, [], "accuracy")
    (kind, tracked), *points = TOLD[: TOLD.index(("close", None))]  # of the first of two trainings
    assert kind == "begin"
    assert (tracked.learner, tracked.seed, tracked.updates) == ("nearest-code", 0, 0)
    assert tracked.id == training[-12:]
    validated = [(update, own["val_accuracy"]) for update, own in points if "val_accuracy" in own]
    assert [value for _, value in validated] == [point.score for point in curve]
    assert all({"loss", "examples", "seconds"} <= set(own) for _, own in points)
    assert set(frame.status) == {"done"}


def test_without_a_tracker_nobody_is_told(tiny_suite, tmp_path, known):
    run(tiny_suite, tmp_path, "")
    assert TOLD == []


def test_a_broken_tracker_does_not_stop_a_training(tiny_suite, tmp_path, known):
    notes = []
    frame = run(
        tiny_suite, tmp_path, "breaks",
        notify=notes.append,
    )  # fmt: skip
    assert set(frame.status) == {"done"}
    assert (
        notes.count("breaks: no network; the training goes on and is not tracked") == 2
    )  # trainings


def use_example(monkeypatch, package, stand_in, name):
    """The page's code for a package, with another in its place."""
    blocks = PAGE.read_text(encoding="utf-8").split("```python\n")
    (code,) = [b.partition("```")[0] for b in blocks if b.startswith(f"import {package}\n")]
    monkeypatch.setitem(sys.modules, package, stand_in)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    things = {package: names[name]}
    monkeypatch.setattr(tracking, "trackers", lambda *names: Found("tracker", things, {}, []))
    monkeypatch.setattr("bench.running.request.names_of", lambda kind: frozenset(things))


def test_the_example_for_weights_and_biases(tiny_suite, tmp_path, known, monkeypatch):
    told = []

    class Run:
        def log(self, values, step):
            told.append((step, values))

        def finish(self):
            told.append("finished")

    began = []
    wandb = SimpleNamespace(init=lambda **about: began.append(about) or Run())
    use_example(monkeypatch, "wandb", wandb, "WeightsAndBiases")
    run(tiny_suite, tmp_path, "wandb")
    assert {about["project"] for about in began} == {"bench"}
    assert len({about["id"] for about in began}) == len(began) == told.count("finished")
    assert any("val_accuracy" in own[1] for own in told if own != "finished")


def test_the_example_for_mlflow(tiny_suite, tmp_path, known, monkeypatch):
    runs = {}  # by the training's tag
    active = []

    def start_run(run_id=None, run_name=None, tags=None):
        assert not active, "a run at a time"
        active.append(run_id or tags["training"])
        runs.setdefault(active[0], {"params": 0, "metrics": [], "begun": 0})["begun"] += 1

    def search_runs(filter_string, output_format):
        assert output_format == "list"
        mine = filter_string.split("'")[1]
        return [SimpleNamespace(info=SimpleNamespace(run_id=mine))] if mine in runs else []

    def log_params(about):
        runs[active[0]]["params"] += 1

    def log_metrics(values, step):
        runs[active[0]]["metrics"].append((step, values))

    mlflow = SimpleNamespace(
        set_experiment=lambda name: None, start_run=start_run, search_runs=search_runs,
        log_params=log_params, log_metrics=log_metrics, end_run=active.clear,
    )  # fmt: skip
    use_example(monkeypatch, "mlflow", mlflow, "MLflow")
    run(tiny_suite, tmp_path, "mlflow")
    assert not active
    assert len(runs) == 2
    assert all(any("val_accuracy" in own for _, own in one["metrics"]) for one in runs.values())
    run(tiny_suite, tmp_path / "again", "mlflow")  # as what is interrupted goes on
    assert [(one["begun"], one["params"]) for one in runs.values()] == [(2, 1)] * 2


def test_an_unknown_tracker_is_a_mistake(tiny_suite, tmp_path):
    with pytest.raises(BenchError, match=r"(?s)no tracker is called 'tensorbord'.*tensorboard"):
        run(tiny_suite, tmp_path, "tensorbord")


def test_tensorboard_has_the_curve(tiny_suite, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(tiny_suite, tmp_path, "tensorboard")
    training = read_results(tmp_path / "results").rows[0].training
    events = accumulator.EventAccumulator(
        str(tmp_path / "results" / "trainings" / training / FOLDER)
    ).Reload()
    curve = learning_curve(tmp_path / "results", training, [], "accuracy")
    logged = [event.value for event in events.Scalars("val_accuracy")]
    assert np.allclose(logged, [point.score for point in curve])
    assert "loss" in events.Tags()["scalars"]


def test_tensorboard_that_is_not_installed_is_said(tiny_suite, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    notes = []
    frame = run(
        tiny_suite, tmp_path, "tensorboard",
        notify=notes.append,
    )  # fmt: skip
    assert set(frame.status) == {"done"}
    assert any("needs the package tensorboard" in note for note in notes)
