"""What a meta-training and its test store."""

from __future__ import annotations

import json

import pytest

from bench.api import TaskSpec
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.worker.meta_training import published_updates
from bench.worker.perform import perform


class Asked:
    """A learner that is asked for its paper's schedule."""

    config = None

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def published_updates(self, config: object, task: TaskSpec) -> object:
        """As given; an exception is raised."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "stored"),
    [(60_000, 60_000), (None, None), (0, None), (True, None), ("60", None), (OSError("no"), None)],
)
def test_no_training_is_lost_over_what_its_paper_did(answer, stored):
    assert published_updates(Asked(answer), TaskSpec((1, 28, 28), 5, 1, 1)) == stored


def test_training_and_cell_say_for_how_long_the_paper_trained(tiny_suite, tmp_path):
    runner = prepare(
        Request(suites=[tiny_suite], learners=["prototypical"], budget="smoke", results=tmp_path)
    )
    group = runner.groups()[0]
    perform(group.train(), lambda event: None)
    trained = group.train().output
    assert json.loads(trained.read_text())["published_updates"] == 20_000
    test = group.test(group.cells[0])
    perform(test, lambda event: None)
    assert json.loads(test.output.read_text())["published_updates"] == 20_000
    older = json.loads(trained.read_text())
    del older["published_updates"]
    trained.write_text(json.dumps(older))
    test.output.unlink()
    perform(test, lambda event: None)
    assert json.loads(test.output.read_text())["published_updates"] is None
