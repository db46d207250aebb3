"""Audits as a phase of `bench run`: what they are made on, where they lie, what stops them not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench.episodes.classes import ClassPool
from bench.episodes.words import Purpose
from bench.protocols.kshot import EpisodePool
from bench.protocols.online import Online, StreamPool
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.store.records import AuditResult
from bench.worker.auditing import FEWEST, MOST, audit_episodes
from tests.fixtures.tiny_plugins.tiny_plugins import NearestCode, Opens

pytestmark = pytest.mark.usefixtures("tiny_plugins")

COMMON: dict[str, Any] = {"budget": "smoke", "executor": "inline"}


def pool(classes: int = 12, images: int = 20, kind: type[ClassPool] = EpisodePool) -> ClassPool:
    """An image's pixels all say which class it is of."""
    pixels = torch.arange(classes, dtype=torch.uint8).repeat_interleave(images)
    starts = torch.arange(classes).numpy() * images
    counts = torch.full((classes,), images).numpy()
    return kind(pixels.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous(), starts, counts)


def run(suite: Path, learner: str, results: Path, **options: Any) -> list[tuple[str, str]]:
    """Runs, and lists (kind, phase) of all that happened but progress."""
    happened = []

    def listen(event):
        if event.kind != "progress":
            happened.append((event.kind, event.assignment.phase))

    options = {**COMMON, **options}
    asked = Request(suites=[suite], learners=[learner], results=results, **options)
    prepare(asked, listen).run()
    return happened


def the(results: Path, pattern: str) -> Path:
    (path,) = results.glob(pattern)
    return path


def outcomes(path: Path) -> dict[str, str]:
    return {a.name: a.outcome for a in AuditResult.model_validate_json(path.read_bytes()).audits}


# -- the episodes ---------------------------------------------------------------------------------


def test_few_episodes_of_the_training_s_own_task(make_training):
    # 3 ways x (1 shot + 2 queries) = 9 images, and 160 / 9 = 17 episodes, of which 8 are enough
    training = make_training(budget_name="standard")
    answered, others, given = audit_episodes(training, NearestCode, pool())
    assert isinstance(answered, Episodes)
    assert isinstance(given, Episodes)
    assert answered.support_x.shape == (MOST, 3, 1, 4, 4)
    assert answered.query_y.shape == (MOST, 6)
    assert answered.classes is None
    assert given.support_x.shape[0] == FEWEST
    assert not torch.equal(answered.support_x, others.support_x)


def test_smoke_audits_are_made_on_two_episodes(make_training):
    batches = audit_episodes(make_training(), NearestCode, pool())
    assert [len(batch.support_y) for batch in batches] == [FEWEST] * 3


def test_large_tasks_are_cut_down(make_training):
    task = TaskSpec((1, 4, 4), 60, shots=(1, 5), queries=15, classes=400)
    training = make_training(task=task, budget_name="standard")
    answered, _, _ = audit_episodes(training, NearestCode, pool(classes=50))
    # 20 ways x (3 shots + 2 queries) = 100 images: 160 / 100 is 1, and 2 are the fewest
    assert answered.support_y.shape == (2, 60)
    assert answered.query_y.shape == (2, 40)
    (few, _, _) = audit_episodes(training, NearestCode, pool(classes=7))
    assert few.ways == 7


def test_a_learner_that_reads_every_prefix_gets_short_streams(make_training):
    task = TaskSpec((1, 4, 4), 5, protocol="online", length=50)
    training = make_training(task=task, budget_name="standard")
    prefixes, _, _ = audit_episodes(training, NearestCode, pool(kind=StreamPool))
    streams, _, _ = audit_episodes(training, Opens, pool(kind=StreamPool))
    assert NearestCode.unroll is Learner.unroll
    # two presentations: 10 x 9 / 2 = 45 images a stream, 160 / 45 = 3
    assert prefixes.y.shape == (3, 10)
    # all ten: 160 / 50 = 3
    assert streams.y.shape == (3, 50)
    assert Online().audit_room == 160


def test_they_are_not_those_of_meta_validation(make_training):
    training, own = make_training(budget_name="standard"), pool()
    answered, others, _ = audit_episodes(training, NearestCode, own)
    task = training.task.but(queries=2)
    bank = own.build(task, own.draw(task, MOST, training.bank_seed, Purpose.VALIDATION))
    assert not torch.equal(answered.support_x, bank.support_x)
    assert not torch.equal(others.support_x, bank.support_x)


def test_loss_gets_class_numbers_that_the_learner_knows(make_training):
    training = make_training(task=TaskSpec((1, 4, 4), 5, protocol="online", length=10, classes=4))
    _, _, given = audit_episodes(training, NearestCode, pool(kind=StreamPool))
    assert isinstance(given, Stream)
    assert given.classes is not None
    assert given.classes.shape == (2, 5)
    assert given.classes.max() < 4


# -- in a run -------------------------------------------------------------------------------------


def test_a_training_is_audited_once_after_its_cells(tiny_suite, tmp_path):
    happened = run(tiny_suite, "nearest-code", tmp_path)
    done = [phase for kind, phase in happened if kind == "done"]
    assert done.count("audit") == done.count("train") == 2
    assert done.index("audit") > done.index("test")
    for path in tmp_path.glob("trainings/*/audits.json"):
        stored = AuditResult.model_validate_json(path.read_bytes())
        assert stored.seconds > 0
        assert stored.source
        assert stored.environment.device == "cpu"
        assert [audit.name for audit in stored.audits][:2] == ["query-labels", "query-independence"]
        assert outcomes(path)["query-labels"] == "passed"
        assert outcomes(path)["causality"] == "not applicable"
        assert "failed" not in outcomes(path).values()
    again = run(tiny_suite, "nearest-code", tmp_path)
    assert {kind for kind, _ in again} == {"kept"}
    assert ("kept", "audit") in again


def test_weights_are_left_as_they_are(tiny_suite, tmp_path):
    run(tiny_suite, "nearest-code", tmp_path)
    paths = sorted(tmp_path.glob("trainings/*/best.pt"))
    before = [path.read_bytes() for path in paths]
    for path in tmp_path.glob("trainings/*/audits.json"):
        path.unlink()
    run(tiny_suite, "nearest-code", tmp_path)
    assert [path.read_bytes() for path in paths] == before
    assert len(list(tmp_path.glob("trainings/*/audits.json"))) == 2


def test_weights_of_other_code_are_not_audited(tiny_suite, tmp_path):
    """What is found would be said of a result that the code of today has not made."""
    run(tiny_suite, "nearest-code", tmp_path)
    for folder in tmp_path.glob("trainings/*"):
        (folder / "audits.json").unlink()
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps(result | {"source": "of other code"}))
    happened = run(tiny_suite, "nearest-code", tmp_path)
    assert happened.count(("kept", "audit")) == 2
    assert not list(tmp_path.glob("trainings/*/audits*.json"))


def test_what_training_opens_is_found(tiny_online, tmp_path):
    """At initialisation the gate is shut: `bench check` would have to train it open."""
    run(tiny_online, "opens", tmp_path)
    told = outcomes(the(tmp_path, "trainings/opens-*/audits.json"))
    failed = {name for name, outcome in told.items() if outcome == "failed"}
    assert failed == {"causality", "two-views"}
    # Two short streams, all that a smoke budget answers, are too few.
    assert told["first-presentation"] == "not applicable"


def test_a_memory_probe_is_audited(tiny_probe, tmp_path):
    run(tiny_probe, "recurrent", tmp_path)
    told = outcomes(the(tmp_path, "trainings/recurrent-*/audits.json"))
    passed = {name for name, outcome in told.items() if outcome == "passed"}
    assert passed == {"query-labels", "episode-independence", "causality", "state-reset"}


def test_what_has_nothing_to_train_is_audited_too(tiny_online, tmp_path):
    run(tiny_online, "untrained", tmp_path)
    told = outcomes(the(tmp_path, "trainings/untrained-*/audits.json"))
    assert told["query-labels"] == "not applicable"
    assert told["causality"] == told["two-views"] == "passed"


def test_later_runs_audit_what_has_weights_and_no_audits(tiny_online, tmp_path):
    """Reference results come without weights: nothing is done, and nothing is called missing."""
    run(tiny_online, "nearest-code", tmp_path)
    audits = the(tmp_path, "trainings/*/audits.json")
    audits.unlink()
    assert ("done", "audit") in run(tiny_online, "nearest-code", tmp_path)
    audits.unlink()
    (audits.parent / "best.pt").unlink()
    assert {kind for kind, _ in run(tiny_online, "nearest-code", tmp_path)} == {"kept"}
    assert not list(audits.parent.glob("audits*"))


def test_a_learner_that_raises_in_an_audit_has_failed_that_one(tiny_online, tmp_path):
    happened = run(tiny_online, "raises-audited", tmp_path)
    assert "failed" not in {kind for kind, _ in happened}
    path = the(tmp_path, "trainings/*/audits.json")
    told = {audit["name"]: audit for audit in json.loads(path.read_text())["audits"]}
    assert told["query-labels"]["outcome"] == "failed"
    assert told["query-labels"]["found"] == "RuntimeError: no <loss> in eval()"
    assert "in loss" in told["query-labels"]["traceback"]
    assert told["causality"]["outcome"] == "passed"


def test_a_crash_costs_the_audits_and_nothing_else(tiny_online, tmp_path):
    asked = {"executor": "local"}
    happened = run(tiny_online, "exits-audited", tmp_path, **asked)
    assert [phase for kind, phase in happened if kind == "failed"] == ["audit"]
    assert the(tmp_path, "cells/*/*/*/result.json")
    assert the(tmp_path, "cells/*/*/*/timings/cpu.json")
    path = the(tmp_path, "trainings/*/audits.failure.json")
    told = json.loads(path.read_text())
    assert (told["kind"], told["phase"]) == ("exit", "audit")
    assert "exit code 3" in told["reason"]
    kept = run(tiny_online, "exits-audited", tmp_path, **asked)
    assert {kind for kind, _ in kept} == {"kept"}
    again = run(tiny_online, "exits-audited", tmp_path, retry_failed=True, **asked)
    assert ("start", "audit") in again


def test_a_training_that_failed_is_not_audited(tiny_online, tmp_path):
    happened = run(tiny_online, "raises", tmp_path)
    assert [kind for kind, phase in happened if phase == "audit"] == ["kept"]
