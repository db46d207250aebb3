"""Devices by name, and what is said of this machine."""

from __future__ import annotations

import json

import pytest
import torch

from bench.errors import BenchError
from bench.running.places import usable_places
from bench.worker.devices import Device, cores
from bench.worker.environment import _installed_commit, checkout, environment


@pytest.mark.parametrize(
    ("name", "kind", "threads", "as_torch"),
    [
        ("cpu", "cpu", None, "cpu"),
        ("cpu/1", "cpu", 1, "cpu"),
        ("cpu/16", "cpu", 16, "cpu"),
        ("cuda:0", "cuda", None, "cuda:0"),
        ("cuda:1", "cuda", None, "cuda:1"),
        ("mps", "mps", None, "mps"),
    ],
)
def test_names(name, kind, threads, as_torch):
    device = Device.parse(name)
    assert (device.name, device.kind, device.threads) == (name, kind, threads)
    assert device.torch == torch.device(as_torch)


@pytest.mark.parametrize(("name", "same"), [("cuda", "cuda:0"), ("cuda:01", "cuda:1")])
def test_a_device_has_one_name(name, same):
    assert Device.parse(name) == Device.parse(same)
    assert Device.parse(name).name == same


def test_a_device_that_is_named_twice_is_used_once(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    asked = ["cuda", "cpu/1", "cuda:0", "cuda:1", "cpu/1"]
    assert [place.name for place in usable_places(asked)] == ["cuda:0", "cpu/1", "cuda:1"]


@pytest.mark.parametrize(
    "name", ["", "gpu", "cpu/0", "cpu/", "cpu/-1", "cpu:1", "cuda/1", "cuda:", "cuda:x", "CPU"]
)
def test_names_that_mean_nothing_are_told(name):
    with pytest.raises(BenchError, match=r"no device is called .*; use cpu, cpu/1"):
        Device.parse(name)


def test_a_device_that_is_not_here_is_told(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    Device.parse("cpu/1").check()
    with pytest.raises(
        BenchError, match=r"cuda:0 is not here: no CUDA device is visible .*`bench doctor`"
    ):
        Device.parse("cuda").check()
    with pytest.raises(BenchError, match="mps is not here"):
        Device.parse("mps").check()
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    Device.parse("cuda:1").check()
    with pytest.raises(BenchError, match="cuda:2 is not here: 2 CUDA devices are visible"):
        Device.parse("cuda:2").check()


@pytest.mark.parametrize(
    ("name", "threads", "used"), [("cpu/1", 3, 3), ("cpu/2", None, 2), ("cpu", 2, 2)]
)
def test_threads_are_those_given_or_else_those_of_the_device(name, threads, used):
    before = torch.get_num_threads()
    try:
        Device.parse(name).use(threads)
        assert torch.get_num_threads() == used
        assert environment(Device.parse(name)).threads == used
    finally:
        torch.set_num_threads(before)


def test_the_environment_says_where_and_with_what():
    here = environment(Device.parse("cpu/1"))
    assert here.device == "cpu/1"
    assert here.device_name
    assert here.torch == torch.__version__
    assert cores() >= 1


def test_the_commit_is_that_of_the_checkout():
    commit, dirty = checkout()
    assert (commit is None) == (dirty is None)
    if commit is not None:
        assert len(commit) == 12
        int(commit, 16)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"url": "https://x", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}, True),
        ({"url": "file:///bench", "dir_info": {"editable": True}}, False),
        ([], False),
        (None, False),
    ],
    ids=["repository", "folder", "no table", "index"],
)
def test_the_commit_that_pip_noted(origin, expected, tmp_path, monkeypatch):
    notes = tmp_path / "bench_metalearning-0.1.0.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-metalearning\n")
    if origin is not None:
        (notes / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _installed_commit(tmp_path) == ("0123456789ab" if expected else None)
    assert _installed_commit(tmp_path / "elsewhere") is None  # it is of other code
