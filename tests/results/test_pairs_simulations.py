"""How often comparisons claim what is not there, and how often intervals cover: simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.results.boards import Entry
from bench.results.paired_scores import Answers
from bench.results.pairs import _compare
from bench.statistics.significance import holm

SEED, NOISE, DIFFICULTY = 0.2, 1.55, 3.0
"""Standard deviations in points: between the seeds of a learner, and of 5-way accuracies between
the trainings on an episode and between the episodes."""
REPETITIONS = 2000
NOBODY = Entry("", "", "", ())


def simulate(learners, seeds, episodes, interaction=0.0, spread=SEED):
    """Learners that do not differ, (REPETITIONS, learners, seeds, episodes).

    A score is the seed's own shift (of standard deviation `spread`) + the episode's difficulty,
    which all share + what a learner, whatever its seed, makes of an episode (`interaction`) +
    noise.
    """
    rng = np.random.default_rng([learners, seeds, episodes])

    def normal(scale, *shape):
        return scale * rng.standard_normal((REPETITIONS, *shape), dtype=np.float32)

    scores = normal(NOISE, learners, seeds, episodes)
    scores += normal(spread, learners, seeds, 1) + normal(DIFFICULTY, 1, 1, episodes)
    return scores + normal(interaction, learners, 1, episodes)


def claims(scores):
    """All pairs of each repetition, as `compare_board` makes them: (repetitions, pairs)."""
    repetitions, learners = scores.shape[:2]
    answered = [Answers(NOBODY, answers) for family in scores for answers in family]
    first, second = np.triu_indices(learners, 1)
    offset = learners * np.arange(repetitions)[:, None]
    pairs = _compare(answered, (offset + first).ravel(), (offset + second).ravel())
    return np.array(pairs, object).reshape(repetitions, -1)


def figures(pairs, name):
    return np.array([[getattr(pair, name) for pair in family] for family in pairs])


def bound(share):
    """Three binomial standard errors."""
    return 3 * math.sqrt(share * (1 - share) / REPETITIONS)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("interaction", [0.0, 3.0])
def test_a_false_claim_about_a_pair_of_learners_comes_in_at_most_5_percent(seeds, interaction):
    pairs = claims(simulate(2, seeds, 500, interaction))
    assert {pair.about for pair in pairs.flat} == {"learners"}
    assert np.mean(figures(pairs, "p") < 0.05) < 0.05 + bound(0.05)
    covered = np.abs(figures(pairs, "mean")) <= figures(pairs, "ci95")
    assert covered.mean() > 0.95 - bound(0.05)


def test_a_false_claim_in_a_family_of_learners_comes_in_at_most_5_percent():
    pairs = claims(simulate(6, 3, 100, interaction=1.0))
    p = figures(pairs, "p")
    assert p.shape == (REPETITIONS, 15)
    any_claim = np.mean([(holm(family) < 0.05).any() for family in p])
    assert any_claim < 0.05 + bound(0.05)
    assert np.mean((p < 0.05).any(1)) > 0.10  # without Holm


def test_the_paired_test_alone_claims_a_difference_of_two_trainings_in_64_percent():
    """The figure of the design: why one seed says nothing of learners."""
    pairs = claims(simulate(2, 1, 1000))
    assert {pair.about for pair in pairs.flat} == {"weights"}
    assert np.mean(figures(pairs, "p") < 0.05) == pytest.approx(0.64, abs=bound(0.64))


def test_welch_alone_overlooks_the_choice_of_episodes():
    """Seeds share the bank, so the spread of their means lacks what the learners make of it."""
    means = simulate(2, 3, 200, interaction=3.0).mean(3)
    p = scipy_stats.ttest_ind(means[:, 0], means[:, 1], axis=1, equal_var=False).pvalue
    assert np.mean(p < 0.05) > 0.15


def test_intervals_of_trained_weights_cover_in_95_percent():
    """Of given weights: whatever their seeds have shifted is part of the truth."""
    shift = np.random.default_rng(9).normal(0, SEED, (REPETITIONS, 2, 1, 1))
    pairs = claims(simulate(2, 1, 200, interaction=1.0, spread=0.0) + shift)
    truth = shift[:, 0, 0] - shift[:, 1, 0]
    covered = np.abs(figures(pairs, "mean") - truth) <= figures(pairs, "ci95")
    assert covered.mean() == pytest.approx(0.95, abs=bound(0.05))


def test_a_true_difference_of_the_detectable_size_is_found_in_80_percent():
    scores = simulate(2, 5, 200)
    true = np.median(figures(claims(scores), "detectable"))
    scores[:, 0] += true
    found = np.mean(figures(claims(scores), "p") < 0.05)
    assert 0.7 < found < 0.9  # the error is estimated from five seeds
