"""The compiled loss of any learner; that of MAML and its kin is in
tests/plugins/test_maml_compiled.py."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bench.api import BenchError
from bench.worker.compiled import CompiledLoss, compiled_loss
from bench.worker.recorded import ordinary, rounding
from tests.helpers.recorded_learners import (
    UNRECORDABLE,
    Batch,
    Small,
    batches,
    same_state,
    train,
    without_compiling,
)


@pytest.fixture
def plain(monkeypatch):
    return without_compiling(monkeypatch)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_is_the_ordinary_one_with_buffers_and_random_numbers(plain, precision):
    torch.manual_seed(0)
    ordinary = Small()
    learner = copy.deepcopy(ordinary)
    compiled = CompiledLoss(learner)
    assert train(learner, compiled, precision=precision) == pytest.approx(
        train(ordinary, precision=precision), rel=1e-6
    )
    assert len(plain) == 1
    same_state(learner, ordinary)
    assert torch.equal(learner.idle, torch.ones(2))  # without a gradient, and so without decay


def test_each_shape_is_recorded_once(plain):
    compiled = CompiledLoss(Small().train())
    for number in range(4):
        compiled(Batch(torch.randn(4 + number % 2, 4))).backward()
    assert len(plain) == 2
    compiled.seconds = 0.0
    compiled(Batch(torch.randn(4, 4))).backward()
    assert compiled.seconds == 0.0


@pytest.mark.parametrize(("kind", "reason"), UNRECORDABLE)
def test_what_cannot_be_compiled_fails_with_the_reason(plain, kind, reason):
    compiled = CompiledLoss(kind().train())
    with pytest.raises(BenchError, match=f"cannot be compiled: .*{reason}.*without --compile"):
        compiled(batches(1)[0])


def test_a_compiler_that_computes_something_else_is_caught(monkeypatch):
    def wrong(module, **_):
        def call(*arguments):
            loss, first, *others = module(*arguments)
            return [loss, first * 30, *others]

        return call

    monkeypatch.setattr(torch, "compile", wrong)
    compiled = CompiledLoss(Small().train())
    with pytest.raises(BenchError, match="compiled, it has a gradient another by"):
        compiled(batches(1)[0])


def test_what_rounding_does_is_not_said_of_random_numbers():
    """Small has dropout: in float64 another half of the values might be left out."""
    learner = Small().train()
    before = copy.deepcopy(learner.state_dict())
    [batch] = batches(1)
    assert rounding(learner, batch, ordinary(learner, batch)) == 0
    learner.load_state_dict(before)
    learner.layers[2].p = 0.0
    own = ordinary(learner, batch)
    state = copy.deepcopy(learner.state_dict())
    assert 0 < rounding(learner, batch, own) < 1e-5
    assert all(torch.equal(one, state[name]) for name, one in learner.state_dict().items())


def test_what_has_no_weights_stays_what_it_is(make_training):
    assert compiled_loss(make_training(), nn.Identity()) is None


def test_what_was_captured_on_a_gpu_is_timed_on_a_cpu_as_it_is(make_training):
    training = make_training().model_copy(update={"captured": True})
    assert training.compiles
    assert compiled_loss(training, Small()) is None
