"""Errors and likelihoods of numbers, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.api import Normal
from bench.data.functions import Functions, Sinusoid
from bench.protocols.answers import ContractError
from bench.protocols.numbers import said
from bench.protocols.regression import Regression, RegressionSetting

Y = torch.tensor([[[1.0], [3.0]]])
BATCH = Functions(
    1, Y, Y, Y, Y, oracle_mean=torch.zeros(1, 2, 1), oracle_std=torch.ones(1, 2, 1), constant=2.0
)


def test_marks_by_hand():
    answers = said("predict", Normal(torch.zeros(1, 2, 1), torch.full((1, 2, 1), 2.0)), Y)
    assert answers.shape == (1, 2, 2) == tuple(answers.logits.shape)
    marks = Regression().mark(answers.logits, BATCH)
    assert marks["mse"].tolist() == [[1.0, 9.0]]
    assert marks["constant_mse"].tolist() == [[1.0, 1.0]]
    assert marks["oracle_mse"].tolist() == [[1.0, 9.0]]
    scores = Regression().scores(marks, None).values
    # -(1 + 9) / 2 / (2 * 4) - log(2) - log(2 pi) / 2, and with a deviation of 1 -(1 + 9) / 2 / 2
    likelihood = -0.625 - math.log(2) - math.log(2 * math.pi) / 2
    assert scores["log_likelihood"] == pytest.approx(likelihood)
    best = -2.5 - math.log(2 * math.pi) / 2
    assert scores["nats_behind_oracle"] == pytest.approx(best - likelihood)


def test_a_mean_alone_has_no_likelihood():
    marks = Regression().mark(said("predict", torch.zeros(1, 2, 1), Y).logits, BATCH)
    assert "log_likelihood" not in marks
    assert "nats_behind_oracle" not in Regression().scores(marks, None).values


@pytest.mark.parametrize(
    ("std", "told"),
    [(torch.ones(1, 1, 1), "standard deviations of shape"), (torch.zeros(1, 2, 1), "not above 0")],
)
def test_deviations_that_break_the_contract(std, told):
    with pytest.raises(ContractError, match=told):
        said("predict", Normal(torch.zeros(1, 2, 1), std), Y)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (None, "predict returned NoneType; expected a tensor of means, or bench.api.Normal"),
        ((torch.zeros(1, 2, 1), torch.ones(1, 2, 1)), "predict returned tuple; expected a tensor"),
        (
            torch.distributions.Normal(torch.zeros(1, 2, 1), torch.ones(1, 2, 1)),
            r"returned torch.distributions.normal.Normal; expected .* bench.api.Normal\(mean,",
        ),
        (
            Normal(torch.zeros(1, 2, 1), 0.1),
            "predict returned a Normal of float; expected a tensor",
        ),
    ],
)
def test_what_is_no_answer(answers, told):
    with pytest.raises(ContractError, match=told):
        said("predict", answers, Y)


def test_a_deviation_that_is_no_number_is_no_breach():
    """A training has diverged: its good weights are kept, as with classes."""
    nan = Normal.read(torch.full((1, 2, 2), math.nan))
    assert not said("predict", nan, Y).logits.isfinite().any()


def test_the_likelihood_ranks_where_there_is_one():
    rank = Regression().rank
    assert rank({"mse": 9.0, "log_likelihood": 1.0}) > rank({"mse": 1.0, "log_likelihood": 0.0})
    assert rank({"mse": 1.0}) > rank({"mse": 2.0}) > rank({"mse": float("nan")})


def test_a_constant_is_told():
    at_chance = Regression().at_chance
    assert "no better than a constant" in at_chance({"mse": 4.0, "constant_mse": 4.1}, None, 9)
    assert at_chance({"mse": 3.0, "constant_mse": 4.1}, None, 9) is None


def test_one_training_where_the_suite_states_a_range():
    protocol, family = Regression(), Sinusoid()
    tasks = [protocol.task(RegressionSetting(shots=k), family, family, 25) for k in (5, 10)]
    assert tasks[0].regression
    assert not tasks[0].online
    shared = {
        protocol.shared(task.but(queries=10), protocol.keys(training_shots=(3, 8)))
        for task in tasks
    }
    assert [task.shots for task in shared] == [(3, 8)]
    assert protocol.shared(tasks[0], protocol.keys()) == tasks[0]
    measure = protocol.measure(None, family)
    assert (measure.metric, measure.perfect) == ("mse", 0.0)
    assert measure.chance == pytest.approx(4.1548, abs=1e-3)


def test_scores_are_arrays_of_episodes():
    marks = Regression().mark(said("predict", torch.zeros(1, 2, 1), Y).logits, BATCH)
    assert np.array_equal(Regression().scores(marks, None).values["mse"], [5.0])
