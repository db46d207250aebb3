"""What a worker does before and after its phase."""

from __future__ import annotations

import threading

from bench.running.prepare import prepare
from bench.running.request import Request
from bench.store.atomic import locked
from bench.worker.perform import perform


def test_waiting_for_another_process_is_told_and_so_is_working(tiny_suite, tmp_path):
    """The limit of time is for work: whoever watches it has to know."""
    runner = prepare(
        Request(suites=[tiny_suite], learners=["untrained"], budget="smoke", results=tmp_path)
    )
    assignment = runner.groups()[0].train()
    told, waits = [], threading.Event()

    def progress(event):
        told.append(event)
        waits.set()

    with locked(assignment.folder):
        worker = threading.Thread(target=perform, args=(assignment, progress))
        worker.start()
        assert waits.wait(120)
        assert told == [{"state": "waiting"}]
        assert not assignment.done
    worker.join(120)
    assert told[:2] == [{"state": "waiting"}, {"state": "working"}]
    assert assignment.done
    told.clear()
    perform(assignment, progress)
    assert told == [], "nobody else is there, and nothing is left to do"
