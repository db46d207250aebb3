"""Comparisons of boards: what is claimed, of whom, and how often wrongly."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.results.boards import boards
from bench.results.claims import sentences
from bench.results.measures import ACCURACY
from bench.results.pairs import compare_board, compare_pairs
from bench.results.reading import read_results
from bench.statistics.significance import holm
from bench.store.records import CellResult, EpisodeScores
from tests.helpers.scored_boards import compared, drawn, labels, write_learners, write_scores
from tests.helpers.synthetic import store, write_cell, write_probe

# -- what is computed -----------------------------------------------------------------------------


def test_with_one_seed_it_is_the_paired_test_of_these_weights(tmp_path):
    a, b = drawn([0.90, 0.91])
    write_scores(tmp_path, "one", a)
    write_scores(tmp_path, "two", b)
    [pair] = compared(tmp_path).pairs
    assert (pair.a.learner, pair.b.learner, pair.about, pair.n) == ("two", "one", "weights", 200)
    expected = scipy_stats.ttest_rel(b, a)
    assert pair.p == pytest.approx(expected.pvalue)
    assert pair.p_holm == pair.p
    low, high = expected.confidence_interval(0.95)
    assert (pair.mean - pair.ci95, pair.mean + pair.ci95) == pytest.approx((low, high))
    # 80 % power at 5 %: (1.972 + 0.843) errors for 199 degrees, against 1.972 in the interval.
    assert pair.detectable == pytest.approx(pair.ci95 * (1.972 + 0.843) / 1.972, rel=1e-3)


def test_from_three_seeds_on_it_is_welchs_test_with_the_episodes_share(tmp_path):
    a, b = drawn([0.90, 0.91, 0.92]), drawn([0.93, 0.92, 0.95, 0.94])
    for learner, seeds in (("one", a), ("two", b)):
        for seed, scores in enumerate(seeds):
            write_scores(tmp_path, learner, scores, seed)
    [pair] = compared(tmp_path).pairs
    assert (pair.a.learner, pair.about, pair.n) == ("two", "learners", 3)
    seeds = a.mean(1).var(ddof=1) / 3, b.mean(1).var(ddof=1) / 4
    episodes = (b.mean(0) - a.mean(0)).var(ddof=1) / 200
    df = (sum(seeds) + episodes) ** 2 / (
        seeds[0] ** 2 / 2 + seeds[1] ** 2 / 3 + episodes**2 / 199
    )  # Satterthwaite
    error = math.sqrt(sum(seeds) + episodes)
    assert pair.mean == pytest.approx(b.mean() - a.mean())
    assert pair.ci95 == pytest.approx(scipy_stats.t.ppf(0.975, df) * error)
    assert pair.p == pytest.approx(2 * scipy_stats.t.sf(pair.mean / error, df))


def test_weights_are_compared_where_one_side_has_few_seeds(tmp_path):
    a, b = drawn([0.90, 0.91, 0.92]), drawn([0.93, 0.92])
    for learner, seeds in (("one", a), ("two", b)):
        for seed, scores in enumerate(seeds):
            write_scores(tmp_path, learner, scores, seed)
    result = compared(tmp_path)
    [pair] = result.pairs
    assert (pair.about, pair.n) == ("weights", 200)
    assert pair.p == pytest.approx(scipy_stats.ttest_rel(b.mean(0), a.mean(0)).pvalue)
    assert result.tie_groups is None


def test_all_pairs_stand_in_a_fixed_order_and_share_holms_adjustment(tmp_path):
    write_learners(tmp_path, {"a": [0.9], "b": [0.905], "c": [0.91], "d": [0.902]})
    result = compared(tmp_path)
    assert [e.score(ACCURACY) for e in result.compared] == sorted(
        (e.score(ACCURACY) for e in result.compared), reverse=True
    )
    order = [(pair.a, pair.b) for pair in result.pairs]
    assert order == list(combinations(result.compared, 2))
    expected = holm([pair.p for pair in result.pairs])
    assert [pair.p_holm for pair in result.pairs] == pytest.approx(expected.tolist())
    assert max(expected / [pair.p for pair in result.pairs]) > 1
    unsure = replace(result.pairs[0], p=0.03, p_holm=0.06)
    assert not unsure.told_apart


def test_unequal_lengths_are_compared_on_the_common_first_part(tmp_path):
    a, b, c = drawn([0.90, 0.91, 0.92], episodes=300)
    write_scores(tmp_path, "short", a[:200])
    write_scores(tmp_path, "long", b)
    write_scores(tmp_path, "longer", c)
    pairs = {frozenset((p.a.learner, p.b.learner)): p for p in compared(tmp_path).pairs}
    short = pairs[frozenset(("short", "long"))]
    assert short.n == 200
    sign = 1 if short.a.learner == "long" else -1
    assert sign * short.mean == pytest.approx(np.mean(b[:200] - a[:200]))
    assert pairs[frozenset(("long", "longer"))].n == 300


def test_of_seeds_too_only_the_common_first_part_counts(tmp_path):
    a, b = drawn([0.9] * 3, episodes=300), drawn([0.9] * 3, seed=1, episodes=300)
    b[:, 200:] += 0.5  # nobody else has answered these
    for seed in range(3):
        write_scores(tmp_path, "short", a[seed, :200], seed)
        write_scores(tmp_path, "long", b[seed], seed)
    [pair] = compared(tmp_path).pairs
    assert pair.about == "learners"
    assert pair.mean == pytest.approx(b[:, :200].mean() - a[:, :200].mean())
    assert not pair.told_apart


def test_seeds_that_change_nothing_do_not_hide_the_choice_of_episodes(tmp_path):
    """Deterministic learners: Welch alone would call any difference certain."""
    a, b = drawn([0.900, 0.901])
    for seed in range(3):
        write_scores(tmp_path, "one", a, seed)
        write_scores(tmp_path, "two", b, seed)
    [pair] = compared(tmp_path).pairs
    assert pair.about == "learners"
    assert pair.p == pytest.approx(scipy_stats.ttest_rel(a, b).pvalue)


def test_a_single_episode_shows_nothing(tmp_path):
    write_scores(tmp_path, "one", [0.5])
    write_scores(tmp_path, "two", [0.9])
    [pair] = compared(tmp_path).pairs
    assert (pair.mean, pair.n) == (pytest.approx(0.4), 1)
    assert [pair.ci95, pair.p, pair.p_holm, pair.detectable] == [None] * 4
    assert not pair.told_apart


def test_of_wrong_bits_fewer_are_better(tmp_path):
    good = write_probe(tmp_path, "ntm", wrong=1.0)
    bad = write_probe(tmp_path, "lstm", wrong=9.0)
    for folder, errors in ((good, np.arange(40) % 3), (bad, 5 + np.arange(40) % 4)):
        bank = CellResult.model_validate_json((folder / "result.json").read_bytes()).bank
        right = (1 - errors / 160).tolist()
        scores = {"accuracy": right, "nll": right, "bit_errors": errors.tolist()}
        store(folder / "episodes.json", EpisodeScores(bank=bank, **scores))
    result = compared(tmp_path)
    [pair] = result.pairs
    assert (pair.a.learner, pair.b.learner) == ("ntm", "lstm")
    assert pair.mean == pytest.approx(np.mean(np.arange(40) % 3) - 5 - 1.5)
    assert sentences(result) == [
        "Of these trained weights, ntm is ahead of lstm; a claim about the learners takes 3 seeds "
        "or more of each."
    ]


# -- what is left out -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "unfinished"])
def test_nothing_is_averaged_over_a_missing_cell(tmp_path, status):
    write_learners(tmp_path, {"a": [0.9] * 3, "b": [0.8] * 3})
    write_learners(tmp_path, {"c": [0.99] * 2})
    write_cell(tmp_path, "c", seed=2, status=status)
    result = compared(tmp_path)
    assert [entry.label for entry in result.compared] == ["a", "b"]
    [(entry, reason)] = result.left_out
    assert (entry.label, reason) == ("c", f"of 3 cells 1 {status}")
    assert f"c is not compared: of 3 cells 1 {status}." in sentences(result)


def test_other_banks_are_left_out(tmp_path):
    write_learners(tmp_path, {"a": [0.9], "b": [0.8]})
    write_learners(tmp_path, {"c": [0.95]}, bank="another bank of 200")
    write_scores(tmp_path, "d", drawn([0.9])[0][:50], split="other", bank="other")
    write_scores(tmp_path, "e", drawn([0.9])[0][:50])
    result = compared(tmp_path)
    assert {entry.label for entry in result.compared} == {"a", "b", "e"}
    why = {entry.label: reason for entry, reason in result.left_out}
    assert why == dict.fromkeys("cd", "answered other episodes than the rest of the board")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda stored: stored.pop("accuracy"), "is damaged"),
        (lambda stored: stored["accuracy"].pop(), "is of another run than result.json"),
        (lambda stored: stored.update(bank="other"), "is of another run than result.json"),
        (lambda stored: stored.update(accuracy=[]), "lacks scores"),
        (lambda stored: stored["accuracy"].__setitem__(3, math.nan), "is damaged"),
    ],
)
def test_damaged_episode_files_are_named(tmp_path, damage, reason):
    write_learners(tmp_path, {"a": [0.9], "b": [0.8]})
    folder = write_scores(tmp_path, "c", drawn([0.99])[0])
    stored = json.loads((folder / "episodes.json").read_text())
    damage(stored)
    (folder / "episodes.json").write_text(json.dumps(stored))
    result = compared(tmp_path)
    assert len(result.pairs) == 1
    [(entry, why)] = result.left_out
    assert entry.label == "c"
    assert reason in why
    assert "\n" not in why


@pytest.mark.parametrize("content", [None, b"", b"[1, 2", b"\xff\x00"])
def test_missing_and_truncated_episode_files_are_named(tmp_path, content):
    write_learners(tmp_path, {"a": [0.9]})
    file = write_scores(tmp_path, "c", drawn([0.99])[0]) / "episodes.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    problems = []
    [board] = boards(read_results(tmp_path).rows)
    result = compare_board(board, problems)
    assert (result.pairs, [entry.label for entry in result.compared]) == ([], ["a"])
    assert "episodes.json" in result.left_out[0][1]
    [problem] = problems
    assert problem.path == str(file)
    assert problem.reason.startswith(("No such file", "is empty", "is damaged"))
    compare_board(board, problems)
    assert problems == [problem]


def test_pairs_say_which_side_cannot_be_compared(tmp_path):
    write_learners(tmp_path, {"a": [0.9], "b": [0.8]})
    write_cell(tmp_path, "c", status="failed")
    write_scores(tmp_path, "d", drawn([0.9])[0], bank="another")
    [board] = boards(read_results(tmp_path).rows)
    a, b, c, d = sorted(board.entries, key=lambda entry: entry.label)
    made = compare_pairs([(a, b, ACCURACY), (a, c, ACCURACY), (a, d, ACCURACY)])
    assert made[1:] == ["B: failed", "A and B answered other episodes"]
    assert made[0].mean == pytest.approx(b.score(ACCURACY) - a.score(ACCURACY))
    assert (made[0].a.label, made[0].b.label) == ("b", "a")  # B - A


# -- what is said ---------------------------------------------------------------------------------

APART, CLOSE = [0.80, 0.802, 0.801], [0.90, 0.9005, 0.9002]


def test_tie_groups_and_their_sentence(tmp_path):
    means = {"prototypical": CLOSE, "snail": [0.8999, 0.9003, 0.9001], "maml": APART}
    write_learners(tmp_path, means)
    result = compared(tmp_path)
    assert [sorted(group) for group in labels(result.tie_groups)] == [
        ["prototypical", "snail"],
        ["maml"],
    ]
    first, second = labels(result.tie_groups)[0]
    assert sentences(result) == [
        f"{first} and {second} cannot be told apart; both are ahead of maml."
    ]


def test_with_one_seed_the_sentence_speaks_of_these_weights(tmp_path):
    write_learners(tmp_path, {"prototypical": [0.9], "maml": [0.8], "mann": [0.7]})
    result = compared(tmp_path)
    assert result.tie_groups is None
    assert sentences(result) == [
        "Of these trained weights, prototypical is ahead of maml, which is ahead of mann; a claim "
        "about the learners takes 3 seeds or more of each."
    ]


def test_learners_and_weights_have_a_sentence_each(tmp_path):
    write_learners(tmp_path, {"prototypical": CLOSE, "maml": APART, "mann": [0.7]})
    result = compared(tmp_path)
    assert labels(result.tie_groups) == [["prototypical"], ["maml"]]
    assert sentences(result) == [
        "prototypical is ahead of maml.",
        "Of these trained weights (mann with fewer than 3 seeds), prototypical is ahead of maml, "
        "which is ahead of mann; a claim about the learners takes 3 seeds or more of each.",
    ]


def test_overlapping_groups(tmp_path):
    """b lies between a and c and varies, so that it is told apart from neither."""
    write_learners(
        tmp_path,
        {"a": [0.920, 0.921, 0.922], "b": [0.90, 0.92, 0.91], "c": [0.90, 0.901, 0.902]},
    )
    result = compared(tmp_path)
    assert labels(result.tie_groups) == [["a", "b"], ["b", "c"]]
    assert sentences(result) == [
        "a and b, as well as b and c, cannot be told apart; of every other pair the one named "
        "first is ahead: a, b, c."
    ]


def test_where_the_shared_part_turns_the_order_the_sentence_says_so(tmp_path):
    a, b = drawn([0.90, 0.85], episodes=400)
    a[200:] -= 0.4  # a dear learner has not answered these
    write_scores(tmp_path, "long", a)
    write_scores(tmp_path, "short", b[:200])
    told = sentences(compared(tmp_path))[0]
    assert "but long is ahead of short on the episodes that both answered" in told


def test_what_is_not_trained_has_no_variance_between_seeds(tmp_path):
    a, b = drawn([0.90, 0.91, 0.92]), drawn([0.8])[0]
    for seed, scores in enumerate(a):
        write_scores(tmp_path, "maml", scores, seed)
    write_scores(tmp_path, "pixels", b, budget="none")
    result = compared(tmp_path)
    [pair] = result.pairs
    assert (pair.about, pair.n) == ("learners", 3)
    seeds, episodes = a.mean(1).var(ddof=1) / 3, (a.mean(0) - b).var(ddof=1) / 200
    df = (seeds + episodes) ** 2 / (seeds**2 / 2 + episodes**2 / 199)
    error = math.sqrt(seeds + episodes)
    assert pair.p == pytest.approx(2 * scipy_stats.t.sf(pair.mean / error, df))
    assert sentences(result) == ["maml is ahead of pixels."]


def test_two_untrained_learners_are_compared_over_the_episodes(tmp_path):
    a, b = drawn([0.9, 0.8])
    write_scores(tmp_path, "features", a, budget="none")
    write_scores(tmp_path, "pixels", b, budget="none")
    result = compared(tmp_path)
    [pair] = result.pairs
    assert (pair.about, pair.n) == ("learners", 200)
    assert pair.p == pytest.approx(scipy_stats.ttest_rel(a, b).pvalue)
    assert sentences(result) == ["features is ahead of pixels."]
    write_scores(tmp_path, "maml", drawn([0.7])[0])
    assert sentences(compared(tmp_path)) == [
        "features is ahead of pixels.",
        "Of these trained weights (maml with fewer than 3 seeds), features is ahead of pixels, "
        "which is ahead of maml; a claim about the learners takes 3 seeds or more of each that is "
        "trained.",
    ]


def test_of_many_learners_groups_are_neither_made_nor_told(tmp_path):
    """Their number may be exponential."""
    for k in range(26):
        write_scores(tmp_path, f"l{k:02}", [0.5, 0.75])
    told = sentences(compared(tmp_path))[0]
    assert told.startswith("Of these trained weights, 0 of 325 pairs can be told apart; who from")
    first = compared(tmp_path).compared[0].label
    others = [f"l{k:02}" for k in range(26) if f"l{k:02}" != first]
    assert f"{first} has the best score: it is ahead of 0 of 25, and cannot be told apart" in told
    assert all(other in told for other in others)


def test_of_groups_that_share_many_names_the_best_is_told(tmp_path):
    """Each of 17 learners is tied with the next one alone: 16 groups, 32 names."""
    write_learners(tmp_path, {f"l{k:02}": [0.9] for k in range(17)})
    result = compared(tmp_path)
    place = {entry: k for k, entry in enumerate(result.compared)}
    pairs = [
        replace(pair, mean=0.1, p_holm=float(place[pair.b] == place[pair.a] + 1))
        for pair in result.pairs
    ]
    first, second = (entry.label for entry in result.compared[:2])
    assert sentences(replace(result, pairs=pairs))[0] == (
        "Of these trained weights, 120 of 136 pairs can be told apart; who from whom stands in the "
        f"matrix of the differences. {first} has the best score: it is ahead of 15 of 16, and "
        f"cannot be told apart from {second}; a claim about the learners takes 3 seeds or more of "
        "each."
    )  # 17 * 16 / 2 less 16


def test_one_learner_needs_no_sentence(tmp_path):
    write_learners(tmp_path, {"a": CLOSE})
    result = compared(tmp_path)
    assert (result.pairs, result.tie_groups, sentences(result)) == ([], None, [])


# -- size -----------------------------------------------------------------------------------------


def test_a_board_of_200_cells_takes_a_fraction_of_a_second(tmp_path):
    """A report must bear fifty such boards in well under a minute."""
    write_learners(tmp_path, {f"l{k}": np.linspace(0.9, 0.91, 10) for k in range(20)})
    [board] = boards(read_results(tmp_path).rows)
    start = time.process_time()
    result = compare_board(board)
    assert time.process_time() - start < 2.0
    assert len(result.pairs) == 190
