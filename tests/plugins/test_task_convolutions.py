"""The convolutions of an inner loop, in both ways, and their first and second derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import bench_plugins.optimization_based.task_convolutions as module
from bench_plugins.optimization_based.maml import MAML


@pytest.fixture(params=["patches", "torch's own"])
def way(request, monkeypatch):
    """Either way, whatever the shapes would choose."""
    by_torch = request.param == "torch's own"
    monkeypatch.setattr(module, "ROWS", 1 if by_torch else 2**30)
    monkeypatch.setattr(module, "CHANNELS", 1)
    return request.param


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 7), (5, 8), (2, 1)])
@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_each_task_is_convolved_by_its_own_kernel(way, height, width, tasks, stride):
    x, kernels = torch.randn(tasks, 2, height, width, 4), torch.randn(tasks, 5, 4, 3, 3)
    weight = kernels.movedim(2, 4).flatten(2).transpose(1, 2)  # (B, 9C, F)
    y = module.convolution(x, weight, stride)
    for b in range(tasks):
        expected = F.conv2d(x[b].movedim(3, 1), kernels[b], stride=stride, padding=1)
        torch.testing.assert_close(y[b].movedim(3, 1), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [3, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_and_their_gradients_are_slopes(way, side, stride):
    torch.manual_seed(0)
    x = torch.randn(2, 1, side, 3, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 18, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module.convolution, (x, weight, stride))
    assert torch.autograd.gradgradcheck(module.convolution, (x, weight, stride))


@pytest.mark.parametrize("wanted", [0, 1])
def test_one_gradient_alone_is_the_same_one(way, wanted):
    torch.manual_seed(0)
    pair = [torch.randn(2, 1, 4, 4, 2), torch.randn(2, 18, 3)]
    both = [t.clone().requires_grad_() for t in pair]
    module.convolution(*both, 2).square().sum().backward()
    pair[wanted].requires_grad_()
    module.convolution(*pair, 2).square().sum().backward()
    torch.testing.assert_close(pair[wanted].grad, both[wanted].grad)
    assert pair[1 - wanted].grad is None


def test_products_are_in_bf16_where_that_is_asked_for(way):
    x, weight = torch.randn(2, 3, 4, 4, 2, requires_grad=True), torch.randn(2, 18, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module.convolution(x, weight, 1)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert x.grad.dtype == torch.float32


def test_the_shape_chooses_the_way(monkeypatch):
    """25 items of 14x14 pixels have 1,225 rows with stride 2, 5 have 245; with stride 1 980."""
    used = []
    spy = type("Spy", (), {"apply": lambda x, w, stride: used.append((x.shape[1], stride))})
    monkeypatch.setattr(module, "_Convolution", spy)
    weight = torch.zeros(1, 9 * 64, 1)
    for items, stride in ((5, 2), (25, 2), (5, 1)):
        module.convolution(torch.zeros(1, items, 14, 14, 64), weight, stride)
    module.convolution(torch.zeros(1, 25, 28, 28, 3), torch.zeros(1, 27, 1), 2)  # few channels
    assert used == [(25, 2), (5, 1)]


@pytest.mark.parametrize("first_order", [False, True])
def test_a_meta_gradient_is_the_same_in_both_ways(first_order, tiny, monkeypatch):
    import bench_plugins.optimization_based.task_layers as layers

    task, found = tiny.task(), []
    batch = tiny.episodes(shots=2, batch=3)
    for rows in (1, 2**30):
        monkeypatch.setattr(module, "ROWS", rows)
        monkeypatch.setattr(module, "CHANNELS", 1)
        monkeypatch.setattr(layers, "ROWS", rows)
        torch.manual_seed(0)
        config = MAML.Config(filters=6, inner_steps=2, inner_lr=0.1, first_order=first_order)
        learner = MAML(config, task).double().train()
        state = learner.adapt(batch.support_x.double(), batch.support_y, 5)
        logits = learner.predict(state, batch.query_x.double())
        F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten()).backward()
        found.append({name: p.grad for name, p in learner.named_parameters()})
    torch.testing.assert_close(*found, atol=1e-9, rtol=1e-9)
