"""Boards of made-up scores, and their comparison: for the tests of what is compared and ranked."""

from __future__ import annotations

import numpy as np

from bench.results.boards import boards
from bench.results.pairs import compare_board
from bench.results.reading import read_results
from bench.store.records import CellResult, EpisodeScores
from tests.helpers.synthetic import interval, store, write_cell


def write_scores(root, learner, scores, seed=0, **changes):
    """A finished cell with exactly these scores, of the first part of one bank."""
    defaults = {"suite": "glyphs-5way", "setting": "5way1shot", "family": "metric-based"}
    changes = defaults | changes
    folder = write_cell(
        root, learner, seed=seed, episodes=len(scores),
        metrics={"accuracy": interval(scores), "nll": interval(scores), "ece": interval([0.0])},
        **changes,
    )  # fmt: skip
    bank = CellResult.model_validate_json((folder / "result.json").read_bytes()).bank
    scores = np.asarray(scores).tolist()
    store(folder / "episodes.json", EpisodeScores(bank=bank, accuracy=scores, nll=scores))
    return folder


def drawn(means, seed=0, episodes=200, spread=0.03):
    """Scores around each mean (shape (*, episodes)), on episodes of differing difficulty."""
    rng = np.random.default_rng(seed)
    means = np.asarray(means)
    return means[..., None] + rng.normal(0, 0.05, episodes) + rng.normal(
        0, spread, (*means.shape, episodes)
    )  # fmt: skip


def write_learners(root, means, **changes):
    """By learner the means of its seeds."""
    for number, (learner, seeds) in enumerate(means.items()):
        for seed, scores in enumerate(drawn(seeds, seed=number)):
            write_scores(root, learner, scores, seed, **changes)


def compared(root):
    [board] = boards(read_results(root).rows)
    return compare_board(board)


def labels(groups):
    return [[entry.label for entry in group] for group in groups]
