"""MAML (Finn et al. 2017), FOMAML and ANIL against plain computations, one task at a time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from bench.api import Episodes, TaskSpec
from bench_plugins.optimization_based import maml
from bench_plugins.optimization_based.anil import ANIL
from bench_plugins.optimization_based.fomaml import FOMAML
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.task_layers import EPSILON


def build(tiny, protocol="kshot", cls=MAML, **options):
    torch.manual_seed(0)
    learner = cls(cls.Config(filters=6, **options), tiny.task(protocol))
    with torch.no_grad():  # gains and shifts off their start, so that mixing them up shows
        for name, p in learner.theta.items():
            if not name.startswith(("weight", "head")):
                p.add_(0.2 * torch.randn_like(p))
    return learner


def exact_loss(learner, batch):
    """`Learner.loss`, which is float32, in the precision of the learner."""
    state = learner.adapt(batch.support_x, batch.support_y, batch.ways)
    logits = learner.predict(state, batch.query_x)
    return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())


def double(batch):
    batch.support_x, batch.query_x = batch.support_x.double(), batch.query_x.double()
    return batch


# -- an independent MAML: an ordinary network, F.conv2d, one task after the other -----------------


class Plain(nn.Module):
    """The network for one task. Batch statistics of `reference`, or of x itself."""

    def __init__(self, learner):
        super().__init__()
        self.convolutional = learner.config.encoder.startswith("conv4")
        self.strided = learner.config.encoder == "conv4-strided"
        for name, p in learner.theta.items():
            self.register_parameter(name, nn.Parameter(p.detach().clone()))
        self.rates = None
        if learner.config.learned_rates:
            self.rates = {
                name: p.detach().clone().requires_grad_() for name, p in learner.rates.items()
            }

    def forward(self, x, reference):
        for b in range(4):
            x, reference = (self.linear(i, getattr(self, f"weight{b}")) for i in (x, reference))
            axes = (0, 2, 3)  # a fully connected layer has H = W = 1
            mean = reference.mean(axes, keepdim=True)
            var = reference.var(axes, correction=0, keepdim=True)
            gain, shift = (getattr(self, f"{n}{b}")[:, None, None] for n in ("scale", "shift"))
            x, reference = (
                F.relu((i - mean) / (var + EPSILON).sqrt() * gain + shift) for i in (x, reference)
            )
            if self.convolutional and not self.strided:
                x, reference = (F.max_pool2d(i, 2) for i in (x, reference))
        return x.mean((2, 3)) @ self.head + self.bias  # conv4 has one pixel left

    def linear(self, x, weight):
        if not self.convolutional:
            return (x.flatten(1) @ weight)[..., None, None]
        kernel = weight.T.unflatten(1, (3, 3, -1)).movedim(3, 1)  # (F, C, 3, 3)
        return F.conv2d(x, kernel, stride=2 if self.strided else 1, padding=1)


HEAD = ("head", "bias")


def plain_loss(plain, learner, batch):
    losses = []
    for sx, sy, qx, qy in zip(
        batch.support_x, batch.support_y, batch.query_x, batch.query_y, strict=True
    ):
        weights = dict(plain.named_parameters())
        adapted = ["head", "bias"] if isinstance(learner, ANIL) else list(weights)
        if learner.config.shared_head:
            weights |= {name: weights[name].expand(*weights[name].shape[:-1], 5) for name in HEAD}
        for step in range(learner.config.inner_steps):
            inner = F.cross_entropy(functional_call(plain, weights, (sx, sx)), sy)
            gradients = torch.autograd.grad(
                inner,
                [weights[name] for name in adapted],
                create_graph=not isinstance(learner, FOMAML),
            )
            for name, g in zip(adapted, gradients, strict=True):
                rate = plain.rates[name][step] if plain.rates else learner.config.inner_lr
                weights[name] = weights[name] - rate * g
        logits = functional_call(plain, weights, (qx, qx if learner.transductive else sx))
        losses.append(F.cross_entropy(logits, qy))
    return torch.stack(losses).mean()


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (MAML, {}),
        (MAML, {"learned_rates": False}),
        (MAML, {"inner_steps": 3, "inner_lr": 0.1}),
        (MAML, {"transductive": True}),
        (MAML, {"encoder": "conv4-strided", "inner_steps": 2}),
        (MAML, {"encoder": "pixels"}),
        (MAML, {"learned_rates": True, "inner_steps": 2}),
        (MAML, {"shared_head": True}),
        (FOMAML, {"learned_rates": False, "inner_steps": 2}),
        (FOMAML, {"learned_rates": True, "inner_steps": 2}),
        (ANIL, {"learned_rates": False}),
        (ANIL, {"learned_rates": True, "shared_head": True}),
        (ANIL, {"transductive": True, "encoder": "pixels"}),
    ],
    ids=str,
)
def test_loss_and_meta_gradient_against_a_plain_loop(cls, options, tiny):
    learner = build(tiny, cls=cls, **options).double().train()
    if learner.config.learned_rates:  # each another one
        with torch.no_grad():
            for rate in learner.rates.values():
                rate.uniform_(-0.1, 0.3)
    batch = double(tiny.episodes(shots=2, batch=3))
    plain = Plain(learner)
    loss = exact_loss(learner, batch)
    expected = plain_loss(plain, learner, batch)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(learner.loss(batch), expected.float())
    loss.backward()
    expected.backward()
    for name, p in plain.named_parameters():
        torch.testing.assert_close(learner.theta[name].grad, p.grad, msg=name)
    for name, rate in (plain.rates or {}).items():
        torch.testing.assert_close(learner.rates[name].grad, rate.grad, msg=name)


@pytest.mark.parametrize("cls", [MAML, FOMAML, ANIL])
@pytest.mark.parametrize("transductive", [False, True])
def test_groups_of_tasks_change_nothing(cls, transductive, tiny, monkeypatch):
    """One group, groups of 2, 2 and 1 tasks, and single tasks: loss, gradients and meta-test."""
    learner = build(tiny, cls=cls, transductive=transductive).double()
    batch, seen = double(tiny.episodes(batch=5)), []
    one_task = 5 * 6 * 20 * 20  # 5 images, whose widest feature map is 6 channels of 20x20
    for values in (5 * one_task, 2 * one_task, 1):
        monkeypatch.setattr(maml, "VALUES_AT_ONCE", values)
        assert learner._parts(batch.support_x) == {5: 1, 2: 3, 0: 5}[values // one_task]
        learner.zero_grad()
        learner.train().loss(batch).backward()
        with torch.no_grad():
            state = learner.eval().adapt(batch.support_x, batch.support_y, 5)
            seen.append((
                learner.predict(state, batch.query_x),
                {name: p.grad.clone() for name, p in learner.named_parameters()},
            ))  # fmt: skip
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0], atol=1e-6, rtol=1e-5)  # the loss is float32


@torch.no_grad()
def test_steps_beyond_the_trained_take_the_last_learned_rate(tiny):
    learner = build(tiny, learned_rates=True, inner_steps=2, inner_steps_test=3)
    for name, rate in learner.rates.items():
        assert rate.tolist() == pytest.approx([0.4, 0.4]), name
        rate.copy_(torch.tensor([1.0, 2.0]))
    weights = {name: torch.zeros_like(p)[None] for name, p in learner.theta.items()}
    slope = {name: torch.ones_like(w) for name, w in weights.items()}
    for step, expected in enumerate((-1.0, -2.0, -2.0)):
        for w in learner._gradient_descent(weights, slope, step).values():
            assert (w == expected).all()


@torch.no_grad()
def test_a_shared_head_starts_every_class_alike_and_takes_any_ways(tiny):
    """Before an inner step all logits of an image are equal; renamed labels rename the answers."""
    learner, batch = build(tiny, shared_head=True).eval(), tiny.episodes(ways=7)
    assert learner.theta["head"].shape[-1] == learner.theta["bias"].shape[-1] == 1
    state = learner.adapt(batch.support_x, batch.support_y, 7)
    logits = learner.predict(state, batch.query_x)
    assert logits.shape[-1] == 7
    renamed = learner.adapt(batch.support_x, (batch.support_y + 3) % 7, 7)
    torch.testing.assert_close(
        learner.predict(renamed, batch.query_x), logits.roll(3, -1), atol=1e-4, rtol=1e-4
    )
    learner.config = MAML.Config(filters=6, shared_head=True, inner_steps_test=0)
    state = learner.adapt(batch.support_x, batch.support_y, 7)
    logits = learner.predict(state, batch.query_x)
    torch.testing.assert_close(logits, logits[..., :1].expand_as(logits))


def test_second_order_is_not_first_order(tiny):
    gradients = []
    for cls in (MAML, FOMAML):
        learner = build(tiny, cls=cls).train()
        learner.loss(tiny.episodes()).backward()
        gradients.append(learner.theta["weight0"].grad)
    assert not torch.allclose(*gradients, rtol=0.05)


def test_the_meta_gradient_is_the_slope_of_the_loss(tiny):
    """Central differences in float64 along random directions."""
    learner = build(tiny, inner_steps=2).double().train()
    batch = double(tiny.episodes(batch=2))
    exact_loss(learner, batch).backward()
    for name, p in learner.theta.items():
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


# -- meta-test ------------------------------------------------------------------------------------


@torch.no_grad()
def test_meta_test_builds_no_second_order_graph(tiny, monkeypatch):
    learner, batch, asked = build(tiny).eval(), tiny.episodes(), []
    gradient = torch.autograd.grad

    def spy(*args, create_graph, **kwargs):
        asked.append(create_graph)
        return gradient(*args, create_graph=create_graph, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", spy)
    state = learner.adapt(batch.support_x, batch.support_y, 5)
    assert asked == [False] * learner.config.inner_steps_test == [False] * 3
    tensors = [*state["weights"].values(), *(t for pair in state["statistics"] for t in pair)]
    assert not any(t.requires_grad for t in tensors)
    assert all(t.shape[0] == 4 for t in tensors), "leading dimension B"
    assert all(p.grad is None for p in learner.parameters())


def test_adaptation_lowers_the_support_loss(tiny):
    learner, batch = build(tiny, inner_lr=0.1).eval(), tiny.episodes()
    losses = []
    for steps in (0, 1, 3, 10):
        learner.config = MAML.Config(filters=6, inner_steps_test=steps)
        with torch.no_grad():
            state = learner.adapt(batch.support_x, batch.support_y, 5)
            logits = learner.predict(state, batch.support_x)
        losses.append(F.cross_entropy(logits.flatten(0, 1), batch.support_y.flatten()).item())
    assert losses == sorted(losses, reverse=True)


@torch.no_grad()
@pytest.mark.parametrize("transductive", [False, True])
def test_a_query_depends_on_the_others_only_where_it_says_so(transductive, tiny):
    learner, batch = build(tiny, transductive=transductive).eval(), tiny.episodes()
    assert learner.transductive is transductive
    state = learner.adapt(batch.support_x, batch.support_y, 5)
    together = learner.predict(state, batch.query_x)[:, :1]
    alone = learner.predict(state, batch.query_x[:, :1])
    assert torch.allclose(together, alone, atol=1e-4) is not transductive


@torch.no_grad()
def test_fewer_ways_are_the_first_outputs_of_the_head(tiny):
    learner, batch = build(tiny).eval(), tiny.episodes(ways=3)
    state = learner.adapt(batch.support_x, batch.support_y, 3)
    smaller = MAML(learner.config, tiny.task(ways=3)).eval()
    theta = learner.state_dict()
    theta |= {k: theta[k][..., :3] for k in ("theta.head", "theta.bias")}
    smaller.load_state_dict(theta)
    expected = smaller.predict(smaller.adapt(batch.support_x, batch.support_y, 3), batch.query_x)
    torch.testing.assert_close(learner.predict(state, batch.query_x), expected)


@torch.no_grad()
def test_anil_adapts_the_head_only(tiny):
    learner, batch = build(tiny, cls=ANIL).eval(), tiny.episodes()
    weights = learner.adapt(batch.support_x, batch.support_y, 5)["weights"]
    for name, p in learner.theta.items():
        assert torch.equal(weights[name], p.expand_as(weights[name])) == (
            name not in ("head", "bias")
        ), name


def test_anil_computes_the_features_once(tiny, monkeypatch):
    learner, batch, calls = build(tiny, cls=ANIL).eval(), tiny.episodes(), []
    features = learner.network.features
    monkeypatch.setattr(
        learner.network, "features", lambda *given: (calls.append(1), features(*given))[1]
    )
    learner.adapt(batch.support_x, batch.support_y, 5)
    assert len(calls) == 1 < learner.config.inner_steps_test


@torch.no_grad()
@pytest.mark.parametrize("encoder", ["conv4-strided", "pixels"])
def test_one_support_image_with_a_last_map_of_one_pixel(encoder):
    """A single value has no spread; the variance 0 would blow the queries up by 1 / sqrt(ε)."""
    torch.manual_seed(0)
    learner = MAML(MAML.Config(encoder=encoder), TaskSpec((1, 16, 16), 5)).eval()
    state = learner.adapt(torch.rand(2, 1, 1, 16, 16), torch.tensor([[1], [4]]), 5)
    logits = learner.predict(state, torch.rand(2, 20, 1, 16, 16))
    assert logits.abs().max() < 20


@pytest.mark.parametrize("cls", [MAML, ANIL])
@pytest.mark.parametrize("encoder", ["conv4", "conv4-strided", "pixels"])
@pytest.mark.parametrize("extreme", [torch.zeros_like, torch.ones_like, lambda x: 1e4 * x])
def test_extreme_images_have_finite_gradients(cls, encoder, extreme, tiny):
    learner, batch = build(tiny, cls=cls, encoder=encoder).train(), tiny.episodes()
    batch.support_x = extreme(batch.support_x)
    learner.loss(batch).backward()
    assert all(p.grad.isfinite().all() for p in learner.parameters())


# -- meta-training --------------------------------------------------------------------------------


def test_a_stream_is_cut_at_one_place_drawn_by_torch(tiny):
    learner, stream = build(tiny, "online").train(), tiny.stream()
    torch.manual_seed(3)
    cut = int(torch.randint(1, 15, ()))
    torch.manual_seed(3)
    loss = learner.loss(stream)
    x, y = stream.x, stream.y
    expected = learner.loss(Episodes(5, x[:, :cut], y[:, :cut], x[:, cut:], y[:, cut:]))
    torch.testing.assert_close(loss, expected)


def test_its_tasks_and_its_share_of_the_bank():
    config = MAML.Config(episodes_per_update=7)
    kshot = TaskSpec((1, 28, 28), 5, shots=5, queries=15)
    online = TaskSpec((1, 28, 28), 5, protocol="online", length=50)
    trained = MAML.training_task(config, kshot)
    assert (trained.queries, trained.episodes_per_update) == (5, 7), "K queries per class"
    assert MAML.training_task(MAML.Config(training_queries=3), kshot).queries == 3
    assert MAML.training_task(MAML.Config(training_queries=None), kshot).queries == 15
    assert MAML.training_task(config, online).episodes_per_update == 7
    assert MAML.bank_share(config, kshot, 1000) == 1000
    assert MAML.bank_share(config, online, 1000) == 200
    assert MAML.bank_share(config, online, 150) == 150


def test_the_learning_rate_falls_to_zero_unless_told_otherwise(tiny):
    for schedule, end in (("cosine", 0.0), ("constant", 2e-3)):
        optimizer, scheduler = build(tiny, schedule=schedule).optimizer(10)
        for _ in range(10):
            optimizer.step()
            scheduler.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(end)


@pytest.mark.parametrize("cls", [MAML, ANIL])
@pytest.mark.parametrize(
    ("preset", "rate", "steps", "steps_in_test", "tasks"),
    [("paper", 0.4, 1, 3, 32), ("paper-20way", 0.1, 5, 5, 16)],
)
def test_the_presets_are_the_settings_of_appendix_a1(
    cls, preset, rate, steps, steps_in_test, tasks
):
    config = cls.Config(**cls.presets[preset])
    assert (config.inner_lr, config.inner_steps, config.inner_steps_test) == (
        rate,
        steps,
        steps_in_test,
    )
    assert config.encoder == "conv4-strided"
    assert (config.transductive, config.learned_rates) == (True, False)
    assert (config.lr, config.schedule, config.max_grad_norm) == (1e-3, "constant", None)
    task = TaskSpec((1, 28, 28), 5)
    assert cls.training_task(config, task).episodes_per_update == tasks
    assert cls.published_updates(config, task) == 60_000
