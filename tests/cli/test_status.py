"""`bench run --plan-only`, `bench work` and `bench status`, one after another."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner, Result

from bench.cli import cli
from bench.errors import BenchError
from tests.helpers.damage import one_setting


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_fleet_by_hand(tiny_suite, tmp_path):
    suite = one_setting(tiny_suite, tmp_path / "one.toml")
    results = str(tmp_path / "r")
    asked = ["run", "--suite", str(suite), "--budget", "smoke", "--results", results]
    asked += ["--learner", "untrained", "--learner", "raises", "--plan-only"]
    planned = bench(*asked)
    assert planned.exit_code == 0, planned.output
    assert "4 of 4 groups are left to do" in planned.output
    assert "trainings with their tests and audits, side by side: 0-1" in planned.output
    assert "timings, afterwards, each alone on its device: 2-3" in planned.output
    (plan,) = Path(results).glob(".runs/*/plan.json")
    assert f"bench work {plan} --index N" in planned.output
    told = bench("status", "--results", results)
    assert told.exit_code == 0
    assert "0 queued, 0 running, 0 done, 0 failed, 4 unfinished" in told.output
    names = [group["name"] for group in json.loads(plan.read_text())["groups"]]
    bad = next(number for number, name in enumerate(names) if name.startswith("train-raises"))
    codes = [bench("work", str(plan), "--index", str(index)).exit_code for index in range(4)]
    assert codes[bad] == 1
    assert sorted(codes) == [0, 0, 0, 1]
    told = bench("status", "--results", results)
    assert told.exit_code == 1
    assert "0 queued, 0 running, 3 done, 1 failed, 0 unfinished" in told.output
    assert re.search(r"failed: train of train-raises-\w+: RuntimeError: this learner", told.output)
    assert "logs:" in told.output
    assert "1 of 4 groups" not in bench(*asked).output, "nothing is left to do, but what failed"


def test_of_a_folder_without_such_runs(tmp_path):
    told = bench("status", "--results", str(tmp_path))
    assert told.exit_code == 0
    assert "no run of other machines is in this results folder" in told.output


def test_of_a_folder_that_is_not_there(tmp_path):
    told = bench("status", "--results", str(tmp_path / "nothere"))
    assert isinstance(told.exception, BenchError)
    assert "is no folder; name another with --results" in str(told.exception)


def test_a_plan_that_cannot_be_read_hides_no_other(tiny_suite, tmp_path):
    suite = one_setting(tiny_suite, tmp_path / "one.toml")
    results = str(tmp_path / "r")
    asked = ["run", "--suite", str(suite), "--budget", "smoke", "--results", results]
    assert bench(*asked, "--learner", "untrained", "--plan-only").exit_code == 0
    old = tmp_path / "r" / ".runs" / "ffffffffffff"
    old.mkdir()
    (old / "plan.json").write_text('{"bench": "0.0.1", "plan_schema": 1}')
    told = bench("status", "--results", results)
    assert told.exit_code == 1
    assert "2 unfinished" in told.output
    assert "run ffffffffffff: " in told.output
    assert "was written by bench 0.0.1" in told.output
