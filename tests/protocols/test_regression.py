"""Regression end to end: from a suite file to a report, with the real CLI's own function."""

from __future__ import annotations

import json

import pytest

import bench
from bench.protocols.regression import Regression
from bench.report.write import write_report

SUITE = """
name = "tiny-gp"
version = 1
title = "Tiny"
description = "For tests."
dataset = "gp-rbf"
protocol = "{protocol}"
test = {{ episodes = 4 }}

[settings.one]
{setting}

[budgets.smoke]
updates = 3
validations = 1
validation_images = 40

[budgets.standard]
updates = 3
"""


@pytest.fixture(params=["regression", "online-regression"])
def ran(request, tmp_path):
    setting = "shots = 3\nqueries = 2" if request.param == "regression" else "length = 5"
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE.format(protocol=request.param, setting=setting))
    learners = ["maml[filters=4]", "cnp[width=8,filters=8,heads=2]", "from-scratch"]
    bench.run(
        suites=[str(suite)], learners=learners, results=tmp_path / "results", budget="smoke",
        executor="inline", seeds=[0],
    )  # fmt: skip
    return tmp_path / "results"


def test_results_have_the_best_answer_and_the_best_constant_beside(ran):
    frame = bench.load_results(ran)
    assert set(frame.status) == {"done"}
    results = [json.loads(path.read_text()) for path in ran.glob("cells/**/result.json")]
    assert len(results) == 3
    for result in results:
        metrics = result["metrics"]
        assert {"mse", "constant_mse", "oracle_mse", "oracle_log_likelihood"} <= metrics.keys()
        assert ("log_likelihood" in metrics) == (result["learner_name"] == "cnp")
        assert result["measure"]["metric"] == "mse"
    learners = {result["learner_name"]: result for result in results}
    config = learners["maml"]["config"]
    assert (config["inner_lr"], config["encoder"], config["filters"]) == (0.01, "mlp", 4)
    assert learners["maml"]["learner"] == "maml[filters=4]"
    write_report(ran, formats=["html"])
    page = (ran / "report.html").read_text()
    assert "best constant" in page
    assert "Meta-validation mean squared error" in page


def test_a_task_is_described():
    task = Regression().tiny_task()
    assert Regression().describe_task(task.but(shots=(3, 46))) == "3-46 points"
