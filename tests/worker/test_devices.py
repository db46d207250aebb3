"""Places to compute."""

from __future__ import annotations

import subprocess
import sys

import torch

from bench.worker.devices import seed_generators

SWITCHES = """
import torch
from bench.worker.devices import Device

convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
assert convolutions.allow_tf32  # what torch does where nothing is said
Device.parse("cuda").use(1)
assert not convolutions.allow_tf32 and not products.allow_tf32
for switch in (getattr(convolutions, "conv", None), getattr(convolutions, "rnn", None), products):
    assert getattr(switch, "fp32_precision", "ieee") == "ieee"
"""


def test_fp32_on_a_gpu_is_that_of_a_cpu() -> None:
    subprocess.run([sys.executable, "-c", SWITCHES], check=True, timeout=120)


def test_generators_are_seeded_as_torch_does() -> None:
    torch.manual_seed(2**63 - 1)
    expected = torch.rand(3), torch.randperm(9)
    torch.rand(1)
    seed_generators(2**63 - 1)
    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(torch.randperm(9), expected[1])
