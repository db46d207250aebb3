"""The layers of an inner loop, and their first and second derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import bench_plugins.optimization_based.task_layers as module


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 7), (5, 8), (2, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_patches_times_weight_is_a_convolution(height, width, stride):
    x, weight = torch.randn(2, 3, height, width, 4), torch.randn(5, 4, 3, 3)
    expected = F.conv2d(x.movedim(-1, 2).flatten(0, 1), weight, stride=stride, padding=1)
    # Patches list the window's pixels first and the channels within a pixel.
    y = module.patches(x, stride) @ weight.movedim(1, 3).flatten(1).T
    torch.testing.assert_close(y.movedim(-1, 2).flatten(0, 1), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_of_patches_and_its_gradient(stride):
    x = torch.randn(2, 1, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module.patches, (x, stride))
    assert torch.autograd.gradgradcheck(lambda x: module.patches(x, stride) ** 2, x)


# -- pooling --------------------------------------------------------------------------------------


def test_pooling_takes_the_largest_of_four_and_leaves_the_odd_row_out():
    y = torch.arange(2.0 * 3 * 5 * 4 * 2).view(2, 3, 5, 4, 2)
    expected = F.max_pool2d(y.flatten(0, 1).movedim(3, 1), 2).movedim(1, 3)
    assert torch.equal(module.pooled(y).flatten(0, 1), expected)
    assert module.pooled(y)[0, 0, 0, 0].tolist() == [10.0, 11.0]  # rows 0 and 1, pixels 0 and 1


def test_the_gradient_of_pooling_and_its_gradient():
    torch.manual_seed(0)
    y = torch.randn(2, 1, 4, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module.pooled, y)
    assert torch.autograd.gradgradcheck(lambda y: module.pooled(y) ** 2, y)


# -- batch normalisation --------------------------------------------------------------------------


def plain(y, scale, shift):
    """Of the operations that it fuses."""
    mean = y.mean(1, keepdim=True)
    variance = (y - mean).square().mean(1, keepdim=True)
    z = (y - mean) / (variance + module.EPSILON).sqrt()
    return F.relu(scale[:, None] * z + shift[:, None]), mean, variance


def values():
    """y (2, 5, 3), scale (2, 3) and shift (2, 3) in float64, about half of the outputs positive."""
    torch.manual_seed(0)
    made = (torch.randn(2, 5, 3), 1 + 0.3 * torch.randn(2, 3), 0.3 * torch.randn(2, 3))
    return [t.double().requires_grad_() for t in made]


@pytest.mark.parametrize("rows", [1, 2**30])
def test_normalised_values_by_hand(rows, monkeypatch):
    """1, 3, 5 and 7 have the mean 4 and the variance 5; ε = 4 makes the deviation 3."""
    monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(module, "EPSILON", 4.0)
    y = torch.tensor([[[1.0], [3.0], [5.0], [7.0]]])
    z, mean, variance = module.normalised(y, torch.tensor([[6.0]]), torch.tensor([[1.0]]))
    assert (mean.item(), variance.item()) == pytest.approx((4.0, 5.0))
    assert z.flatten().tolist() == pytest.approx([0.0, 0.0, 3.0, 7.0])  # -5 and -1, cut
    other = torch.tensor([[[10.0], [1.0]]])
    scale, shift = torch.tensor([[6.0]]), torch.tensor([[1.0]])
    by_given = module.normalised_by(other, scale, shift, mean, variance)
    assert by_given.flatten().tolist() == pytest.approx([13.0, 0.0])


def test_a_single_value_has_the_variance_one():
    y = torch.full((2, 1, 3), 5.0)
    z, mean, variance = module.normalised(y, torch.ones(2, 3), torch.full((2, 3), 0.5))
    assert (z == 0.5).all()
    assert torch.equal(mean, y)
    assert (variance == 1).all()


@pytest.fixture(params=["all at once", "torch's own"])
def way(request, monkeypatch):
    """Either way, whatever the shapes would choose."""
    monkeypatch.setattr(module, "ROWS", 1 if request.param == "torch's own" else 2**30)


def test_its_gradient_and_its_gradients_gradient_are_slopes(way):
    """Of the values, and of the mean and the variance, by which queries are normalised."""
    assert torch.autograd.gradcheck(module.normalised, values())
    assert torch.autograd.gradgradcheck(module.normalised, values())


def test_the_gradient_by_given_statistics_is_a_slope(way):
    given = [torch.randn(2, 1, 3), 0.5 + torch.rand(2, 1, 3)]
    given = [t.double().requires_grad_() for t in given]
    assert torch.autograd.gradcheck(module.normalised_by, (*values(), *given))


def test_a_feature_without_spread_is_its_shift(way):
    y = torch.full((2, 5, 3), 7.0)
    z, mean, variance = module.normalised(y, torch.ones(2, 3), torch.full((2, 3), 0.5))
    torch.testing.assert_close(z, torch.full_like(z, 0.5), atol=1e-3, rtol=0)  # 316 roundings of 7
    assert torch.equal(mean, y[:, :1])
    assert (variance >= 0).all()
    assert variance.max() < 1e-9


def test_it_is_what_its_parts_make_up_to_the_second_derivatives(way):
    """A step of gradient descent inside, as in an inner loop."""
    found = []
    for function in (module.normalised, plain):
        y, scale, shift = values()
        torch.manual_seed(1)
        one, two = torch.randn(2, 2, 5, 3, dtype=torch.float64)
        z, mean, variance = function(y, scale, shift)
        inner = (z * one).sum() + (mean * variance).sum()
        slopes = torch.autograd.grad(inner, (y, scale, shift), create_graph=True)
        stepped = [t - 0.3 * g for t, g in zip((y, scale, shift), slopes, strict=True)]
        z, mean, variance = function(*stepped)
        outer = (z.square() * two).sum() + (mean.square() + variance.square()).sum()
        outer.backward()
        found.append([outer.detach(), *slopes, y.grad, scale.grad, shift.grad])
    torch.testing.assert_close(*found)


def test_a_third_derivative_is_refused():
    """It has none, and would be silently wrong."""
    y, scale, shift = values()
    slope = torch.autograd.grad(module.normalised(y, scale, shift)[0].sum(), y, create_graph=True)
    curve = torch.autograd.grad(slope[0].square().sum(), scale, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        curve[0].sum().backward()
