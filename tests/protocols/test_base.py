"""A protocol from another package: from its suite file to a report, and what is wrong with some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from bench import registry
from bench.cli import cli
from bench.errors import BenchError
from bench.protocols.answers import ContractError, NotFiniteError, Scores, answer, rounded
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.store.files import episode_scores
from bench.store.records import CellResult, TrainingResult
from bench.suites.schema import read_suite
from bench.testing import check_learner


def bench(*words: object) -> str:
    """What a command prints; it has to succeed."""
    result = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)
    assert result.exception is None, result.exception
    return result.output


@pytest.fixture
def ran(tiny_regression: Path, tmp_path: Path) -> Path:
    """Results of both learners on both settings."""
    results, learners = tmp_path / "results", ["least-squares", "flat"]
    asked = Request(
        suites=[str(tiny_regression)], learners=learners, results=results,
        devices=["cpu/1"], budget="smoke", executor="inline",
    )  # fmt: skip
    prepare(asked).run()
    return results


def test_a_protocol_from_outside_runs_from_suite_file_to_report(ran, tiny_regression):
    paths = sorted(ran.glob("cells/*/*/*/result.json"))
    cells = [CellResult.model_validate_json(path.read_bytes()) for path in paths]
    assert {(c.setting, c.learner_name) for c in cells} == {
        (setting, learner)
        for setting in ("3points", "6points")
        for learner in ("least-squares", "flat")
    }
    for cell, path in zip(cells, paths, strict=True):
        assert cell.protocol == "wave-regression"
        assert set(cell.metrics) == {"mse", "nll"}
        assert (cell.by_presentation, cell.bits, cell.reliability) == (None, None, None)
        assert cell.measure is not None
        assert (cell.measure.metric, cell.measure.higher_is_better) == ("mse", False)
        assert json.loads((path.parent / "cell.json").read_text())["measure"]["metric"] == "mse"
        scores = episode_scores(path.parent)
        assert len(scores.of("mse")) == cell.episodes == 20
        assert np.mean(scores.of("mse")) == pytest.approx(cell.metrics["mse"].mean, abs=1e-5)
        assert scores.of("accuracy") == []
        timing = json.loads((path.parent / "timings" / "cpu-1.json").read_text())
        assert "answer" in timing["phases"]
        assert timing["throughput"] > 0
    told = bench("results", "--results", ran)
    assert "tiny-regression" in told
    assert "least-squares" in told
    bench("report", "--results", ran)
    assert "tiny-regression" in (ran / "report.html").read_text()
    assert bench("check", tiny_regression).count("fits") == 2


def test_its_settings_share_a_training_and_the_best_weights_have_the_smallest_error(ran):
    """The keys of the suite that only this protocol has make the task of the training."""
    trainings = list(ran.glob("trainings/least-squares-*/result.json"))
    stored = [TrainingResult.model_validate_json(path.read_bytes()) for path in trainings]
    # the noise of the settings differs, and so do the tasks
    assert {t.task["details"][0][1] for t in stored} == {0.1, 0.2}
    for training in stored:
        assert training.task["shots"] == [2, 6]
        errors = {point.updates: point.val_scores["mse"] for point in training.curve}
        assert errors[training.best_update] == min(errors.values())
        assert training.best_val_accuracy is None
        # 6 points at most and 4 queries: 400 inputs are 40 waves; 8 waves an update
        assert training.examples >= 4000
    for path in ran.glob("trainings/*/audits.json"):
        outcomes = {a["name"]: a["outcome"] for a in json.loads(path.read_text())["audits"]}
        assert outcomes["episode-independence"] == outcomes["state-reset"] == "passed"
        assert outcomes["two-views"] == outcomes["query-labels"] == "not applicable"


def test_its_learners_can_be_checked(tiny_regression):
    learner = registry.learners().get("least-squares")
    results = {result.name: result for result in check_learner(learner)}
    assert [r for r in results.values() if r.status == "fail"] == []
    assert results["declaration"].status == "pass"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("shots = 3", "shots = 0", "settings.3points.shots: Input should be greater than or equal"),
        ("shots = 3", "shot = 3", "settings.3points.shot: unknown key; did you mean 'shots'"),
        (
            "shots = 3",
            "shots = 3\nways = 2",
            "settings.3points.ways: the wave-regression protocol has",
        ),
        ("training_shots = [2, 6]", "", "training_shots: missing"),
        ("training_shots", "training_shot", "training_shot: unknown key; did you mean 'training_s"),
        (
            'dataset = "waves"',
            'dataset = "waves"\nsplit = "a"',
            "split: the wave-regression protocol",
        ),
        ('"wave-', '"wawe-', "protocol: no protocol is called 'wawe-regression'; did you me"),
        ('"wave-regression"', '"kshot"', "training_shots: the kshot protocol has none"),
    ],
)
def test_its_suite_file_is_explained(tiny_regression, tmp_path, old, new, said):
    path = tmp_path / "changed.toml"
    path.write_text(tiny_regression.read_text().replace(old, new, 1))
    with pytest.raises(BenchError) as caught:
        read_suite(path)
    assert f"\n  {said}" in str(caught.value)


def test_a_dataset_of_another_kind_is_told(tiny_regression, tmp_path):
    path = tmp_path / "changed.toml"
    path.write_text(tiny_regression.read_text().replace('"waves"', '"copy"', 1))
    with pytest.raises(BenchError, match="is about waves, and 'copy' has none"):
        prepare(Request(suites=[str(path)], learners=["least-squares"], results=tmp_path))


BROKEN = """
from bench.protocols.kshot import KShot
from bench.protocols.settings import Keys, Setting

class Nothing:
    pass

class Named(KShot):
    name = "another"

class NoSetting(KShot):
    name = "no-setting"
    setting = dict

class Taking(Keys):
    budgets: int

class TakesKeys(KShot):
    name = "takes-keys"
    keys = Taking

class Unfinished(KShot):
    name = "unfinished"
    from abc import abstractmethod
    @abstractmethod
    def more(self): ...
"""


def test_protocols_that_cannot_be_used_are_problems_and_disturb_no_other(install):
    install(
        "broken", BROKEN,
        protocols={
            "nothing": "broken:Nothing", "named": "broken:Named", "no-setting": "broken:NoSetting",
            "unfinished": "broken:Unfinished", "absent": "broken:Absent",
            "takes-keys": "broken:TakesKeys",
        },
    )  # fmt: skip
    found = registry.protocols()
    assert {"kshot", "online", "sequence"} <= set(found.things)
    reasons = {problem.name: problem.reason for problem in found.problems}
    assert set(reasons) == {"nothing", "named", "no-setting", "unfinished", "absent"}
    assert "is not a subclass of bench.protocols.base.Protocol" in reasons["nothing"]
    assert "its entry point is called 'named', and its name is 'another'" in reasons["named"]
    assert "NoSetting.setting is <class 'dict'>" in reasons["no-setting"]
    assert "Unfinished does not define more" in reasons["unfinished"]
    told = bench("list", "protocols")
    for name in ("kshot", *reasons):
        assert name in told


def test_a_protocol_may_not_take_keys_that_all_suites_have(install, tiny_suite, tmp_path):
    install("broken", BROKEN, protocols={"takes-keys": "broken:TakesKeys"})
    path = tmp_path / "changed.toml"
    path.write_text(tiny_suite.read_text().replace('"kshot"', '"takes-keys"'))
    with pytest.raises(BenchError, match="adds keys that suites have: budgets"):
        read_suite(path)


# -- what the defaults do -------------------------------------------------------------------------


@pytest.fixture
def regression(tiny_regression):
    return registry.protocol("wave-regression")


def test_a_mark_is_averaged_over_an_episode(regression):
    marks = {"mse": torch.tensor([[1.0, 3.0], [0.0, 1.0]]), "one": torch.tensor([1.0, 2.0])}
    scores = regression.scores(marks, None)
    assert scores.values["mse"].tolist() == [2.0, 0.5]
    assert scores.values["one"].tolist() == [1.0, 2.0]
    summary = regression.summarise(scores, None)
    assert summary.metrics["mse"].mean == 1.25
    assert summary.metrics["mse"].n == 2
    assert summary.warnings == []


def test_the_better_meta_validation_has_the_larger_rank(regression):
    ranks = [regression.rank({"mse": error}) for error in (0.5, 2.0, float("nan"))]
    assert ranks[0] > ranks[1] > ranks[2]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda y: y[:, 1:], ContractError, r"\(2, 3, 1\); expected \(waves, points, values\) = "),
        (lambda y: y / 0, NotFiniteError, "predict returned logits that are not finite"),
        (lambda y: None, ContractError, "predict returned NoneType; expected a tensor, "),
    ],
)
def test_answers_that_break_the_contract(regression, change, error, said):
    learner = registry.learners().get("flat")
    task = regression.task(regression.setting(shots=2, queries=4), None, None, 2)
    batch = regression.stand_in(registry.datasets().get("waves"), task, 0)
    made = learner(learner.Config(), task)
    assert answer(regression, made, batch).shape == (2, 4, 1)
    made.predict = lambda state, x: change(torch.ones(2, 4, 1))
    with pytest.raises(error, match=said):
        answer(regression, made, batch)


def test_means_are_of_what_is_one_number_per_episode():
    scores = Scores({"a": np.array([1.0, 2.0]), "curve": np.ones((2, 3))})
    assert scores.means() == {"a": 1.5}


def test_stored_scores_have_six_decimals_and_counts_are_counts():
    assert rounded(np.array([1 / 3, 1.0])) == [0.333333, 1.0]
    assert rounded(np.array([[2 / 3], [0.0]])) == [[0.666667], [0.0]]
    assert json.dumps(rounded(np.array([3, 0]))) == "[3, 0]"
