"""The compiled loss, against the learner's own."""

from __future__ import annotations

import dataclasses
import shutil
import sysconfig

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.api import BenchError, Learner, being_compiled
from bench.testing.tasks import draw, tiny_task
from bench.worker.compiled import RECORDED_TOLERANCE, CompiledLoss, check_compiler
from bench.worker.recorded import ordinary, rounding
from bench.worker.updates import update
from bench_plugins.optimization_based.anil import ANIL
from bench_plugins.optimization_based.fomaml import FOMAML
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.meta_sgd import MetaSGD
from bench_plugins.optimization_based.proto_maml import ProtoMAML
from tests.helpers.recorded_learners import without_compiling

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="needs a C++ compiler"
)


@pytest.fixture
def recorded(monkeypatch):
    return without_compiling(monkeypatch)


def gradients_of(learner, loss):
    learner.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in learner.named_parameters() if p.grad is not None}


@pytest.fixture
def exact(monkeypatch):
    """The outer loss in the precision of the learner; it is float32 otherwise."""

    def loss(answers, y):
        if y.is_floating_point():
            return F.mse_loss(answers, y)
        return F.cross_entropy(answers.flatten(0, 1), y.flatten())

    monkeypatch.setattr("bench.api.learner.answer_loss", loss)


def in_float64(batch):
    tensors = {
        one.name: value.double()
        for one in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, one.name), torch.Tensor) and value.is_floating_point()
    }
    return dataclasses.replace(batch, **tensors)


LEARNERS = [
    (MAML, {}),
    (MAML, {"inner_steps": 2, "learned_rates": True, "shared_head": True}),
    (MAML, {"transductive": True, "encoder": "pixels"}),
    (FOMAML, {"inner_steps": 2}),
    (ANIL, {"inner_steps": 2}),
    (MetaSGD, {}),
    (ProtoMAML, {"inner_steps": 2}),
]


@pytest.mark.parametrize(("cls", "options"), LEARNERS, ids=str)
def test_the_loss_and_its_gradient_are_the_learners_own(cls, options, tiny, recorded, exact):
    torch.manual_seed(0)
    learner = cls(cls.Config(filters=6, **options), tiny.task()).double().train()
    batch = in_float64(tiny.episodes(shots=2, batch=3))
    own = learner.loss(batch)
    expected = gradients_of(learner, own)
    loss = CompiledLoss(learner)(batch)
    torch.testing.assert_close(loss, own, atol=1e-9, rtol=0)
    found = gradients_of(learner, loss)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-9, rtol=1e-9, msg=name)
    assert any(gradient.any() for gradient in expected.values())


def test_in_regression_too(tiny, recorded, exact):
    task = tiny_task("regression")
    torch.manual_seed(0)
    learner = MAML(MAML.Config(encoder="mlp", filters=6), task).double().train()
    batch = in_float64(draw(task, 3, 1, training=True))
    expected = gradients_of(learner, learner.loss(batch))
    found = gradients_of(learner, CompiledLoss(learner)(batch))
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_each_shape_is_recorded_once(tiny, recorded):
    learner = MAML(MAML.Config(filters=4), tiny.task()).train()
    loss = CompiledLoss(learner)
    for shots, batch in ((1, 2), (1, 2), (2, 2), (1, 3), (2, 2)):
        loss(tiny.episodes(shots=shots, batch=batch))
    assert len(recorded) == 3


def test_new_data_and_new_weights_are_seen(tiny, recorded):
    """What was recorded holds no batch and no weights."""
    torch.manual_seed(0)
    learner = MAML(MAML.Config(filters=4), tiny.task()).train()
    loss = CompiledLoss(learner)
    loss(tiny.episodes(seed=1))
    with torch.no_grad():
        for p in learner.parameters():
            p.add_(0.1 * torch.randn_like(p))
    batch = tiny.episodes(seed=2)
    expected = gradients_of(learner, learner.loss(batch))
    found = gradients_of(learner, loss(batch))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_updates_lead_to_the_same_weights(tiny, recorded):
    weights = []
    for compiled in (False, True):
        torch.manual_seed(0)
        learner = MAML(MAML.Config(filters=4), tiny.task()).train()
        optimizer = torch.optim.SGD(learner.parameters(), 0.1)
        loss = CompiledLoss(learner) if compiled else None
        for seed in range(4):
            update(learner, optimizer, tiny.episodes(seed=seed), "fp32", loss)
        weights.append({name: p.detach() for name, p in learner.named_parameters()})
    torch.testing.assert_close(*weights, atol=1e-5, rtol=1e-4)


def test_bf16_is_recorded_as_such(tiny, recorded):
    learner = MAML(MAML.Config(filters=4), tiny.task()).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        CompiledLoss(learner)(tiny.episodes()).backward()
    casts = [n for n in recorded[0].graph.nodes if n.kwargs.get("dtype") == torch.bfloat16]
    assert casts
    assert all(p.grad.dtype == torch.float32 for p in learner.parameters())


def images(shots):
    """Noise, on which bfloat16 moves MAML's gradient by more than the tolerance."""
    task = tiny_task("kshot").but(ways=5, shots=shots, queries=shots, input_shape=(1, 16, 16))
    return task, draw(task, 4, 1, training=True)


@pytest.mark.parametrize("shots", [1, 5])
def test_what_rounding_to_bf16_does_is_let_pass(recorded, shots):
    task, batch = images(shots)
    torch.manual_seed(0)
    learner = MAML(MAML.Config(), task).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        slack = rounding(learner, batch, ordinary(learner, batch))
        CompiledLoss(learner)(batch)
    assert slack > RECORDED_TOLERANCE
    assert rounding(learner, batch, ordinary(learner, batch)) < RECORDED_TOLERANCE  # float32


def test_what_is_wrong_in_bf16_is_not(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module, **_: lambda *arguments: [
        module(*arguments)[0], *(-one for one in module(*arguments)[1:])
    ])  # fmt: skip
    task, batch = images(1)
    torch.manual_seed(0)
    learner = MAML(MAML.Config(), task).train()
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(BenchError, match="compiled, it has a gradient another by"),
    ):
        CompiledLoss(learner)(batch)


class Peeking(Learner):
    """Lets a number of a tensor decide."""

    family, contract = "mine", 2

    def __init__(self, config, task):
        super().__init__(config, task)
        self.weight = nn.Parameter(torch.ones(()))
        self.asked = []

    def loss(self, batch):
        self.asked.append(being_compiled())
        return self.weight if batch.support_x.sum() > 0 else -self.weight


def test_a_loss_that_looks_at_its_data_is_not_silently_frozen(tiny, recorded):
    learner = Peeking(Peeking.Config(), tiny.task())
    with pytest.raises(BenchError, match="a number of a tensor decides something in Python"):
        CompiledLoss(learner)(tiny.episodes())
    assert learner.asked == [False, True]  # in the ordinary way, and to be recorded
    assert not being_compiled()
    assert recorded == []


# -- what it needs --------------------------------------------------------------------------------


def test_without_a_compiler_it_says_what_to_do(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BenchError, match=r"C\+\+ compiler.*no g\+\+ or clang.*install"):
        check_compiler("cpu")
    monkeypatch.setenv("CXX", "/no/such")
    with pytest.raises(BenchError, match="no /no/such"):
        check_compiler("cpu")


def test_without_pythons_headers_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(BenchError, match=r"header files.*Python\.h.*install"):
        check_compiler("cpu")
    check_compiler("cuda")


# -- for real -------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.slow
def test_compiled_for_real_it_is_the_same(tiny, exact, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.manual_seed(0)
    learner = MAML(MAML.Config(filters=4), tiny.task()).double().train()
    batch = in_float64(tiny.episodes(batch=2))
    expected = gradients_of(learner, learner.loss(batch))
    loss = CompiledLoss(learner)
    found = gradients_of(learner, loss(batch))
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    assert loss.seconds > 0
    assert [*tmp_path.rglob("*.so")]
    before = loss.seconds
    loss(batch)
    assert loss.seconds == before
