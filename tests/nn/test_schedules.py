"""How learning rates fall."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.nn import adam, scheduled


def rates(made, updates):
    optimizer, scheduler = made
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def weight():
    return [nn.Parameter(torch.zeros(1))]


def test_a_rate_falls_linearly_and_is_zero_after_the_last_update():
    made = scheduled(torch.optim.SGD(weight(), lr=0.4), 4, "linear")
    assert rates(made, 4) == pytest.approx([0.4, 0.3, 0.2, 0.1, 0])


def test_a_rate_falls_along_half_a_cosine():
    made = scheduled(torch.optim.SGD(weight(), lr=0.4), 4, "cosine")
    half = 0.2 * math.sqrt(0.5)
    assert rates(made, 4) == pytest.approx([0.4, 0.2 + half, 0.2, 0.2 - half, 0])


def test_a_constant_rate_stays():
    made = scheduled(torch.optim.SGD(weight(), lr=0.4), 4, "constant")
    assert rates(made, 9) == pytest.approx([0.4] * 10)


def test_the_fused_adam_takes_the_steps_of_the_plain_one():
    start = torch.randn(7, 3)
    made = [nn.Parameter(start.clone()), nn.Parameter(start.clone())]
    optimizers = adam(made[:1], 1e-2, 9, "constant")[0], torch.optim.Adam(made[1:], 1e-2)
    for seed in range(5):
        gradient = torch.randn(7, 3, generator=torch.Generator().manual_seed(seed))
        for parameter, optimizer in zip(made, optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(*made, rtol=0, atol=1e-6)


def test_adam_is_adam_and_falls_linearly_unless_asked_otherwise():
    made = adam(weight(), 1e-3, 2)
    assert isinstance(made[0], torch.optim.Adam)
    assert rates(made, 2) == pytest.approx([1e-3, 5e-4, 0])
    assert rates(adam(weight(), 1e-3, 2, "constant"), 2) == pytest.approx([1e-3] * 3)
