"""Places to compute."""

from __future__ import annotations

import pytest
import torch

from bench.worker.devices import Device


def test_fp32_on_a_gpu_is_that_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    names = ("benchmark", "deterministic", "allow_tf32")
    before = [getattr(convolutions, name) for name in names], products.allow_tf32
    try:
        convolutions.allow_tf32 = products.allow_tf32 = True
        Device.parse("cuda").use()
        assert not convolutions.allow_tf32
        assert not products.allow_tf32
    finally:
        for name, value in zip(names, before[0], strict=True):
            setattr(convolutions, name, value)
        products.allow_tf32 = before[1]
