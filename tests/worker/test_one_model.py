"""Timings of two GPU models never stand in one column."""

from __future__ import annotations

import pytest

from bench.api.executor import PlanMismatchError
from bench.worker import one_model
from bench.worker.devices import Device
from bench.worker.one_model import hold_model
from tests.helpers.synthetic import environment

GPU = Device.parse("cuda")


def on(monkeypatch, name: str) -> None:
    monkeypatch.setattr(one_model, "gpu_name", lambda device: name)


def test_the_first_one_decides(tmp_path, monkeypatch):
    on(monkeypatch, "NVIDIA A100")
    hold_model(tmp_path, GPU)
    hold_model(tmp_path, GPU)
    on(monkeypatch, "NVIDIA H100")
    with pytest.raises(PlanMismatchError, match=r"timed on a NVIDIA A100 .* this is a NVIDIA H100"):
        hold_model(tmp_path, GPU)
    hold_model(tmp_path, Device.parse("cuda:1"))  # a column of its own
    hold_model(tmp_path / "other", GPU)


def test_timings_of_an_older_version_count(tmp_path, monkeypatch):
    phase = {"median": 1.0, "low": 1.0, "high": 1.0, "repeats": 5}
    timing = one_model.TimingResult(
        device="cuda:0", phases={"adapt": phase}, throughput_batch=4, throughput=1.0, memory=1,
        environment=environment("cuda:0", device_name="NVIDIA V100"), source="",
        finished="",
    )  # fmt: skip
    file = tmp_path / "cells" / "s" / "5way" / "toy-1" / "timings" / "cuda-0.json"
    file.parent.mkdir(parents=True)
    file.write_text(timing.model_dump_json())
    on(monkeypatch, "NVIDIA A100")
    with pytest.raises(PlanMismatchError, match="V100"):
        hold_model(tmp_path, GPU)


def test_a_cpu_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(one_model, "gpu_name", None)
    hold_model(tmp_path, Device.parse("cpu"))
    assert list(tmp_path.iterdir()) == []
