"""The products of a call are all of them, and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.measuring import operations
from benchmarks.products import Like, Recorder, products


def gradient(module: nn.Module, x: torch.Tensor):
    def call() -> None:
        found = module(x)
        (found[0] if isinstance(found, tuple) else found).sum().backward()

    return call


def test_convolutions_and_products_are_made_again():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    call = gradient(network, torch.rand(2, 1, 4, 4))
    assert operations(products(call)) == operations(call) > 0


def test_a_recurrent_layer_is_made_again_as_products():
    call = gradient(nn.LSTM(6, 5, batch_first=True), torch.rand(2, 3, 6, requires_grad=True))
    assert operations(products(call)) == operations(call) > 0


def test_states_come_step_by_step():
    """3 steps of 2 sequences: the inputs at once, then three products of the states."""
    recorder = Recorder()
    with recorder, torch.no_grad():
        nn.LSTM(6, 5, batch_first=True)(torch.rand(2, 3, 6))
    shapes = [(one.shape, other.shape) for _, ((one, other), _) in recorder.calls]
    assert shapes == [((6, 6), (6, 20))] + 3 * [((2, 5), (5, 20))]


def test_nothing_but_products_is_called():
    called = []

    def call() -> torch.Tensor:
        called.append(1)
        return torch.rand(2, 2) @ torch.rand(2, 2).exp()

    replay = products(call)
    replay()
    assert called == [1]


def test_what_was_expanded_is_made_with_its_strides():
    like = Like((3, 2), (0, 1), torch.float32, torch.device("cpu"))
    assert like.made().stride() == (0, 1)
