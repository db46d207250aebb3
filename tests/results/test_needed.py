"""How many more seeds or episodes a pair takes."""

from __future__ import annotations

import math

from bench.report import write_report
from bench.results.boards import boards
from bench.results.needed import how_many_more, more_sentences
from bench.results.pairs import compare_answered, read_board
from bench.results.reading import read_results
from tests.helpers.scored_boards import write_learners
from tests.helpers.synthetic import write_cell


def more_in(root):
    [board] = boards(read_results(root).rows)
    read = read_board(board)
    return how_many_more(read, compare_answered(read))


def test_close_learners_take_more_seeds_and_what_is_told_apart_none(tmp_path):
    means = {
        "far": [0.95, 0.951, 0.949, 0.952, 0.948],
        "one": [0.70, 0.72, 0.71, 0.69, 0.73],
        "two": [0.68, 0.70, 0.69, 0.71, 0.67],
    }
    write_learners(tmp_path, means)
    [more] = more_in(tmp_path)
    assert {more.pair.a.label, more.pair.b.label} == {"one", "two"}
    assert 5 < more.seeds < math.inf
    assert more.seeds_text() == str(int(more.seeds))
    assert math.isinf(more.episodes)  # five seeds vary too much, whatever the number of episodes
    assert more.episodes_text() == "more than 1,000,000"


def test_one_seed_says_nothing_of_the_variance_between_trainings(tmp_path):
    write_learners(tmp_path, {"one": [0.7], "two": [0.69]})
    [more] = more_in(tmp_path)
    assert (more.seeds, more.episodes) == (None, None)
    assert more.seeds_text() == "needs a second seed"
    assert "not known from one seed of each" in more_sentences([more])[0]


def test_an_untrained_learner_has_no_variance_between_trainings(tmp_path):
    write_learners(tmp_path, {"one": [0.7, 0.72]})
    write_cell(tmp_path, "pixels", budget="none", accuracy=0.69)
    [more] = more_in(tmp_path)
    assert more.seeds is not None
    assert more_sentences([more]) == []


def test_what_is_enough_alone_and_not_among_all_pairs_says_so(tmp_path):
    """p = 0.004 of one test, 0.1 after Holm over 45 pairs: no seeds and episodes are asked for that
    are there already."""
    means = {"one": [0.899, 0.900, 0.901], "two": [0.888, 0.889, 0.890]}
    means |= {f"same{k}": [0.598, 0.600, 0.602] for k in range(8)}
    write_learners(tmp_path, means)
    of = {(more.pair.a.label, more.pair.b.label): more for more in more_in(tmp_path)}
    more = of["one", "two"]
    assert more.pair.p < 0.05 < more.pair.p_holm
    assert (more.seeds_now, more.episodes_now) == (3, 200)
    assert more.seeds <= 3
    assert more.episodes <= 200
    assert (more.seeds_text(), more.episodes_text()) == ("enough alone", "enough alone")
    further = [own for own in of.values() if not own.enough_alone]
    assert further
    assert all(own.seeds > 3 and own.episodes > 200 for own in further)
    page = write_report(tmp_path, formats=["html"], single=True)[0].read_text(encoding="utf-8")
    assert "in 80 % of repetitions, before Holm's adjustment.</figcaption>" in page
    assert page.count("Enough alone: ") == 1


def test_episodes_that_are_there_are_enough_from_a_third_seed_on(tmp_path):
    """Two seeds make no claim about learners, whatever is answered."""
    write_learners(tmp_path, {"one": [0.900, 0.902], "two": [0.800, 0.802]})
    [more] = more_in(tmp_path)
    assert (more.pair.about, more.seeds, more.seeds_now) == ("weights", 3, 2)
    assert more.episodes <= more.episodes_now
    assert (more.seeds_text(), more.episodes_text()) == ("3", "enough from 3 seeds on")


def test_the_bests_of_families_and_neighbours_are_of_interest(tmp_path):
    for learner, family, accuracy in (
        ("a1", "a", 0.9), ("a2", "a", 0.8), ("b1", "b", 0.7), ("b2", "b", 0.6),
    ):  # fmt: skip
        write_cell(tmp_path, learner, family, accuracy=accuracy)
    pairs = [(more.pair.a.label, more.pair.b.label) for more in more_in(tmp_path)]
    assert pairs == [("a1", "b1"), ("a1", "a2"), ("a2", "b1"), ("b1", "b2")]


def test_a_single_learner_has_no_pairs(tmp_path):
    write_cell(tmp_path)
    assert more_in(tmp_path) == []
