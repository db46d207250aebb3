"""Numbers as answers: a distribution of them, and what they are worth."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.api import Normal, answer_loss
from bench.api.numbers import LEAST_STD, joined, not_knowing


def test_log_likelihood_by_hand():
    said = Normal(torch.tensor([[[1.0]]]), torch.tensor([[[2.0]]]))
    # -(3 - 1)^2 / (2 * 4) - log(2) - log(2 pi) / 2
    expected = -0.5 - math.log(2) - math.log(2 * math.pi) / 2
    assert said.log_likelihood(torch.tensor([[[3.0]]])).item() == pytest.approx(expected)
    assert answer_loss(said, torch.tensor([[[3.0]]])).item() == pytest.approx(-expected)


def test_outputs_are_read_as_means_and_deviations():
    said = Normal.read(torch.tensor([[1.0, 2.0, 0.0, -100.0]]))
    assert said.mean.tolist() == [[1.0, 2.0]]
    assert said.std[0, 0].item() == pytest.approx(LEAST_STD + math.log(2))
    assert said.std[0, 1].item() == pytest.approx(LEAST_STD)


def test_what_answers_are_worth():
    mean, y = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.0], [1.0]]])
    assert answer_loss(mean, y).item() == 2.5  # (1 + 4) / 2
    logits, labels = torch.randn(2, 3, 4), torch.randint(4, (2, 3))
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert torch.equal(answer_loss(logits, labels), expected)


def test_answers_are_joined_step_by_step():
    one = Normal(torch.ones(2, 1, 3), torch.full((2, 1, 3), 0.5))
    told = joined([not_knowing(one), one])
    assert isinstance(told, Normal)
    assert told.mean[0, :, 0].tolist() == [0.0, 1.0]
    assert told.std[0, :, 0].tolist() == [1.0, 0.5]
    assert joined([torch.zeros(2, 1, 3), torch.ones(2, 1, 3)]).shape == (2, 2, 3)
