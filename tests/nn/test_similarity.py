"""Similarities, class means, kernels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn import (
    NoveltyLogit,
    class_means,
    cosine_similarity,
    kernel_logits,
    squared_distance,
    sum_before,
)


def test_cosine_by_hand():
    a = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    b = torch.tensor([[1.0, 0.0], [-6.0, -8.0]])
    expected = torch.tensor([[0.6, -1.0], [0.0, -0.8]])
    torch.testing.assert_close(cosine_similarity(a, b), expected)


def test_cosine_is_scaled_by_each_norm_once():
    a, b = torch.rand(2, 3, 5), torch.rand(2, 4, 5)
    torch.testing.assert_close(cosine_similarity(7 * a, b / 9), cosine_similarity(a, b))


def test_cosine_of_a_zero_row_is_zero_with_finite_gradients():
    a = torch.zeros(1, 3, requires_grad=True)
    b = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], requires_grad=True)
    cosine = cosine_similarity(a, b)
    assert cosine.tolist() == [[0.0, 0.0]]
    cosine.sum().backward()
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()


def test_squared_distance_by_hand():
    a = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    b = torch.tensor([[3.0, 4.0], [1.0, 2.0], [-1.0, 2.0]])
    expected = torch.tensor([[25.0, 5.0, 5.0], [8.0, 0.0, 4.0]])
    torch.testing.assert_close(squared_distance(a, b), expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), offset=st.floats(-100, 100))
def test_squared_distance_is_never_negative(seed, offset):
    random = torch.Generator().manual_seed(seed)
    a = torch.randn(2, 3, 8, generator=random) + offset
    distance = squared_distance(a, a)
    assert (distance >= 0).all()
    torch.testing.assert_close(distance, torch.cdist(a, a).square(), atol=0.1, rtol=1e-3)


def test_class_means_by_hand():
    features = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [10.0, 20.0]]])
    means, counts = class_means(features, torch.tensor([[0, 0, 2]]), 4)
    assert means.tolist() == [[[2.0, 2.0], [0.0, 0.0], [10.0, 20.0], [0.0, 0.0]]]
    assert counts.tolist() == [[2.0, 0.0, 1.0, 0.0]]


@pytest.mark.parametrize("block", [cosine_similarity, squared_distance])
def test_comparisons_stay_exact_under_autocast(block):
    a, b = torch.rand(3, 50), torch.rand(4, 50)
    with torch.autocast("cpu", torch.bfloat16):
        result = block(a, b)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, block(a, b), rtol=0, atol=0)


def test_class_means_stay_exact_under_autocast():
    features, labels = torch.rand(2, 6, 8), torch.randint(0, 3, (2, 6))
    with torch.autocast("cpu", torch.bfloat16):
        means, _ = class_means(features, labels, 3)
    torch.testing.assert_close(means, class_means(features, labels, 3)[0], rtol=0, atol=0)


LOG_KERNEL = torch.tensor([[[2.0, 3.0, 5.0, 10.0]]]).log()


def test_the_kernel_form_by_hand():
    logits, seen = kernel_logits(LOG_KERNEL, torch.tensor([[1, 0, 1, 3]]), 4)
    # Kernels 2, 3, 5, 10: class 0 has 3, class 1 has 2 + 5, class 3 has 10 of 20.
    assert seen.tolist() == [[[True, True, False, True]]]
    torch.testing.assert_close(logits, torch.tensor([[[3.0, 7.0, 1.0, 10.0]]]).log())
    p = logits.masked_fill(~seen, -torch.inf).softmax(-1)
    torch.testing.assert_close(p, torch.tensor([[[0.15, 0.35, 0.0, 0.5]]]))


def test_the_hard_kernel_is_the_nearest_neighbour():
    logits, _ = kernel_logits(LOG_KERNEL, torch.tensor([[1, 0, 1, 3]]), 4, hard=True)
    torch.testing.assert_close(logits, torch.tensor([[[3.0, 5.0, 1.0, 10.0]]]).log())


@pytest.mark.parametrize("hard", [False, True])
def test_a_causal_kernel_sees_the_items_before(hard):
    similarity, labels = torch.randn(2, 6, 6), torch.randint(0, 3, (2, 6))
    logits, seen = kernel_logits(similarity, labels, 3, hard=hard, causal=True)
    assert not seen[:, 0].any()
    assert not logits[:, 0].any()
    for t in range(1, 6):
        before = similarity[:, t : t + 1, :t], labels[:, :t]
        expected, seen_before = kernel_logits(*before, 3, hard=hard)
        torch.testing.assert_close(logits[:, t : t + 1], expected)
        assert torch.equal(seen[:, t : t + 1], seen_before)


def test_the_kernel_form_is_the_sum_of_attention_times_label():
    similarity, labels = torch.randn(3, 4, 12), torch.arange(12).expand(3, -1) % 5
    attention = similarity.softmax(-1)  # (B, Q, S)
    expected = attention @ torch.nn.functional.one_hot(labels, 5).float()
    torch.testing.assert_close(kernel_logits(similarity, labels, 5)[0].softmax(-1), expected)


@pytest.mark.parametrize("hard", [False, True])
def test_the_kernel_form_is_finite_where_its_softmax_underflows(hard):
    similarity = torch.tensor([[[0.0, -1e4, 1e4]]], requires_grad=True)
    logits, _ = kernel_logits(similarity, torch.tensor([[0, 1, 2]]), 4, hard=hard)
    assert logits.tolist() == [[[0.0, -1e4, 1e4, 0.0]]]
    (gradient,) = torch.autograd.grad(logits.sum(), similarity)
    assert gradient.tolist() == [[[1.0, 1.0, 1.0]]]


def test_novelty_replaces_unseen_classes_only_and_learns():
    novelty = NoveltyLogit(-3.0)
    logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
    result = novelty(logits, torch.tensor([True, False]))
    assert result.tolist() == [[1.0, -3.0]]
    result.sum().backward()
    assert logits.grad.tolist() == [[1.0, 0.0]]
    assert novelty.value.grad.item() == novelty.unit


def test_novelty_finds_its_level_at_the_learning_rate_of_weights():
    """Seen logits near -20, and every second target is unseen: the best novelty logit is -20."""
    novelty = NoveltyLogit()
    optimizer = torch.optim.Adam(novelty.parameters(), lr=1e-3)
    logits, seen = torch.full((2, 2), -20.0), torch.tensor([True, False])
    for _ in range(400):
        loss = torch.nn.functional.cross_entropy(novelty(logits, seen), torch.tensor([0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert novelty(logits, seen)[0, 1].item() == pytest.approx(-20, abs=0.5)
    assert loss.item() == pytest.approx(math.log(2), abs=0.01)


# -- over time ------------------------------------------------------------------------------------


def test_sum_before_leaves_out_the_step_itself():
    x = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]])
    assert sum_before(x).tolist() == [[[0.0, 0.0], [1.0, 10.0], [3.0, 30.0]]]
