"""MetaNet (Munkhdalai and Yu 2017): each piece by hand, the whole against Algorithm 1 in loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import tensor

from bench.api import TaskSpec
from bench_plugins.model_based.metanet import Fast, MetaNet, example_gradients, present


def build(ways=3, shape=(1, 2, 2), **options):
    torch.manual_seed(0)
    sizes = {"encoder": "pixels", "key": 5, "hidden": 6, "generator": 4}
    return MetaNet(MetaNet.Config(**{**sizes, **options}), TaskSpec(shape, ways)).eval()


def draw(learner, batch=2, support=4, queries=3):
    ways, shape = learner.task.ways, learner.task.input_shape
    random = torch.Generator().manual_seed(1)
    x = torch.rand(batch, support + queries, *shape, generator=random)
    y = torch.randint(0, ways, (batch, support + queries), generator=random)
    return x[:, :support], y[:, :support], x[:, support:], y[:, support:]


# -- the pieces -----------------------------------------------------------------------------------


def test_the_gradient_of_one_example():
    """first = 1, second = [[1, 0], [0, 0]], z = (1, -1), y = 1.

    hidden = relu(1, -1) = (1, 0); logits (1, 0); p = (0.731, 0.269), since 1 / (1 + 1/e) = 0.731.
    p - y = (0.731, -0.731), back through `second` (0.731, 0), where hidden is positive.
    """
    e = 1 / (1 + math.exp(-1))
    first, second = torch.eye(2), tensor([[1.0, 0.0], [0.0, 0.0]])
    d_first, d_second = example_gradients(first, second, tensor([[1.0, -1.0]]), tensor([1]))
    torch.testing.assert_close(d_first, tensor([[[e, -e], [0, 0]]]))
    torch.testing.assert_close(d_second, tensor([[[e, 0.0], [-e, 0.0]]]))


def test_gradients_are_presented_by_logarithm_and_sign():
    """Above e^-7: (log |g| / 7, sign g); below: (-1, e^7 g)."""
    g = tensor([1.0, -math.exp(-3.5), math.exp(-8), -math.exp(-7), 0.0])
    expected = [[0, 1], [-0.5, -1], [-1, math.exp(-1)], [-1, -1], [-1, 0]]
    torch.testing.assert_close(torch.stack(present(g), dim=1), tensor(expected))


@torch.no_grad()
def test_a_key_is_slow_plus_fast_after_the_nonlinearity():
    """Q z = (2, -2), Q* z = (-2, 6): relu apart gives (2, 0) + (0, 6), of the sum (0, 4)."""
    learner = build(key=2)
    learner.key.weight = torch.nn.Parameter(tensor([[1.0], [-1.0]]))
    keys = learner._keys(tensor([[[2.0]]]), tensor([[[-1.0], [3.0]]]))
    assert keys.tolist() == [[[2, 6]]]


@torch.no_grad()
def test_an_answer_is_composed_of_slow_and_attended_fast_weights():
    """Attention (3/4, 1/4).

    W*_hidden = 3/4 (0, 2) + 1/4 (4, 2) = (1, 2), so with z = 1 and W_hidden = (1, -1)
    hidden = relu(1, -1) + relu(1, 2) = (2, 2).
    W*_output = 3/4 [[0, 0], [1, 0]] + 1/4 [[0, 0], [3, 0]] = [[0, 0], [1.5, 0]], and with
    W_output = 1 the logits are (2, 2) + (0, 3).
    """
    learner = build(ways=2, hidden=2)
    learner.hidden.weight = torch.nn.Parameter(tensor([[1.0], [-1.0]]))
    learner.output.weight = torch.nn.Parameter(torch.eye(2))
    memory = Fast(
        tensor([[[[0.0], [2.0]], [[4.0], [2.0]]]]),
        tensor([[[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [3.0, 0.0]]]]),
    )
    logits = learner._answer(tensor([[[1.0]]]), tensor([[[0.75, 0.25]]]), memory)
    assert logits.tolist() == [[[2, 5]]]


# -- the whole ------------------------------------------------------------------------------------


def generated(generator, gradient):
    """One weight after the other."""
    made = []
    for g in gradient.flatten():
        small = g.abs() < math.exp(-7)
        size = tensor(-1.0) if small else g.abs().log() / 7
        sign = g * math.exp(7) if small else g.sign()
        made.append(sign * generator.layers(torch.stack([size, sign.abs()])))
    return torch.stack(made).view_as(gradient)


def algorithm_1(learner, support_x, support_y, query_x):
    """Logits (Q, N) of one episode, gradients by autograd."""
    Q, P = learner.key.weight, learner.key_output.weight
    W, V = learner.hidden.weight, learner.output.weight
    gradients, memory = [], []
    for x, y in zip(support_x.flatten(1), support_y, strict=True):
        embedding = F.cross_entropy(P @ F.relu(Q @ x), y)
        gradients.append(torch.autograd.grad(embedding, Q, create_graph=True)[0])
        task = F.cross_entropy(V @ F.relu(W @ x), y)
        of_both = torch.autograd.grad(task, (W, V), create_graph=True)
        memory.append(
            [generated(m, g) for m, g in zip(learner.example_generators, of_both, strict=True)]
        )
    fast_Q = generated(learner.task_generator, torch.stack(gradients).mean(0))

    def u(x):
        return F.relu(Q @ x) + F.relu(fast_Q @ x)

    logits = []
    for q in query_x.flatten(1):
        cosine = [F.cosine_similarity(u(q), u(x), dim=0) for x in support_x.flatten(1)]
        if learner.config.sharpness is not None:
            cosine = [learner.sharpness.exp() * c for c in cosine]
        a = torch.stack(cosine).softmax(0)
        fast_W, fast_V = (sum(a[i] * memory[i][k] for i in range(len(a))) for k in range(2))
        hidden = F.relu(W @ q) + F.relu(fast_W @ q)
        logits.append(V @ hidden + fast_V @ hidden)
    return torch.stack(logits)


@pytest.mark.parametrize("sharpness", [None, 10.0])
def test_answers_and_meta_gradients_against_algorithm_1(sharpness):
    """Meta-gradients too, which go through the gradients of the support set."""
    learner = build(sharpness=sharpness)
    support_x, support_y, query_x, query_y = draw(learner)
    logits = learner.predict(learner.adapt(support_x, support_y, 3), query_x)
    expected = torch.stack(
        [algorithm_1(learner, *e) for e in zip(support_x, support_y, query_x, strict=True)]
    )
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    gradients = [
        torch.autograd.grad(
            F.cross_entropy(answers.flatten(0, 1), query_y.flatten()), list(learner.parameters())
        )
        for answers in (logits, expected)
    ]
    for (name, _), one, other in zip(learner.named_parameters(), *gradients, strict=True):
        assert one.abs().max() > 0, name
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-3, msg=name)


def test_meta_gradients_can_stop_at_the_gradients_of_the_support_set():
    """The answers are the same; the embedding loss's own layer then learns nothing."""
    losses, gradients = [], []
    for second_order in (True, False):
        learner = build(second_order=second_order)
        support_x, support_y, query_x, query_y = draw(learner)
        logits = learner.predict(learner.adapt(support_x, support_y, 3), query_x)
        losses.append(F.cross_entropy(logits.flatten(0, 1), query_y.flatten()))
        losses[-1].backward()
        gradients.append((learner.hidden.weight.grad, learner.key_output.weight.grad))
    assert losses[0] == losses[1]
    assert not torch.allclose(gradients[0][0], gradients[1][0])
    assert gradients[0][1] is not None
    assert gradients[1][1] is None


@torch.no_grad()
def test_the_first_step_of_a_stream_is_answered_by_the_slow_weights():
    learner = build()
    x, y, _, _ = draw(learner)
    hidden = F.relu(learner.hidden(x[:, 0].flatten(1)))
    torch.testing.assert_close(learner.unroll(x, y, 3)[:, 0], learner.output(hidden))


@torch.no_grad()
def test_the_order_of_the_support_set_is_no_matter():
    learner = build()
    support_x, support_y, query_x, _ = draw(learner)
    one = learner.predict(learner.adapt(support_x, support_y, 3), query_x)
    turned = learner.adapt(support_x.flip(1), support_y.flip(1), 3)
    torch.testing.assert_close(one, learner.predict(turned, query_x))


@torch.no_grad()
def test_the_labels_of_the_support_set_make_the_fast_weights():
    learner = build()
    support_x, support_y, _, _ = draw(learner)
    one = learner.adapt(support_x, support_y, 3)
    other = learner.adapt(support_x, (support_y + 1) % 3, 3)
    for a, b in zip((*one.memory, one.task), (*other.memory, other.task), strict=True):
        assert not torch.allclose(a, b)


@pytest.mark.parametrize("encoder", ["pixels", "conv4"])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e4])
def test_extreme_images_have_finite_gradients(encoder, value, tiny):
    """Blank images have keys of zero and gradients of zero."""
    learner = build(5, (1, 20, 20), encoder=encoder, filters=4).train()
    batch = tiny.episodes()
    batch.support_x = torch.full_like(batch.support_x, value)
    learner.loss(batch).backward()
    assert all(p.grad.isfinite().all() for p in learner.parameters())


@torch.no_grad()
def test_fast_weights_are_float32_under_autocast(tiny):
    learner = build(5, (1, 20, 20), encoder="conv4", filters=4)
    batch = tiny.episodes()
    with torch.autocast("cpu", torch.bfloat16):
        state = learner.adapt(batch.support_x, batch.support_y, 5)
    assert {t.dtype for t in (state.keys, *state.memory, state.task)} == {torch.float32}


@pytest.mark.parametrize("seed", range(10))
def test_no_fast_layer_is_dead_at_the_start(seed, tiny):
    torch.manual_seed(seed)
    learner = MetaNet(MetaNet.Config(filters=8), tiny.task())
    learner.loss(tiny.episodes()).backward()
    for generator in (learner.task_generator, *learner.example_generators):
        assert generator.layers[-1].weight.grad.abs().max() > 0
