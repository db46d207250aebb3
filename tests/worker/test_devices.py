"""Places to compute."""

from __future__ import annotations

import subprocess
import sys

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
