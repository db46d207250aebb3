"""Families of functions: what is drawn, and what the best answer to it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.api import TaskSpec
from bench.data.functions import Functions, FunctionStream, GaussianProcess, Sinusoid
from bench.episodes.banks import Bank
from bench.episodes.words import Purpose

TASK = TaskSpec((1,), 1, shots=10, queries=10, protocol="regression", outputs=1)
ONLINE = TaskSpec((1,), 1, length=20, protocol="online-regression", outputs=1)
FAMILIES = [Sinusoid(), GaussianProcess()]


def words(*unit: float) -> np.ndarray:
    """The random words that become these numbers in [0, 1)."""
    return np.array([[int(u * 2**53) << 11 for u in unit]], dtype=np.uint64)


def made(family, task=TASK, episodes=400):
    return family.build(task, family.draw(task, episodes, 0, Purpose.TEST))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_points_and_constants_are_those_of_the_paper(family):
    batch = made(family, episodes=4000)
    low, high = family.domain
    assert batch.support_x.shape == batch.support_y.shape == (4000, 10, 1)
    assert batch.support_y.dtype == torch.float32
    assert low <= batch.query_x.min() < low + 0.01
    assert high - 0.01 < batch.query_x.max() <= high
    y = torch.cat([batch.support_y, batch.query_y], dim=1).double()
    assert y.mean().item() == pytest.approx(family.constant, abs=0.05)
    error = (y - family.constant).square().mean().item()
    assert error == pytest.approx(family.constant_error, rel=0.05)


def test_a_sine_wave_by_hand():
    # A = 0.1 + 4.9 / 2 = 2.55, phase = pi / 4, x = -5 + 10 * 0.75 = 2.5 and x = -5
    task = TASK.but(shots=2, queries=1)
    draw = type(Sinusoid().draw(task, 1, 0, Purpose.TEST))(words(0.5, 0.25, 0.75, 0.5, 0.0))
    batch = Sinusoid().build(task, draw)
    assert batch.support_x.flatten().tolist() == [2.5, 0.0]
    assert batch.support_y[0, 0].item() == pytest.approx(2.55 * math.sin(2.5 - math.pi / 4))
    assert batch.query_y.item() == pytest.approx(2.55 * math.sin(-5 - math.pi / 4))
    assert torch.equal(batch.oracle_mean, batch.query_y)


@pytest.mark.parametrize(
    ("points", "x", "y"),
    [(0, 0.7, 1.2), (1, 0.7, 1.2), (1, -4.1, -0.05), (1, 3.3, 0.01), (1, 2.0, 4.6)],
)
def test_the_best_answer_from_few_points_is_the_mean_of_the_waves(points, x, y):
    """By rejection, of two million waves: those that go through nearly the same first point."""
    random = np.random.default_rng(0)
    count, asked = 2_000_000, -2.0
    amplitude, phase = random.uniform(0.1, 5, count), random.uniform(0, math.pi, count)
    through = np.abs(amplitude * np.sin(x - phase) - y) < 0.005
    rest = through if points else np.ones(len(phase), dtype=bool)
    mean = (amplitude * np.sin(asked - phase))[rest].mean()
    xs = torch.tensor([[[x], [asked]]]) if points else torch.tensor([[[asked], [x]]])
    ys = torch.tensor([[[y], [0.0]]])
    best, _ = Sinusoid().posterior_online(xs, ys, torch.empty(0))
    assert best[0, points].item() == pytest.approx(mean, abs=0.05)
    alone, _ = Sinusoid().posterior(xs[:, :1], ys[:, :1], xs[:, 1:], ys[:, 1:], torch.empty(0))
    if points:
        assert alone.item() == pytest.approx(mean, abs=0.05)


def test_the_constants_by_hand():
    # E[A] = 2.55; E[sin(x - p)] = -2 / pi * sin(5) / 5; E[A^2] = (125 - 0.001) / 14.7
    assert Sinusoid.constant == pytest.approx(0.31133, abs=1e-5)
    assert Sinusoid.constant_error == pytest.approx(8.50333 / 2 - 0.09693, abs=1e-4)
    assert GaussianProcess.constant_error == pytest.approx(0.37 + 0.0004)


def test_the_posterior_of_one_point_by_hand():
    # l = 0.1 + 0.5 / 2 = 0.35, s = 0.1 + 0.9 / 2 = 0.55, points at 0 and 0.35: one length apart
    family, task = GaussianProcess(), TASK.but(shots=1, queries=1)
    unit = (0.5, 0.5, 0.5, 0.75, 0.5 + 0.35 / 4, 0.5)
    draw = type(family.draw(task, 1, 0, Purpose.TEST))(words(*unit))
    batch = family.build(task, draw)
    variance, noise = 0.55**2, 0.02**2
    k = variance * math.exp(-0.5)
    y = 0.6744898 * math.sqrt(variance + noise)  # the normal's upper quartile
    assert batch.support_y.item() == pytest.approx(y, rel=1e-5)
    assert batch.oracle_mean.item() == pytest.approx(k / (variance + noise) * y, rel=1e-5)
    std = math.sqrt(variance + noise - k**2 / (variance + noise))
    assert batch.oracle_std.item() == pytest.approx(std, rel=1e-5)


def test_online_the_posterior_of_each_prefix():
    family = GaussianProcess()
    stream = made(family, ONLINE, 3)
    assert isinstance(stream, FunctionStream)
    draw = family.draw(ONLINE, 3, 0, Purpose.TEST)
    for t in (1, 7, 19):  # the same words, of which the first t points are told and one is asked
        task = TASK.but(shots=t, queries=1)
        alone = family.build(task, type(draw)(draw.words[:, : 2 + 2 * (t + 1)]))
        assert isinstance(alone, Functions)
        torch.testing.assert_close(alone.query_y[:, 0], stream.y[:, t], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            alone.oracle_mean[:, 0], stream.oracle_mean[:, t], atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(
            alone.oracle_std[:, 0], stream.oracle_std[:, t], atol=1e-5, rtol=1e-4
        )


def test_the_posterior_is_calibrated():
    batch = made(GaussianProcess(), episodes=2000)
    z = (batch.query_y - batch.oracle_mean) / batch.oracle_std
    assert z.square().mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("task", [TASK, ONLINE], ids=["all at once", "online"])
def test_meta_training_is_not_told_the_best_answers(family, task):
    batch = family.build(task, family.draw(task, 2, 0, Purpose.TRAIN), classes=True)
    assert batch.oracle_mean is None
    assert batch.oracle_std is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_banks_are_nested_and_pinned(family):
    banks = [Bank.drawn(family, TASK, n, 7, Purpose.TEST) for n in (3, 5)]
    assert banks[0].draw.digest() == banks[1].first(3).draw.digest()
    pinned = {"sinusoid": "6b7927140d12", "gp-rbf": "d96cbae2f197"}
    assert banks[1].draw.digest()[:12] == pinned[family.name]


def test_the_same_words_make_the_same_functions_on_every_device():
    one, two = made(GaussianProcess(), episodes=2), made(GaussianProcess().to("cpu"), episodes=2)
    assert torch.equal(one.query_y, two.query_y)
    assert GaussianProcess().content != Sinusoid().content
