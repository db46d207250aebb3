"""NTM (Graves et al. 2014), equation by equation, against constants computed by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

import bench_plugins.model_based.ntm as module
from bench.api import Sequences, TaskSpec
from bench_plugins.model_based.ntm import NTM, content, interpolate, rotate, sharpen, write

COPY = TaskSpec((4,), 1, protocol="sequence", items=(1, 3), outputs=2)
SMALL = NTM.Config(encoder="pixels", hidden=6, rows=5, width=3, read_heads=2, write_heads=2)


def made(**options):
    torch.manual_seed(0)
    return NTM(dataclasses.replace(SMALL, **options), COPY).eval()


@pytest.fixture
def learner():
    return made()


@pytest.fixture
def state(learner):
    """A state in the middle of a sequence."""
    torch.manual_seed(1)
    return learner.initial_state(2)._replace(
        hidden=torch.randn(2, 6).tanh(),
        cell=torch.randn(2, 6),
        matrix=torch.randn(2, 5, 3),
        read=torch.randn(2, 6),
        weights=torch.randn(2, 4, 5).softmax(-1),
    )


def copies(batch=16, items=3, seed=0):
    """`copy` with 2 bits: a start flag, the vectors, an end flag, the answer."""
    random = torch.Generator().manual_seed(seed)
    vectors = (torch.rand(batch, items, 2, generator=random) < 0.5).float()
    x, target = torch.zeros(batch, 2 * items + 2, 4), torch.zeros(batch, 2 * items + 2, 2)
    x[:, 0, 2] = x[:, items + 1, 3] = 1
    x[:, 1 : items + 1, :2] = target[:, items + 2 :] = vectors
    mask = torch.zeros(target.shape[:2])
    mask[:, items + 2 :] = 1
    return Sequences(x, target, mask)


# -- equations (5) and (6) ------------------------------------------------------------------------


def test_content_by_hand():
    matrix = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]])
    keys, strengths = torch.tensor([[[5.0, 0.0]]]), torch.tensor([[math.log(2)]])
    # Cosines 1, 0, -1; the softmax of ln 2 times them is (2, 1, 1/2) / 3.5.
    expected = torch.tensor([[[2.0, 1.0, 0.5]]]) / 3.5
    torch.testing.assert_close(content(matrix, keys, strengths), expected)


@pytest.mark.parametrize("value", [0.0, module.INITIAL_MEMORY])
def test_an_empty_memory_is_alike_in_all_rows_with_finite_gradients(value):
    matrix = torch.full((1, 4, 3), value, requires_grad=True)
    keys = torch.randn(1, 2, 3, requires_grad=True)
    weights = content(matrix, keys, torch.full((1, 2), 50.0))
    torch.testing.assert_close(weights, torch.full((1, 2, 4), 0.25))
    weights[..., 0].sum().backward()
    assert matrix.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_a_zero_row_beside_others_and_a_zero_key_have_finite_gradients():
    matrix = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]], requires_grad=True)
    keys = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]], requires_grad=True)
    weights = content(matrix, keys, torch.tensor([[1.0, math.log(3)]]))
    # A zero key has cosine 0 with both rows; the other key 0 and 1: (1, 3) / 4.
    torch.testing.assert_close(weights, torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]))
    weights[..., 0].sum().backward()
    assert matrix.grad.isfinite().all()
    assert keys.grad.isfinite().all()


# -- equations (7) to (9) -------------------------------------------------------------------------


def test_interpolation_by_hand():
    before, similar = torch.tensor([[[1.0, 0.0]] * 3]), torch.tensor([[[0.2, 0.8]] * 3])
    weights = interpolate(before, similar, torch.tensor([[0.0, 1.0, 0.25]]))
    # 1/4 (0.2, 0.8) + 3/4 (1, 0) = (0.8, 0.2)
    expected = torch.tensor([[[1.0, 0.0], [0.2, 0.8], [0.8, 0.2]]])
    torch.testing.assert_close(weights, expected)


def test_a_shift_by_one_goes_to_the_next_row_and_around():
    weights = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    back, stay, forth = torch.eye(3)[:, None, None]
    assert rotate(weights, back).tolist() == [[[2, 3, 4, 1]]]
    assert rotate(weights, stay).tolist() == [[[1, 2, 3, 4]]]
    assert rotate(weights, forth).tolist() == [[[4, 1, 2, 3]]]


def test_a_soft_shift_by_hand():
    weights = torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])
    shifted = rotate(weights, torch.tensor([[[0.1, 0.7, 0.2]]]))
    # Row 0: 0.7 of 0.5, 0.1 of row 1's. Row 1: 0.7 of 0.5, 0.2 of row 0's. Row 2: 0.2 of row 1's.
    # Row 3: 0.1 of row 0's, around the end.
    torch.testing.assert_close(shifted, torch.tensor([[[0.40, 0.45, 0.10, 0.05]]]))


def test_shifts_equal_the_convolution_of_the_paper():
    weights, shifts = torch.randn(2, 3, 7).softmax(-1), torch.randn(2, 3, 5).softmax(-1)
    expected = torch.zeros(2, 3, 7)
    for i in range(7):
        for j in range(7):
            for offset in range(-2, 3):
                if (i - j) % 7 == offset % 7:
                    expected[..., i] += weights[..., j] * shifts[..., offset + 2]
    torch.testing.assert_close(rotate(weights, shifts), expected)


def test_sharpening_by_hand():
    weights, powers = torch.tensor([[[0.5, 0.25, 0.25]] * 2]), torch.tensor([[1.0, 2.0]])
    # (1/4, 1/16, 1/16) / (3/8) = (2/3, 1/6, 1/6)
    expected = torch.tensor([[[0.5, 0.25, 0.25], [2 / 3, 1 / 6, 1 / 6]]])
    torch.testing.assert_close(sharpen(weights, powers), expected)


@pytest.mark.parametrize("power", [1.0, 1.5, 100.0])
def test_sharpening_of_weights_that_are_zero_has_finite_gradients(power):
    weights = torch.tensor([[[1.0, 0.0, 0.0]]], requires_grad=True)
    powers = torch.tensor([[power]], requires_grad=True)
    sharp = sharpen(weights, powers)
    torch.testing.assert_close(sharp, weights)
    (sharp * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert weights.grad.isfinite().all()
    assert powers.grad.isfinite().all()


# -- equations (3) and (4) ------------------------------------------------------------------------


def test_write_by_hand():
    matrix = torch.tensor([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    weights = torch.tensor([[[1.0, 0.5, 0.0], [0.0, 0.5, 0.0]]])
    erase = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    add = torch.tensor([[[10.0, 0.0], [0.0, 4.0]]])
    # Row 0: (1 (1 - 1), 1) + (10, 0). Row 1: (2 (1 - 1/2) (1 - 1/2), 2 (1 - 1/2)) + (5, 2).
    expected = [[[10.0, 1.0], [5.5, 3.0], [3.0, 3.0]]]
    assert write(matrix, weights, erase, add).tolist() == expected


def test_the_order_of_the_write_heads_does_not_matter():
    matrix, weights = torch.randn(2, 5, 3), torch.randn(2, 2, 5).softmax(-1)
    erase, add = torch.rand(2, 2, 3), torch.randn(2, 2, 3)
    other = write(matrix, weights.flip(1), erase.flip(1), add.flip(1))
    torch.testing.assert_close(write(matrix, weights, erase, add), other)


# -- the whole step -------------------------------------------------------------------------------


def naive_step(learner, state, z, episode):
    """One sequence, one head and one row after the other, straight from the paper."""
    config, b = learner.config, episode
    R, P, W, M = config.read_heads, config.write_heads, config.width, config.rows
    H = R + P
    f, i, o, g = (
        z[b] + learner.recurrent.weight @ torch.cat([state.read[b], state.hidden[b]])
    ).view(4, 6)
    cell = f.sigmoid() * state.cell[b] + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * cell.tanh()
    said = iter((learner.interface.weight @ hidden + learner.interface.bias).tolist())
    keys = [torch.tensor([next(said) for _ in range(W)]).tanh() for _ in range(H)]
    strengths, gates = ([next(said) for _ in range(H)] for _ in range(2))
    shifts = [torch.tensor([next(said) for _ in range(3)]).softmax(0) for _ in range(H)]
    powers = [next(said) for _ in range(H)]
    erase = [torch.tensor([next(said) for _ in range(W)]).sigmoid() for _ in range(P)]
    add = [torch.tensor([next(said) for _ in range(W)]).tanh() for _ in range(P)]
    assert next(said, None) is None
    before, weights = state.matrix[b], []
    for h in range(H):
        beta = math.log1p(math.exp(strengths[h]))
        similar = torch.stack(
            [(beta * F.cosine_similarity(keys[h], row, dim=0)).exp() for row in before]
        )
        gate = 1 / (1 + math.exp(-gates[h]))
        near = gate * similar / similar.sum() + (1 - gate) * state.weights[b, h]
        moved = torch.stack(
            [
                sum(near[(row - offset) % M] * shifts[h][offset + 1] for offset in (-1, 0, 1))
                for row in range(M)
            ]
        )
        sharp = moved ** (1 + math.log1p(math.exp(powers[h])))
        weights.append(sharp / sharp.sum())
    read = torch.cat([weights[h] @ before for h in range(R)])
    after = before.clone()
    for row in range(M):
        for p in range(P):
            after[row] *= 1 - weights[R + p][row] * erase[p]
        for p in range(P):
            after[row] += weights[R + p][row] * add[p]
    logits = learner.output.weight @ torch.cat([hidden, read]) + learner.output.bias
    return logits, module.Memory(hidden, cell, after, read, torch.stack(weights))


@torch.no_grad()
def test_a_step_against_the_paper_read_aloud(learner, state):
    learner.interface.bias.normal_()
    z = torch.randn(2, 24)
    logits, after = learner.step(state, z, torch.zeros(2, 0))
    for episode in range(2):
        expected_logits, expected = naive_step(learner, state, z, episode)
        torch.testing.assert_close(logits[episode], expected_logits, atol=1e-5, rtol=1e-4)
        for name, value in expected._asdict().items():
            torch.testing.assert_close(
                getattr(after, name)[episode], value, atol=1e-5, rtol=1e-4, msg=name
            )


@torch.no_grad()
def test_what_was_read_goes_back_to_the_controller(learner, state):
    z, label = torch.randn(2, 24), torch.zeros(2, 0)
    _, one = learner.step(state, z, label)
    _, other = learner.step(state._replace(read=state.read + 1), z, label)
    assert not torch.allclose(one.hidden, other.hidden)


@torch.no_grad()
def test_a_feedforward_controller_remembers_in_the_memory_only():
    learner = made(controller="feedforward")
    torch.manual_seed(1)
    begun, z, label = learner.initial_state(2), torch.randn(2, 6), torch.zeros(2, 0)
    _, one = learner.step(begun, z, label)
    _, other = learner.step(begun._replace(hidden=begun.hidden + 1), z, label)
    torch.testing.assert_close(one, other)
    # tanh of the input's share alone: nothing was read yet, and there is no label
    torch.testing.assert_close(one.hidden, z.tanh())


# -- the extremes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("bias", [-60.0, 0.0, 60.0])
def test_gradients_are_finite_at_zero_memory_and_at_extremes(controller, scale, bias):
    """Saturated gates, shifts and sharpening; the initial weighting is zero in all rows but one."""
    learner = made(controller=controller)
    learner.initial.zero_()
    with torch.no_grad():
        learner.interface.bias += bias
    batch = copies()
    learner.loss(Sequences(scale * batch.x, batch.target, batch.mask)).backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad.isfinite().all(), name


# -- before training ------------------------------------------------------------------------------


@pytest.fixture
def images():
    """B = 30 support sets of 6 random images of 10x10, and the labels of 5 classes."""
    random = torch.Generator().manual_seed(2)
    x = (torch.rand(30, 6, 1, 10, 10, generator=random) < 0.3).float()
    return x, torch.tensor([[0, 1, 2, 3, 4, 0]]).expand(30, -1)


def untrained(start):
    torch.manual_seed(0)
    config = NTM.Config(encoder="pixels", hidden=100, rows=20, start=start)
    return NTM(config, TaskSpec((1, 10, 10), 5)).eval()


@torch.no_grad()
def test_an_associative_start_writes_row_after_row(images):
    x, y = images
    learner = untrained("associative")
    state = learner.begin(x[:, 0])
    for t, (z, label) in enumerate(
        zip(learner.encode(x).unbind(1), learner.label(y).unbind(1), strict=True)
    ):
        _, state = learner.step(state, z, label)
        assert (state.weights[:, -1, t + 1] > 0.9).all(), f"step {t}: not on row {t + 1}"
    assert (untrained("plain").adapt(x, y, 5)["memory"].weights[:, -1, 6] < 0.5).all()


@torch.no_grad()
def test_an_associative_start_reads_the_row_of_the_same_image(images):
    x, y = images

    def found(start):
        learner = untrained(start)
        state = learner.adapt(x, y, 5)["memory"]
        blank = torch.zeros(30, 5)
        right = [
            learner.step(state, z, blank)[1].weights[:, 0].argmax(-1) == t + 1
            for t, z in enumerate(learner.encode(x).unbind(1))
        ]
        return torch.stack(right).float().mean().item()

    assert found("associative") > 0.4  # one row in six by chance, or one in twenty
    assert found("plain") < 0.3


@torch.no_grad()
def test_probes_and_the_paper_start_plainly():
    paper = NTM.presets["paper"]["start"]
    assert paper == "plain"
    one, other = made(start="plain"), made(start="associative")
    assert all(map(torch.equal, one.parameters(), other.parameters())), "a probe"


# -- sequences ------------------------------------------------------------------------------------


@torch.no_grad()
def test_nothing_is_left_of_an_earlier_sequence(learner):
    x = copies().x
    first = learner.respond(x)
    learner.respond(copies(seed=1).x)
    assert torch.equal(learner.respond(x), first)
    start = learner.initial_state(2)
    assert (start.matrix == module.INITIAL_MEMORY).all()
    assert torch.equal(start.weights[..., 0], torch.ones(2, 4)), "all heads on row 0"
    assert (start.weights.sum(-1) == 1).all()
    assert not any(tensor.any() for tensor in (start.hidden, start.cell, start.read))


@torch.no_grad()
def test_a_random_memory_is_drawn_for_each_sequence_and_fixed_in_eval():
    learner = made(memory="random")
    one, other = learner.initial_state(2).matrix
    assert torch.equal(one, other)
    learner.train()
    one, other = learner.initial_state(2).matrix
    assert not torch.allclose(one, other)
    again = learner.eval().initial_state(1).matrix[0]
    learner.load_state_dict(made(memory="random").state_dict())
    assert torch.equal(learner.initial_state(1).matrix[0], again)


def test_a_learned_memory_learns():
    learner = made(memory="learned")
    learner.loss(copies()).backward()
    assert learner.initial.grad.abs().sum() > 0


@torch.no_grad()
def test_weightings_are_those_of_the_steps(learner):
    x = copies(batch=2).x
    seen = learner.weightings(x)
    assert list(seen) == ["read 1", "read 2", "write 1", "write 2"]
    assert list(made(read_heads=1, write_heads=1).weightings(x)) == ["read", "write"]
    state = learner.initial_state(2)
    for t, z in enumerate(learner.encode(x).unbind(1)):
        _, state = learner.step(state, z, torch.zeros(2, 0))
        together = torch.stack([weights[:, t] for weights in seen.values()], dim=1)
        torch.testing.assert_close(together, state.weights)
        torch.testing.assert_close(together.sum(-1), torch.ones(2, 4))


@torch.no_grad()
def test_the_memory_is_float32_under_autocast(learner):
    with torch.autocast("cpu", torch.bfloat16):
        state = learner.begin(torch.zeros(2, 4))
        for z in learner.encode(copies(batch=2).x).unbind(1):
            _, state = learner.step(state, z, torch.zeros(2, 0))
    for name in ("matrix", "read", "weights", "cell"):
        assert getattr(state, name).dtype == torch.float32, name


def test_it_learns_to_copy():
    """The bits of one or two vectors are nearly known within seconds, with each of three seeds or
    with two of them; guessing costs ln 2, and does not get below."""
    last = []
    for seed in range(3):
        torch.manual_seed(seed)
        config = NTM.Config(hidden=50, rows=12, width=10, schedule="constant", max_grad_norm=1.0)
        learner = NTM(config, NTM.training_task(config, COPY))
        (optimizer, _), losses = learner.optimizer(300), []
        for update in range(300):
            loss = learner.loss(copies(items=1 + update % 2, seed=update))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learner.parameters(), learner.max_grad_norm)
            optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(math.log(2), abs=0.1)
        last.append(sum(losses[-30:]) / 30)
    assert sorted(last)[1] < math.log(2) / 2, last
