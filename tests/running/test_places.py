"""Which devices a run may name: those of this machine, or whatever others have."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.running.places import usable_places
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.worker.devices import Device


def test_a_login_node_needs_no_gpu():
    with pytest.raises(BenchError, match="cuda:0 is not here"):
        usable_places(["cuda"])
    assert usable_places(["cuda", "cpu"], elsewhere=True) == [
        Device("cuda:0", "cuda", None), Device("cpu", "cpu", None),
    ]  # fmt: skip
    with pytest.raises(BenchError, match="cuda:1: which GPU of which machine it is, the executor"):
        usable_places(["cuda:1"], elsewhere=True)


def prepared(suite, results, **more):
    request = Request(
        suites=[suite], learners=["nearest-code"], budget="smoke", results=results, **more
    )
    return prepare(request)


def test_a_plan_for_gpus_is_the_same_as_where_they_are(tiny_suite, tmp_path, monkeypatch):
    on_the_login_node = prepared(tiny_suite, tmp_path, devices=["cuda"], executor="slurm")
    groups = on_the_login_node.groups()
    asked = [on_the_login_node.resources(group) for group in groups]
    assert {one.gpus for one in asked} == {1}
    assert {one.cpus for one in asked} == {1}, "never those of the machine that submits"
    monkeypatch.setattr(Device, "check", lambda self: None)
    here = prepared(tiny_suite, tmp_path, devices=["cuda"])
    assert [group.name for group in here.groups()] == [group.name for group in groups]
    spread = [here.resources(group).gpu for group in here.groups()]
    assert spread == [None, None, 0, 0], "trainings go anywhere, timings to the first"
    one = prepared(tiny_suite, tmp_path, devices=["cuda:1"])
    assert [one.resources(group).gpu for group in one.groups()] == [1, 1, 1, 1]


def test_cpus_that_a_site_gives_are_the_threads(tiny_suite, tmp_path):
    cluster = {"executor": "slurm", "options": {"cpus-per-task": "6"}}
    assert prepared(tiny_suite, tmp_path, **cluster).threads == 6
    assert prepared(tiny_suite, tmp_path, **cluster, threads=6).threads == 6
    with pytest.raises(BenchError, match="4 threads are asked for, and the options of the exec"):
        prepared(tiny_suite, tmp_path, **cluster, threads=4)


def test_options_that_an_executor_does_not_have(tiny_suite, tmp_path):
    with pytest.raises(BenchError, match="-X partition: the executor 'local' takes no options"):
        prepared(tiny_suite, tmp_path, options={"partition": "gpu"})
