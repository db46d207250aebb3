"""The plain loop computes what `ntm` computes."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from bench_plugins.model_based.ntm import NTM
from benchmarks.plain_ntm import PlainNTM
from benchmarks.recurrent import made, plain_loss, stream_of


def test_the_plain_loop_is_the_same_function_with_the_same_gradient():
    learner = made("ntm", small=True)
    assert isinstance(learner, NTM)
    batch, plain = stream_of(learner.task), PlainNTM(learner)
    with torch.no_grad():  # heads that are not all alike
        for head in (*plain.readers, *plain.writers):
            assert head.parts[0].weight.abs().max() > 0
    losses = [learner.loss(batch), plain_loss(plain, batch)]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(
        plain.output.weight.grad, learner.output.weight.grad, atol=1e-5, rtol=1e-3
    )
    # what a cell adds for its inputs comes twice: b_ih and b_hh
    torch.testing.assert_close(
        plain.cell.bias_ih.grad.sum(), learner.input.bias.grad.sum(), atol=1e-5, rtol=1e-3
    )


@pytest.mark.parametrize("options", [{"write_heads": 2, "read_heads": 1}, {"shift": 2}])
def test_with_other_heads_too(options):
    torch.manual_seed(0)
    task = made("ntm", small=True).task
    learner = NTM(NTM.Config(encoder="pixels", **options), task)
    batch = stream_of(task)
    losses = map(partial(_loss, batch), (learner, PlainNTM(learner)))
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)


def _loss(batch, model):
    return model.loss(batch) if isinstance(model, NTM) else plain_loss(model, batch)
