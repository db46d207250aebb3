"""A meta-training of the tiny learner, ready to start."""

from __future__ import annotations

import pytest

from bench.api import Learner
from bench.worker.training_loop import MetaTraining, build_learner, validation_bank
from tests.helpers.noisy import Noisy, codes


@pytest.fixture
def start(make_training, tmp_path):
    """Builds a MetaTraining; arguments replace fields of its Training."""

    def build(
        learner: type[Learner] = Noisy,
        folder="run",
        progress=lambda event: None,
        source: str | None = None,
        **changes,
    ):
        training = make_training(**changes)
        made = build_learner(training, learner, learner.Config())
        bank = validation_bank(training, codes(30))
        return MetaTraining(training, made, codes(10), bank, tmp_path / folder, progress, source)

    return build
