"""LSTM: torch's own whole-sequence call, held against its cell one step at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.api import SequenceLearner, TaskSpec
from bench.testing.tasks import draw, tiny_task
from bench_plugins.model_based.lstm import LSTM

TASK = TaskSpec((1, 2, 2), 3, protocol="online", length=9)
PROBE = TaskSpec((4,), 1, protocol="sequence", items=(1, 3), outputs=2)


def made(task=TASK, **options):
    torch.manual_seed(0)
    config = LSTM.Config(**{"encoder": "pixels", "hidden": 6, "layers": 2, **options})
    return LSTM(config, task).eval()


@pytest.fixture
def learner():
    return made()


@pytest.fixture
def stream():
    torch.manual_seed(1)
    return torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))


@pytest.mark.parametrize("task", [TASK, PROBE], ids=["stream", "probe"])
@torch.no_grad()
def test_a_sequence_in_one_call_equals_the_steps(task):
    learner, state = made(task), (torch.randn(2, 2, 6), torch.randn(2, 2, 6))
    z, labels = torch.rand(2, 9, 4), torch.rand(2, 9, learner.label_size)
    fused, stepped = learner.feed(state, z, labels), SequenceLearner.feed(learner, state, z, labels)
    torch.testing.assert_close(fused, stepped)


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


# -- before training ------------------------------------------------------------------------------


@torch.no_grad()
def accuracy(protocol, start):
    """Untrained, on tiny tasks: of 5-way 1-shot queries; online, at the third presentation."""
    torch.manual_seed(0)
    task = tiny_task(protocol).but(length=15 if protocol == "online" else 0)
    learner, batch = LSTM(LSTM.Config(encoder="pixels", start=start), task), draw(task, 64, seed=1)
    if protocol == "kshot":
        state = learner.adapt(batch.support_x, batch.support_y, 5)
        told = learner.predict(state, batch.query_x).argmax(-1)  # (B, Q)
        return (told == batch.query_y).float().mean().item()
    told = learner.unroll(batch.x, batch.y, 5).argmax(-1)  # (B, T)
    times = (batch.y[:, :, None] == batch.y[:, None]).tril().sum(2)  # (B, T)
    return (told == batch.y)[times == 3].float().mean().item()


@pytest.mark.parametrize("protocol", ["kshot", "online"])
def test_an_associative_start_knows_an_example_again(protocol):
    assert accuracy(protocol, "associative") > 0.6  # chance is 0.2
    assert accuracy(protocol, "plain") < 0.4


@torch.no_grad()
def test_a_pair_of_units_compares_by_hand():
    """Of one class: σ(q) tanh(c) + σ(-q) tanh(-c) = tanh(q / 2) tanh(c), positive where they
    agree."""
    torch.manual_seed(0)
    learner = LSTM(LSTM.Config(encoder="pixels", hidden=6), TaskSpec((1, 2, 2), 3)).eval()
    learner.lstm.weight_hh_l0.zero_()  # what is left to chance
    learner.lstm.weight_ih_l0[:12, :4] = 0
    learner.lstm.weight_ih_l0[6:12, 4:] = 0
    z = torch.tensor([[1.0, -0.5, 0.25, 2.0]])
    _, told = learner.step(learner.initial_state(1), z, torch.tensor([[0.0, 1.0, 0.0]]))
    hidden = learner.step(told, -z, torch.zeros(1, 3))[1][0].flatten()
    look = learner.lstm.weight_ih_l0[2 * 6 + 2, :4]  # the candidate of the first unit of class 1
    agrees = -(look @ z[0]).item()  # of the query -z

    def gate(bias):
        return 1 / (1 + math.exp(-bias))

    # The label opens the input gate of its class, 7 - 4; a query has none, and the gates are shut.
    kept = gate(5) * gate(3) * math.tanh(-agrees) + gate(-4) * math.tanh(agrees)
    other = gate(5) * gate(-4) * math.tanh(-agrees) + gate(-4) * math.tanh(agrees)
    both = [math.tanh(agrees / 2) * math.tanh(cell) for cell in (other, kept, other)]
    torch.testing.assert_close(hidden.view(3, 2).sum(1), torch.tensor(both))
    assert both[1] < 0, "the query is the opposite of what was seen"


def test_the_paper_and_probes_start_plainly():
    assert LSTM.presets["paper"]["start"] == "plain"
    one, other = made(PROBE, start="plain", layers=1), made(PROBE, layers=1)
    assert all(map(torch.equal, one.parameters(), other.parameters()))


# -- episodes -------------------------------------------------------------------------------------


@torch.no_grad()
def test_nothing_is_left_of_an_earlier_episode(learner, stream):
    first = learner.unroll(*stream, 3)
    learner.unroll(torch.rand(5, 9, 1, 2, 2), torch.randint(0, 3, (5, 9)), 3)
    assert torch.equal(learner.unroll(*stream, 3), first)
    assert not any(part.any() for part in learner.initial_state(2))


@torch.no_grad()
def test_it_stays_in_float32_under_autocast(learner, stream):
    """PyTorch has no bf16 LSTM for every CPU."""
    exact = learner.unroll(*stream, 3)
    with torch.autocast("cpu", torch.bfloat16):
        state = learner.adapt(*stream, 3)["memory"]
        rough = learner.unroll(*stream, 3)
    assert {part.dtype for part in state} == {torch.float32}
    torch.testing.assert_close(rough.float(), exact, atol=0.02, rtol=0.02)


def test_the_paper_has_one_layer_of_200_units_and_100000_episodes():
    config = LSTM.Config(**LSTM.presets["paper"])
    assert (config.encoder, config.hidden, config.layers) == ("pixels", 200, 1)
    for task in (TASK, TaskSpec((1, 2, 2), 3)):
        asked = LSTM.training_task(config, task)
        assert LSTM.published_updates(config, task) * asked.episodes_per_update == 100_000
        assert LSTM(config, asked).offset_labels
