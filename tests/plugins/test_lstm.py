"""LSTM: torch's own whole-sequence call, held against its cell one step at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.api import SequenceLearner, TaskSpec
from bench_plugins.model_based.lstm import LSTM

TASK = TaskSpec((1, 2, 2), 3, protocol="online", length=9)
PROBE = TaskSpec((4,), 1, protocol="sequence", items=(1, 3), outputs=2)


def made(task=TASK, **options):
    torch.manual_seed(0)
    return LSTM(LSTM.Config(**{"hidden": 6, "layers": 2, **options}), task).eval()


@pytest.fixture
def learner():
    return made()


@pytest.fixture
def stream():
    torch.manual_seed(1)
    return torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))


@torch.no_grad()
def test_the_fused_sequence_equals_the_steps(learner, stream):
    x, y = stream
    fused = learner.unroll(x, y, 3)
    stepped = SequenceLearner._steps(
        learner, x, torch.cat([torch.zeros(2, 1, 3), learner.label(y)[:, :-1]], dim=1)
    )
    torch.testing.assert_close(fused, stepped)


@torch.no_grad()
def test_adapting_in_one_call_equals_the_steps(learner, stream):
    x, y = stream
    fused, stepped = learner.adapt(x, y, 3), SequenceLearner.adapt(learner, x, y, 3)
    torch.testing.assert_close(fused["memory"], stepped["memory"])
    assert torch.equal(fused["pending"], stepped["pending"])
    torch.testing.assert_close(learner.predict(fused, x), learner.predict(stepped, x))


@torch.no_grad()
def test_a_probe_in_one_call_equals_the_steps():
    learner, x = made(PROBE), torch.rand(2, 8, 4)
    assert learner.respond(x).shape == (2, 8, 2)
    torch.testing.assert_close(
        learner.respond(x), SequenceLearner._steps(learner, x, torch.zeros(2, 8, 0))
    )


@torch.no_grad()
def test_two_layers_against_cells(learner, stream):
    """Layer by layer, with `nn.LSTMCell`; the second layer sees the first one's output."""
    x, y = stream
    inputs = torch.cat([x.flatten(2), torch.zeros(2, 9, 3)], dim=2)
    inputs[:, 1:, 4:] = learner.label(y)[:, :-1]  # the label comes with the next example
    for layer in range(2):
        cell = nn.LSTMCell(inputs.shape[2], 6)
        for name, parameter in cell.named_parameters():
            parameter.copy_(getattr(learner.lstm, f"{name}_l{layer}"))
        state, outputs = None, []
        for step in inputs.unbind(1):
            state = cell(step, state)
            outputs.append(state[0])
        inputs = torch.stack(outputs, dim=1)
    torch.testing.assert_close(learner.unroll(x, y, 3), learner.output(inputs))


@torch.no_grad()
def test_a_cell_by_hand():
    learner = made(hidden=1, layers=1)
    for parameter in learner.lstm.parameters():
        parameter.zero_()
    # Gates i, f, g, o: i = o = 1, f = 1/2, g = tanh(x) with x = 1 at both steps.
    learner.lstm.bias_ih_l0.copy_(torch.tensor([100.0, 0.0, 0.0, 100.0]))
    learner.lstm.weight_ih_l0[2, 0] = 1
    learner.output.weight.fill_(1)
    learner.output.bias.zero_()
    x = torch.zeros(1, 2, 1, 2, 2)
    x[..., 0, 0] = 1
    logits = learner.unroll(x, torch.tensor([[0, 1]]), 3)[0, :, 0]
    # c_1 = tanh 1; c_2 = c_1 / 2 + tanh 1; h = tanh c.
    expected = [math.tanh(math.tanh(1)), math.tanh(1.5 * math.tanh(1))]
    torch.testing.assert_close(logits, torch.tensor(expected))


@torch.no_grad()
def test_nothing_is_left_of_an_earlier_episode(learner, stream):
    first = learner.unroll(*stream, 3)
    learner.unroll(torch.rand(5, 9, 1, 2, 2), torch.randint(0, 3, (5, 9)), 3)
    assert torch.equal(learner.unroll(*stream, 3), first)
    assert not any(part.any() for part in learner.initial_state(2))


def test_the_paper_has_one_layer_of_200_units_and_100000_episodes():
    config = LSTM.Config(**LSTM.presets["paper"])
    assert (config.hidden, config.layers) == (200, 1)
    assert LSTM.published_updates(config, TASK) * config.batch == 100_000
    assert LSTM.training_task(config, TASK).episodes_per_update == config.batch
