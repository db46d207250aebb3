"""Regression online: what a stream is scored by."""

from __future__ import annotations

import pytest
import torch

from bench.data.functions import GaussianProcess
from bench.episodes.words import Purpose
from bench.protocols.online_regression import OnlineRegression, OnlineRegressionSetting
from bench.protocols.regression import Regression


def test_each_step_has_an_error():
    protocol, family = OnlineRegression(), GaussianProcess()
    task = protocol.task(OnlineRegressionSetting(length=6), family, family, 2)
    assert task.online
    batch = family.build(task, family.draw(task, 3, 0, Purpose.TEST))
    marks = protocol.mark(torch.zeros(3, 6, 1), batch)
    scores = protocol.scores(marks, task)
    assert scores.values["mse_by_step"].shape == (3, 6)
    expected = batch.y.square().double().mean((1, 2)).numpy()
    assert scores.values["mse"] == pytest.approx(expected, rel=1e-5)
    # before the first point nothing is known: the prior's deviation
    assert (batch.oracle_std[:, 0] > batch.oracle_std[:, 5]).all()


def test_a_stream_without_steps_is_refused():
    with pytest.raises(ValueError, match="needs a length"):
        OnlineRegression().check_task(Regression().tiny_task())
