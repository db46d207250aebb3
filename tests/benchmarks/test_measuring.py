"""Turns, counts of operations, precisions; no time is looked at."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks import measuring
from benchmarks.measuring import interleaved, operations, product_peak, share_of_peak, tensor_cores


def test_calls_take_turns_and_the_first_ones_of_each_do_not_count(monkeypatch):
    monkeypatch.setattr(measuring, "REPEAT_SECONDS", 0)
    told = []
    found = interleaved({"a": lambda: told.append("a"), "b": lambda: told.append("b")}, 2)
    assert told == ["a", "b"] * 4
    assert set(found) == {"a", "b"}


def test_of_short_calls_there_are_more():
    told = []
    interleaved({"short": lambda: told.append(1)}, 1)
    assert len(told) == measuring.WARM_UPS["cpu"] + measuring.MOST_REPEATS


def test_operations_of_a_product():
    """2 · 3 · 4 · 5"""
    assert operations(lambda: torch.rand(3, 4) @ torch.rand(4, 5)) == 120


def test_operations_of_a_recurrent_layer():
    """Forward 2 · T · B · (4H · D + 4H · H), backward twice that."""
    layer, x = nn.LSTM(6, 5, batch_first=True), torch.rand(2, 3, 6, requires_grad=True)
    forward = 2 * 3 * 2 * (20 * 6 + 20 * 5)
    assert operations(lambda: layer(x)) == forward
    assert operations(lambda: layer(x)[0].sum().backward()) == 3 * forward


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_tensor_cores_are_used_for_tf32_and_not_afterwards(precision):
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    with tensor_cores(precision):
        assert [switch.allow_tf32 for switch in switches] == [precision == "tf32"] * 2
    assert [switch.allow_tf32 for switch in switches] == [False] * 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_there_is_a_peak_and_a_share_of_it(precision):
    assert product_peak(1, 16, precision=precision) > 0
    assert share_of_peak(50, 2, 100.0) == 0.25
    assert share_of_peak(50, 2, None) is None
