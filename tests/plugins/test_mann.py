"""MANN (Santoro et al. 2016), equation by equation, against constants computed by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

import bench_plugins.model_based.mann as module
from bench.api import TaskSpec, previous_labels
from bench.testing.tasks import draw, tiny_task
from bench_plugins.model_based.mann import MANN, address, least_used, write

TASK = TaskSpec((1, 2, 2), 3, protocol="online", length=9)
SMALL = MANN.Config(encoder="pixels", hidden=6, rows=5, width=3, heads=2, usage_decay=0.5)
PAPER = dataclasses.replace(SMALL, own_rows=False)


def made(config=SMALL, task=TASK):
    torch.manual_seed(0)
    return MANN(config, task)


@pytest.fixture
def learner():
    return made()


@pytest.fixture
def state(learner):
    """A state in the middle of an episode; rows of distinct use."""
    torch.manual_seed(1)
    return learner.initial_state(2)._replace(
        hidden=torch.randn(2, 6).tanh(),
        cell=torch.randn(2, 6),
        matrix=torch.randn(2, 5, 3),
        read=torch.randn(2, 6),
        read_weights=torch.randn(2, 2, 5).softmax(-1),
        usage=torch.tensor([[0.5, 0.1, 0.9, 0.2, 0.7], [0.3, 0.8, 0.2, 0.6, 0.1]]),
    )


def one_hot(*labels):
    return F.one_hot(torch.tensor(labels), 3).float()


# -- equations (2) and (3) ------------------------------------------------------------------------


def test_address_by_hand():
    matrix = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]])
    keys, strengths = torch.tensor([[[5.0, 0.0]]]), torch.tensor([[math.log(2)]])
    # Cosines 1, 0, -1; the softmax of ln 2 times them is (2, 1, 1/2) / 3.5.
    expected = torch.tensor([[[2.0, 1.0, 0.5]]]) / 3.5
    torch.testing.assert_close(address(keys, strengths, matrix), expected)


def test_address_divides_by_each_norm_once_and_takes_the_softmax_once():
    matrix, keys = torch.randn(2, 5, 3), torch.randn(2, 4, 3)
    weights = address(keys, torch.full((2, 4), 5.0), matrix)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))
    cosine = F.cosine_similarity(keys[:, :, None], matrix[:, None], dim=-1)
    torch.testing.assert_close(weights, (5 * cosine).softmax(-1))
    torch.testing.assert_close(weights, address(10 * keys, torch.full((2, 4), 5.0), 3 * matrix))


@pytest.mark.parametrize("content", [0.0, module.INITIAL_MEMORY])
def test_an_empty_memory_is_read_evenly_with_finite_gradients(content):
    matrix = torch.full((1, 4, 3), content, requires_grad=True)
    keys = torch.randn(1, 2, 3, requires_grad=True)
    weights = address(keys, torch.ones(1, 2), matrix)
    torch.testing.assert_close(weights, torch.full((1, 2, 4), 0.25))
    weights[..., 0].sum().backward()
    assert matrix.grad.isfinite().all()
    assert keys.grad.isfinite().all()


# -- equations (5) to (8) -------------------------------------------------------------------------


def test_least_used_are_the_n_smallest_in_order_of_use():
    usage = torch.tensor([[0.5, 0.1, 0.9, 0.2], [0.0, 3.0, 2.0, 1.0]])
    assert least_used(usage, 1).tolist() == [[[0, 1, 0, 0]], [[1, 0, 0, 0]]]
    assert least_used(usage, 2).tolist() == [
        [[0, 1, 0, 0], [0, 0, 0, 1]],
        [[1, 0, 0, 0], [0, 0, 0, 1]],
    ]


def test_ties_leave_exactly_n():
    rows = least_used(torch.zeros(3, 7), 4)
    assert rows.sum(2).tolist() == [[1, 1, 1, 1]] * 3
    assert (rows.sum(1) <= 1).all(), "no row twice"


def test_write_by_hand():
    matrix = torch.tensor([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    emptied = torch.tensor([[[0.0, 1.0, 0.0]]])
    weights = torch.tensor([[[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]]])
    vectors = torch.tensor([[[10.0, 0.0], [0.0, 4.0]]])
    # Row 1 is emptied first. Row 0: + 1 (10, 0). Row 1: 0.5 (10, 0) + 1 (0, 4).
    expected = [[[11.0, 1.0], [5.0, 4.0], [3.0, 3.0]]]
    assert write(matrix, emptied, weights, vectors).tolist() == expected


def with_gate(learner, bias):
    """The gate α of all heads set to `bias`, whatever the controller says."""
    heads = learner.config.heads
    with torch.no_grad():
        learner.interface.weight[heads : 2 * heads] = 0
        learner.interface.bias[heads : 2 * heads] = bias
    return learner


@torch.no_grad()
def test_a_closed_gate_writes_each_head_to_a_least_used_row_of_its_own(learner, state):
    z, label = torch.randn(2, 24), one_hot(0, 2)
    _, after = with_gate(learner, -100.0).step(state, z, label)
    changed = (after.matrix != state.matrix).any(-1)
    assert changed.tolist() == [
        [False, True, False, True, False],  # usage 0.1 and 0.2
        [False, False, True, False, True],  # usage 0.2 and 0.1
    ]
    # Each head has written once, to one row; usage halves (γ = 0.5): equation (5).
    written = 1.0 * changed
    torch.testing.assert_close(after.usage, 0.5 * state.usage + after.read_weights.sum(1) + written)
    # What was in those rows is gone: they hold the key of their head, the least used row the first
    _, empty = learner.step(state._replace(matrix=torch.zeros(2, 5, 3)), z, label)
    for episode, rows in enumerate(([1, 3], [4, 2])):
        torch.testing.assert_close(after.matrix[episode, rows], empty.matrix[episode, rows])
    assert not torch.allclose(after.matrix[0, 1], after.matrix[0, 3]), "two rows, two memories"


@torch.no_grad()
def test_in_the_papers_form_all_heads_write_to_the_same_rows_of_which_one_is_emptied(state):
    learner, z, label = with_gate(made(PAPER), -100.0), torch.randn(2, 24), one_hot(0, 2)
    _, after = learner.step(state, z, label)
    changed = (after.matrix != state.matrix).any(-1)
    # n = 2 heads write to n rows each.
    written = 2.0 * changed
    torch.testing.assert_close(after.usage, 0.5 * state.usage + after.read_weights.sum(1) + written)
    both = after.matrix[0, 1]  # the least used row was emptied: both keys, and nothing else
    torch.testing.assert_close(after.matrix[0, 3], state.matrix[0, 3] + both)


@torch.no_grad()
def test_an_open_gate_writes_to_the_rows_just_read(learner, state):
    _, after = with_gate(learner, 100.0).step(state, torch.randn(2, 24), one_hot(0, 2))
    torch.testing.assert_close(
        after.usage,
        0.5 * state.usage + after.read_weights.sum(1) + state.read_weights.sum(1),
    )


# -- the whole step -------------------------------------------------------------------------------


def naive_step(learner, state, z, label, episode):
    """One episode, one head after the other, straight from the paper."""
    config, b = learner.config, episode
    R, W, H = config.heads, config.width, config.hidden
    past = torch.cat([label[b], state.read[b], state.hidden[b]])
    f, i, o, g = (z[b] + learner.recurrent.weight @ past).view(4, H)
    cell = f.sigmoid() * state.cell[b] + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * cell.tanh()
    heads = learner.interface.weight @ hidden + learner.interface.bias
    beta, alpha = F.softplus(heads[:R]), heads[R : 2 * R].sigmoid()
    keys = vectors = heads[2 * R : 2 * R + R * W].view(R, W).tanh()
    if learner.write_vectors:
        vectors = heads[2 * R + R * W :].view(R, W).tanh()
    order = state.usage[b].argsort().tolist()
    before, after = state.matrix[b], state.matrix[b].clone()
    after[order[: R if config.own_rows else 1]] = 0
    usage, reads, weights = config.usage_decay * state.usage[b], [], []
    for r in range(R):
        cosine = torch.stack([F.cosine_similarity(keys[r], row, dim=0) for row in before])
        w_r = (beta[r] * cosine).exp() / (beta[r] * cosine).exp().sum()
        rows = [order[r]] if config.own_rows else order[:R]
        lu = torch.tensor([1.0 if row in rows else 0.0 for row in range(config.rows)])
        w_w = alpha[r] * state.read_weights[b, r] + (1 - alpha[r]) * lu
        after += w_w[:, None] * vectors[r]
        usage = usage + w_r + w_w
        reads.append(w_r @ before)
        weights.append(w_r)
    read = torch.cat(reads)
    logits = learner.output.weight @ torch.cat([hidden, read]) + learner.output.bias
    return logits, module.Memory(
        hidden, cell, after, read, torch.stack(weights), usage, state.codes[b]
    )


@pytest.mark.parametrize("write_vectors", [False, True])
@pytest.mark.parametrize("own_rows", [False, True])
@torch.no_grad()
def test_a_step_against_the_paper_read_aloud(state, own_rows, write_vectors):
    learner = made(dataclasses.replace(SMALL, own_rows=own_rows, write_vectors=write_vectors))
    learner.interface.weight *= 5  # keys so long that a smooth cosine is a cosine
    z, label = torch.randn(2, 24), one_hot(0, 2)
    logits, after = learner.step(state, z, label)
    for episode in range(2):
        expected_logits, expected = naive_step(learner, state, z, label, episode)
        torch.testing.assert_close(logits[episode], expected_logits, atol=1e-5, rtol=1e-4)
        for name, value in expected._asdict().items():
            torch.testing.assert_close(
                getattr(after, name)[episode], value, atol=1e-5, rtol=1e-4, msg=name
            )


@torch.no_grad()
def test_the_candidate_of_the_cell_has_both_signs(learner):
    """tanh, not a sigmoid: with gates at 1/2 and a candidate of -∞ the cell holds -1/2."""
    learner.recurrent.weight.zero_()
    z = torch.zeros(1, 24)
    z[:, 18:] = -100
    _, after = learner.step(learner.initial_state(1), z, one_hot(0))
    torch.testing.assert_close(after.cell, torch.full((1, 6), -0.5))


@torch.no_grad()
def test_what_was_read_goes_back_to_the_controller(learner, state):
    z, label = torch.randn(2, 24), one_hot(0, 2)
    _, one = learner.step(state, z, label)
    _, other = learner.step(state._replace(read=state.read + 1), z, label)
    assert not torch.allclose(one.hidden, other.hidden)


@torch.no_grad()
def test_the_output_sees_controller_and_read_vectors(learner):
    assert learner.output.in_features == 6 + 2 * 3
    weight = learner.output.weight
    assert (weight.abs().sum(0) > 0).all()


def test_a_head_writes_its_key_or_a_vector_of_its_own():
    """Its key in pairs, which is equation (8); a vector of its own where labels come late."""
    pairs, late = TaskSpec((1, 28, 28), 3), TaskSpec((1, 28, 28), 3, protocol="online", length=9)
    keys, vectors = 4 * (40 + 2), 4 * (2 * 40 + 2)
    for config, task, size in (
        (MANN.Config(), pairs, keys),
        (MANN.Config(), late, vectors),
        (MANN.Config(offset_labels=True), pairs, vectors),
        (MANN.Config(write_vectors=True), pairs, vectors),
        (MANN.Config(write_vectors=False), late, keys),
        (MANN.Config(**MANN.presets["paper"]), late, keys),
    ):
        assert made(config, task).interface.out_features == size


# -- before training ------------------------------------------------------------------------------


@torch.no_grad()
def found(protocol, start):
    """How often the row that a query is most like is one that was written about its class.

    A row of step t is about the image of step t; with an offset, about the one before."""
    task = tiny_task(protocol).but(length=15, queries=2)
    learner = made(MANN.Config(encoder="pixels", start=start), task).eval()
    x, y = (stream := draw(task.but(protocol="online"), 32, seed=1)).x, stream.y
    late = learner.offset_labels
    told = learner.label(y)
    told = previous_labels(told) if late else told
    state, about = learner.begin(x[:, 0]), torch.full((32, 128), -1)
    right = []
    for t, (z, label) in enumerate(zip(learner.encode(x).unbind(1), told.unbind(1), strict=True)):
        asked = learner.step(state, z, label if late else torch.zeros_like(label))[1]
        best = about.gather(1, asked.read_weights[:, 0].argmax(-1, keepdim=True))[:, 0]
        _, after = learner.step(state, z, label)
        rows = (after.matrix - state.matrix).norm(dim=-1).topk(4).indices
        about.scatter_(1, rows, y[:, t - late, None].expand(-1, 4) if t >= late else -1)
        state = after
        known = (y[:, : max(0, t - late)] == y[:, t, None]).any(1)
        right.append((best == y[:, t])[known])
    return torch.cat(right).float().mean().item()


@pytest.mark.parametrize("protocol", ["kshot", "online"])
def test_an_associative_start_finds_what_was_written_about_a_class(protocol):
    assert found(protocol, "associative") > 0.4  # by chance 0.2


def test_with_an_offset_a_plain_start_finds_nothing():
    assert found("online", "plain") < 0.3


@torch.no_grad()
def test_units_that_keep_an_example_for_a_step_show_it_one_step_late():
    """Whatever was told: y_t-1 meets x_t-1."""
    torch.manual_seed(0)
    learner = made(MANN.Config(encoder="pixels", hidden=40), TASK)
    now, before = slice(10), slice(10, 20)
    state = learner.begin(torch.rand(2, 1, 2, 2))
    shown = []
    for _ in range(4):
        x, label = torch.rand(2, 1, 1, 2, 2), one_hot(*torch.randint(0, 3, (2,)).tolist())
        _, state = learner.step(state, learner.encode(x)[:, 0], label)
        shown.append(state.hidden)
    for earlier, later in itertools.pairwise(shown):
        a, b = earlier[:, now], later[:, before]
        expected = (
            torch.sigmoid(torch.tensor(3.0))
            * (torch.sigmoid(torch.tensor(3.0)) * (2 * a).tanh()).tanh()
        )
        torch.testing.assert_close(b, expected, atol=0.05, rtol=0)  # what was there before fades


# -- episodes -------------------------------------------------------------------------------------


@torch.no_grad()
def test_nothing_is_left_of_an_earlier_episode(learner):
    x, y = torch.rand(2, 9, 1, 2, 2), torch.randint(0, 3, (2, 9))
    first = learner.unroll(x, y, 3)
    learner.unroll(torch.rand(5, 9, 1, 2, 2), torch.randint(0, 3, (5, 9)), 3)
    assert torch.equal(learner.unroll(x, y, 3), first)
    start = learner.initial_state(2)
    assert (start.matrix == module.INITIAL_MEMORY).all()
    assert not any(t.any() for name, t in start._asdict().items() if name != "matrix")


@torch.no_grad()
def test_the_memory_is_float32_under_autocast(learner):
    with torch.autocast("cpu", torch.bfloat16):
        state = learner.adapt(torch.rand(2, 4, 1, 2, 2), torch.randint(0, 3, (2, 4)), 3)
    for name in ("matrix", "read", "read_weights", "usage", "cell"):
        assert getattr(state["memory"], name).dtype == torch.float32, name


def test_the_preset_is_the_paper():
    """Section 4.1: pixels, RMSprop at 1e-4 with momentum 0.9, 100,000 episodes; labels late."""
    config = MANN.Config(**MANN.presets["paper"])
    assert (config.encoder, config.lr, config.schedule) == ("pixels", 1e-4, "constant")
    assert (config.own_rows, config.write_vectors) == (False, False)
    for task in (TaskSpec((1, 20, 20), 5, protocol="online", length=50), TaskSpec((1, 20, 20), 5)):
        asked = MANN.training_task(config, task)
        assert MANN.published_updates(config, task) * asked.episodes_per_update == 100_000
        assert asked.shots == task.shots
        assert MANN(config, asked).offset_labels
    made_by = MANN(config, task).optimizer(10)[0]
    assert isinstance(made_by, torch.optim.RMSprop)
    assert made_by.defaults["momentum"] == 0.9
