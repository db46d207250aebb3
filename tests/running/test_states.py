"""How far a run of other machines is: what it costs to say so."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.planning.jobs import Cell, Training
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.running.states import runs_in, state_of


def test_a_plan_that_is_a_link_to_nowhere_is_one_that_cannot_be_read(tmp_path):
    run = tmp_path / ".runs" / "0123456789ab"
    run.mkdir(parents=True)
    (run / "plan.json").symlink_to(tmp_path / "gone")
    (run.parent / "empty").mkdir()
    assert runs_in(tmp_path) == [run]
    told = CliRunner().invoke(cli, ["status", "--results", str(tmp_path)])
    assert told.exit_code == 1
    assert "run 0123456789ab: cannot read" in told.output


@pytest.mark.usefixtures("tiny_plugins")
def test_each_identity_is_computed_once(tiny_suite, tmp_path, monkeypatch):
    """Thousands of groups are looked at in seconds: nearly all of that was their identities."""
    seeds = tuple(range(5))
    asked = {
        "suites": [tiny_suite],
        "learners": ["nearest-code"],
        "seeds": seeds,
        "budget": "smoke",
    }
    prepare(Request(**asked, results=tmp_path)).write_plan()
    counts = {Training: 0, Cell: 0}

    def counted(kind):
        identity = kind.identity

        def count(self):
            counts[kind] += 1
            return identity(self)

        monkeypatch.setattr(kind, "identity", count)

    counted(Training)
    counted(Cell)
    (run,) = runs_in(tmp_path)
    told = state_of(run, print)
    groups = told.counts["unfinished"]
    assert groups == sum(told.counts.values()) >= 2 * len(seeds)
    assert counts[Training] == groups
    assert counts[Cell] == groups
