"""Proto-MAML (Triantafillou et al. 2020): MAML whose head starts from prototypes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench_plugins.optimization_based.proto_maml import ProtoMAML


def build(tiny, protocol="kshot", **options):
    torch.manual_seed(0)
    config = ProtoMAML.Config(**{"filters": 6, **options})
    return ProtoMAML(config, tiny.task(protocol)).double()


def double(batch):
    batch.support_x, batch.query_x = batch.support_x.double(), batch.query_x.double()
    return batch


def logits(learner, batch):
    state = learner.adapt(batch.support_x, batch.support_y, batch.ways)
    return learner.predict(state, batch.query_x)


def exact_loss(learner, batch):
    """`Learner.loss`, which is float32, in the precision of the learner."""
    return F.cross_entropy(logits(learner, batch).flatten(0, 1), batch.query_y.flatten())


@torch.no_grad()
def test_the_head_by_hand(tiny, monkeypatch):
    """Class 0 has the features (1, 0) and (3, 2), class 2 has (0, 4): prototypes (2, 1), none and
    (0, 4); weights 2 c, biases -|c|² = -5 and -16, and what is learned for class 1."""
    learner = build(tiny)
    learner.novelty.value.fill_(0.07)  # times its unit, 100
    features = torch.tensor([[[1.0, 0.0], [0.0, 4.0], [3.0, 2.0]]]).double()
    monkeypatch.setattr(learner.network, "features", lambda *given: (features, []))
    weights = learner._initial_weights(features, torch.tensor([[0, 2, 0]]), 3)
    assert weights["head"][0].T.tolist() == [[4.0, 2.0], [0.0, 0.0], [0.0, 8.0]]
    assert weights["bias"][0].tolist() == pytest.approx([-5.0, 7.0, -16.0])


@torch.no_grad()
def test_before_an_inner_step_it_is_a_prototypical_network(tiny):
    learner, batch = build(tiny, inner_steps_test=0).eval(), double(tiny.episodes(shots=3))
    body = {name: p.expand(4, *p.shape) for name, p in learner.theta.items()}
    inputs = learner.network.inputs(batch.support_x)
    support, statistics = learner.network.features(inputs, body)
    inputs = learner.network.inputs(batch.query_x)
    query, _ = learner.network.features(inputs, body, statistics)
    answers = logits(learner, batch).log_softmax(-1)
    for b in range(4):
        means = torch.stack([support[b][batch.support_y[b] == k].mean(0) for k in range(5)])
        distance = (query[b][:, None] - means).square().sum(-1)  # (Q, N)
        torch.testing.assert_close(answers[b], (-distance).log_softmax(-1))


def test_an_inner_step_takes_the_head_for_weights_of_its_own(tiny):
    """Its gradient is that of independent leaves: none reaches the body through the prototypes."""
    learner, batch = build(tiny, inner_steps=1).train(), double(tiny.episodes(shots=2))
    adapted = learner.adapt(batch.support_x, batch.support_y, 5)["weights"]
    inputs = learner.network.inputs(batch.support_x)
    start = learner._initial_weights(inputs, batch.support_y, 5)
    leaves = {name: w.detach().clone().requires_grad_() for name, w in start.items()}
    features, _ = learner.network.features(inputs, leaves)
    answers = learner.network.head(features, leaves)
    (F.cross_entropy(answers.flatten(0, 1), batch.support_y.flatten()) * 4).backward()
    for name, leaf in leaves.items():
        torch.testing.assert_close(adapted[name], leaf.detach() - 0.1 * leaf.grad, msg=name)


@pytest.mark.parametrize("learned_rates", [False, True])
def test_the_meta_gradient_is_the_slope_of_the_loss(learned_rates, tiny):
    """Central differences along random directions: it flows through the prototypes, and through two
    inner steps."""
    learner = build(tiny, inner_steps=2, learned_rates=learned_rates).train()
    batch = double(tiny.episodes(shots=2, batch=2))
    exact_loss(learner, batch).backward()
    for name, p in learner.named_parameters():
        direction = F.normalize(torch.randn_like(p), dim=None) if p.dim() else torch.ones_like(p)
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
def test_it_answers_any_number_of_ways(tiny):
    learner = build(tiny).eval()
    for ways in (2, 5, 9):
        batch = double(tiny.episodes(ways=ways))
        answers = logits(learner, batch)
        assert answers.shape == (4, 2 * ways, ways)
        renamed = learner.adapt(batch.support_x, (batch.support_y + 1) % ways, ways)
        torch.testing.assert_close(
            learner.predict(renamed, batch.query_x), answers.roll(1, -1), atol=1e-6, rtol=1e-6
        )


@torch.no_grad()
def test_a_class_without_support_has_the_learned_logit(tiny):
    learner, batch = build(tiny, "online").eval(), double(tiny.episodes(ways=5))
    keep = batch.support_y[0] != 4  # the first task alone, without its class 4
    x, y = batch.support_x[:1, keep], batch.support_y[:1, keep]
    chosen = {}
    for value in (-1e3, 1e3):
        learner.novelty.value.fill_(value)
        answers = learner.predict(learner.adapt(x, y, 5), batch.query_x[:1])
        assert answers.isfinite().all()
        chosen[value] = (answers.argmax(-1) == 4).float().mean().item()
    assert chosen == {-1e3: 0.0, 1e3: 1.0}


def test_it_has_no_head_of_its_own(tiny):
    assert not {"head", "bias"} & set(build(tiny).theta)
    with pytest.raises(ValueError, match="from prototypes"):
        ProtoMAML.Config(shared_head=True)
