"""What a run does with groups that end elsewhere: carried out, killed, cancelled, lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api.executor import Ended, Executor, Group, Resources, Site, Standing
from bench.groups.work import Stopping, work
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.running.runner import Runner, statuses
from tests.helpers.damage import one_setting

pytestmark = pytest.mark.usefixtures("tiny_plugins")

Script = list[Callable[[Group], Standing]]
"""What becomes of a group: one entry for each time that it is submitted."""


def carried_out(group: Group) -> Standing:
    work(group.plan, group.index, lambda event: None, Stopping())
    return Standing("ended")


def nothing(group: Group) -> Standing:
    return Standing("ended")


def killed(group: Group) -> Standing:
    return Standing("ended", Ended("memory", "used more than its job may have"))


def cancelled(group: Group) -> Standing:
    return Standing("cancelled")


class Engine(Executor):
    """An engine of other machines that does what a script says with trainings."""

    description = "for tests"
    elsewhere = True

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.script: Script = []
        self.submitted: list[str] = []
        self.groups: dict[str, Group] = {}
        self.before: set[str] = set()
        self.resources: dict[str, Resources] = {}

    def submit(self, group: Group, resources: Resources) -> str:
        self.submitted.append(group.name)
        self.groups[group.name] = group
        self.resources[group.name] = resources
        return group.name

    def reattach(self, group: Group) -> str | None:
        self.groups[group.name] = group
        return group.name if group.name in self.before else None

    def poll(self, handles: Sequence[str]) -> Mapping[str, Standing]:
        standings = {}
        for handle in handles:
            group = self.groups[handle]
            acts = self.script if handle.startswith("train") else []
            standings[handle] = (acts.pop(0) if acts else carried_out)(group)
        return standings

    def cancel(self, handles: Iterable[str]) -> None:
        pass


@pytest.fixture
def runner(tiny_suite, tmp_path, monkeypatch) -> Runner:
    """A run of one training with two cells: a learner that trains nothing."""
    from bench.registry.discovery import Found

    found = Found("executor", {"engine": Engine}, {"engine": "tests"}, [])
    monkeypatch.setattr("bench.running.prepare.executors", lambda name: found)
    suite = one_setting(tiny_suite, tmp_path / "one.toml")  # so that there is one training
    request = Request(
        suites=[suite], learners=["nearest-code"], budget="smoke", executor="engine",
        results=tmp_path / "r", threads=3, devices=["cpu"],
    )  # fmt: skip
    told: list[str] = []
    runner = prepare(request, notify=told.append)
    runner.told = told
    return runner


def failures(results: Path) -> dict[str, str]:
    """Kind of each failure, by the phase."""
    stored = [json.loads(file.read_text()) for file in results.rglob("*failure.json")]
    return {one["phase"]: one["kind"] for one in stored}


def test_what_is_done_elsewhere_is_told_here(runner):
    events = []
    runner.listener = lambda event: events.append((event.kind, event.assignment.phase))
    runner.run()
    assert [event for event in events if event[0] != "progress"] == [
        ("done", "train"), ("done", "test"), ("done", "audit"), ("done", "time"),
    ]  # fmt: skip
    assert failures(runner.results) == {}
    events.clear()
    runner.run()
    assert {kind for kind, _ in events} == {"kept"}


def test_threads_are_those_that_were_asked_for(runner):
    runner.run()
    assert {one.cpus for one in runner.executor.resources.values()} == {3}
    assert [one.exclusive for one in runner.executor.resources.values()] == [False, True]


def test_what_ends_without_a_word_is_submitted_again(runner):
    runner.executor.script = [nothing, nothing, carried_out]
    runner.run()
    assert [name[:5] for name in runner.executor.submitted] == ["train"] * 3 + ["time-"]
    assert failures(runner.results) == {}


def test_without_getting_on_it_has_failed_in_the_end_until_the_next_run(runner):
    runner.executor.script = [nothing] * 3
    runner.run()
    assert failures(runner.results) == {"train": "lost", "test": "training"}
    assert len(runner.executor.submitted) == 3, "nothing is left to time"
    runner.run()
    assert failures(runner.results) == {}


def test_a_part_that_was_killed_has_failed_and_the_rest_is_done(runner):
    def in_its_test(group) -> Standing:
        group.train().perform(lambda event: None)
        return killed(group)

    runner.executor.script = [in_its_test, carried_out]
    runner.run()
    assert failures(runner.results) == {"test": "memory"}
    (audits,) = runner.results.rglob("audits.json")
    assert audits.exists()


def test_a_test_that_lacks_answers_fails_once_where_its_job_is_killed_each_time(runner):
    runner.run()
    runner.executor.submitted.clear()
    runner.request = replace(runner.request, store=("answers",))
    runner.executor.script = [killed] * 3
    runner.run()
    assert failures(runner.results) == {"test": "memory"}
    assert [name[:5] for name in runner.executor.submitted] == ["train"]
    assert statuses(runner.plan, runner.results)["done"] == 1, "what was done is done"


def test_a_damaged_training_fails_once_where_its_job_is_killed_each_time(runner):
    runner.run()
    runner.executor.submitted.clear()
    (result,) = runner.results.glob("trainings/*/result.json")
    result.write_text("{")
    runner.executor.script = [killed] * 3
    runner.run()
    assert failures(runner.results) == {"train": "memory"}
    assert [name[:5] for name in runner.executor.submitted] == ["train"]
    assert result.with_name("result.json.damaged").exists()


def test_where_nothing_can_be_stored_nothing_is_submitted_again(runner, monkeypatch):
    monkeypatch.setattr("bench.running.following.fail_part", lambda *told: False)
    runner.executor.script = [killed] * 3
    runner.run()
    assert [name[:5] for name in runner.executor.submitted].count("train") == 1
    assert any("what it has not done is left" in line for line in runner.told)


def test_what_somebody_cancels_is_left_and_is_no_failure(runner):
    runner.executor.script = [cancelled]
    runner.run()
    assert failures(runner.results) == {}
    assert any("somebody has cancelled it" in line for line in runner.told)
    runner.run()
    assert list(runner.results.rglob("timings/cpu.json")), "the next run takes it up"


def test_what_an_earlier_run_has_submitted_is_followed(runner):
    runner.executor.before = {group.name for group in runner.groups()}
    runner.run()
    assert runner.executor.submitted == []
    assert list(runner.results.rglob("timings/cpu.json"))


def test_a_run_of_the_same_command_has_the_same_folder(runner):
    request = runner.request
    again = prepare(request)
    assert again.run_folder == runner.run_folder
    assert again.run_folder.parent == runner.results / ".runs"
