"""Meta-SGD (Li et al. 2017): MAML with a learned rate for every weight. See also
test_learn2learn.py, which holds it against learn2learn's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.meta_sgd import MetaSGD


def build(tiny, cls=MetaSGD, **options):
    torch.manual_seed(0)
    return cls(cls.Config(**{"filters": 6, **options}), tiny.task()).double()


def exact_loss(learner, batch):
    """`Learner.loss`, which is float32, in the precision of the learner."""
    state = learner.adapt(batch.support_x.double(), batch.support_y, batch.ways)
    logits = learner.predict(state, batch.query_x.double())
    return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())


@torch.no_grad()
def test_a_step_by_hand(tiny):
    """θ' = θ - α ∘ g of equation (2): 1 - 0.5 * 2 = 0, and 1 + 0.25 * 2 = 1.5."""
    learner = build(tiny)
    for rate in learner.alpha.values():
        rate.fill_(0.5)
        rate.view(-1)[0] = -0.25
    weights = {name: torch.ones_like(p)[None] for name, p in learner.theta.items()}
    slope = {name: torch.full_like(w, 2.0) for name, w in weights.items()}
    for step in (0, 1):  # every step has the same rates
        for name, w in learner._gradient_descent(weights, slope, step).items():
            flat = w.flatten()
            assert flat[0] == 1.5, name
            assert (flat[1:] == 0).all(), name


def test_equal_rates_are_maml(tiny):
    batch, losses, gradients = tiny.episodes(), [], []
    for cls in (MAML, MetaSGD):
        learner = build(tiny, cls, inner_lr=0.3, inner_steps=2).train()
        losses.append(exact_loss(learner, batch))
        losses[-1].backward()
        gradients.append({name: p.grad for name, p in learner.theta.items()})
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("first_order", [False, True])
def test_the_gradient_by_a_rate_after_one_step(first_order, tiny):
    """θ' = θ - α g: it is that by θ' times -g, summed over the tasks."""
    learner = build(tiny, transductive=True, first_order=first_order).train()
    batch = tiny.episodes()
    state = learner.adapt(batch.support_x.double(), batch.support_y, 5)
    for adapted in state["weights"].values():
        adapted.retain_grad()
    logits = learner.predict(state, batch.query_x.double())
    F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten()).backward()
    for name, rate in learner.alpha.items():
        adapted = state["weights"][name]
        slope = (learner.theta[name] - adapted) / 0.4  # g, of each task
        torch.testing.assert_close(rate.grad, (-adapted.grad * slope).sum(0), msg=name)
        assert rate.grad.any(), name


def test_the_meta_gradient_is_the_slope_of_the_loss(tiny):
    """Central differences along random directions, weights and rates, two steps."""
    learner, batch = build(tiny, inner_steps=2).train(), tiny.episodes(batch=2)
    exact_loss(learner, batch).backward()
    for name, p in learner.named_parameters():
        direction = F.normalize(torch.randn_like(p), dim=None)
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                p.add_(direction, alpha=sign * 1e-6)
            losses.append(exact_loss(learner, batch).item())
            with torch.no_grad():
                p.add_(direction, alpha=-sign * 1e-6)
        slope = (losses[0] - losses[1]) / 2e-6
        assert (p.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7), name


@torch.no_grad()
def test_fewer_ways_leave_the_last_rates_idle(tiny):
    learner, batch = build(tiny).eval(), tiny.episodes(ways=3)
    answers = []
    for idle in (0.4, 100.0):
        for name in ("head", "bias"):
            learner.alpha[name][..., 3:] = idle
        state = learner.adapt(batch.support_x.double(), batch.support_y, 3)
        answers.append(learner.predict(state, batch.query_x.double()))
    assert torch.equal(*answers)


def test_it_has_no_rates_per_tensor_beside_its_own():
    with pytest.raises(ValueError, match="a rate for every weight"):
        MetaSGD.Config(learned_rates=True)
