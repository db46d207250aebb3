"""What other libraries' loops compute is what is computed here."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from bench.episodes.banks import training_batch
from benchmarks.data import characters, episode_pool
from benchmarks.libraries import EasyEpisodes, LearnToLearnEpisodes, prototypical_loss
from benchmarks.training_loops import Setting, apart, ours

SETTING = Setting("prototypical", 5, 2, 3, 1, side=16, classes=16)
KINDS = {
    "learn2learn": LearnToLearnEpisodes,
    "easyfsl": EasyEpisodes,
}


def test_the_loss_of_learn2learns_example_is_that_of_prototypical():
    learner = ours(SETTING).train()
    pool = episode_pool(torch.device("cpu"), 16, 16, rotations=False)
    batch = training_batch(pool, SETTING.task, 0, 0)
    [episode] = apart(batch)
    theirs = prototypical_loss(learner.encoder, episode, SETTING.ways)
    torch.testing.assert_close(theirs, learner.loss(batch), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("library", KINDS)
def test_episodes_of_other_libraries_are_episodes(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    episodes = KINDS[library](characters(16, 16), SETTING.task)
    support, support_y, query, query_y = episodes.split()
    assert support.shape == (10, 1, 16, 16)
    assert query.shape == (15, 1, 16, 16)
    assert support_y.bincount().tolist() == [2] * 5
    assert query_y.bincount().tolist() == [3] * 5
    assert 0 <= float(support.min()) <= float(support.max()) <= 1


def test_episodes_that_are_decoded_are_drawings():
    if importlib.util.find_spec("learn2learn") is None:
        pytest.skip("learn2learn is not installed")
    episodes = LearnToLearnEpisodes(characters(16, 16), SETTING.task, decoding=True)
    support, support_y, _, _ = episodes.split()
    assert support.shape == (10, 1, 28, 28)
    assert support_y.bincount().tolist() == [2] * 5
    assert 0 < float(support.mean()) < 0.5  # ink is 1, and less than paper
