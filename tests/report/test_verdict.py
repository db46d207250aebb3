"""The first sentences of a report."""

from __future__ import annotations

from pathlib import Path

from bench.report.verdict import verdict
from bench.results.boards import boards
from bench.results.families import families_of
from bench.results.pairs import compare_answered, read_board
from bench.results.reading import read_results
from bench.results.tradeoff import tradeoff
from bench.store.checked import Problem
from tests.helpers.scored_boards import write_scores
from tests.helpers.synthetic import environment, gallery, write_cell, write_probe


def said(root: Path, *problems: Problem) -> list[str]:
    rows = read_results(root).rows
    found = boards(rows)
    read = [read_board(board) for board in found]
    families, compared = [*map(families_of, read)], [*map(compare_answered, read)]
    return verdict(rows, found, families, compared, tradeoff(found), problems, ())


def test_at_most_six_sentences(tmp_path: Path) -> None:
    gallery(tmp_path)
    lines = said(tmp_path, Problem("a file", "is damaged"))
    assert 5 <= len(lines) <= 6
    assert lines[0].startswith("47 of 49 cells are done, 1 failed, 1 unfinished")
    assert lines[1].startswith("The best: on omniglot-online prototypical 8")  # the ranked one
    assert (
        " Not ranked, for cells are missing and seeds are unequal, the best figures so far: "
        "on omniglot-5way prototypical 9"
    ) in lines[1]
    assert "(metric-based, 3 seeds" in lines[1]
    assert "cannot be told apart on 2 settings" in lines[2]
    assert "takes 2.08 ms to the first answer after 20 min 35 s" in lines[3]
    assert "1 failed cell, 1 unfinished cell and unequal seeds on 2 settings" in lines[4]
    assert "fewer than 3 seeds" in lines[5]
    assert "1 file could not be used" in lines[5]


def test_families_far_apart_are_named(tmp_path: Path) -> None:
    for number in range(4):
        write_cell(tmp_path, f"m{number}", "metric-based", accuracy=0.95 + 0.005 * number)
        write_cell(tmp_path, f"o{number}", "optimization-based", accuracy=0.5 + 0.005 * number)
    assert "As families: metric-based is ahead of optimization-based on 1 setting." in said(
        tmp_path
    )


def test_few_learners_are_not_enough_for_families(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", "metric-based")
    write_cell(tmp_path, "b", "model-based", accuracy=0.5)
    assert "As families: on 1 setting there are not enough learners to say." in said(tmp_path)


def test_a_fast_learner_near_the_best_is_named(tmp_path: Path) -> None:
    write_cell(tmp_path, "best", accuracy=0.981, timed={"cpu": 0.1}, episodes=1000)
    write_cell(tmp_path, "quick", accuracy=0.978, timed={"cpu": 0.001}, episodes=1000)
    (cost,) = [line for line in said(tmp_path) if line.startswith("What it costs")]
    assert (
        "on glyphs-5way, 5way1shot, answers on cpu and meta-training on cpu (Xeon 8481C): best, "
        "the nearest to the best figures, takes 160 ms to the first answer after 20 min 35 s of"
    ) in cost
    assert "of the 2 within a point of it quick answers first, with 1.6 ms" in cost


def test_who_is_as_near_to_the_best_is_named(tmp_path: Path) -> None:
    for learner, seconds in (("slow", 0.1), ("quick", 0.001)):
        write_scores(tmp_path, learner, [1.0, 0.9, 1.0], timed={"cpu": seconds})
    (cost,) = [line for line in said(tmp_path) if line.startswith("What it costs")]
    assert ": quick, with slow the nearest to the best figures, takes 1.6 ms" in cost


def test_meta_training_elsewhere_is_not_told_beside_it(tmp_path: Path) -> None:
    """1-shot from a CPU, 5-shot from a GPU: the mean of their seconds means nothing."""
    for setting in ("5way1shot", "5way5shot"):
        for learner in ("a", "b"):
            write_cell(tmp_path, learner, accuracy=0.9, setting=setting, timed={"cpu": 0.1})
        gpu = {"device": "cuda", "environment": environment("cuda:0", device_name="H100")}
        elsewhere = gpu if setting == "5way5shot" else {}
        write_cell(
            tmp_path, "best", accuracy=0.99, setting=setting, timed={"cpu": 0.1}, **elsewhere
        )
    (cost,) = [line for line in said(tmp_path) if line.startswith("What it costs")]
    assert ", answers on cpu: best, the nearest" in cost
    assert "meta-training" not in cost


def test_what_lacks_is_counted(tmp_path: Path) -> None:
    for setting in ("5way1shot", "5way5shot"):
        write_cell(tmp_path, "a", setting=setting, timed={"cpu": 0.1})
    write_cell(tmp_path, "b", timed={"cpu": 0.1})
    lacking = (
        "Not measured yet: 1 further cell of learners that have others of the suite; "
        "see What is missing."
    )
    assert lacking in said(tmp_path)


def test_suites_of_accuracy_come_first_and_many_are_counted(tmp_path: Path) -> None:
    write_probe(tmp_path, "ntm", wrong=1.0)
    write_probe(tmp_path, "lstm", wrong=20.0)
    for number in range(3):
        for learner, accuracy in (("a", 0.9), ("b", 0.5)):
            write_cell(tmp_path, learner, suite=f"suite{number}", accuracy=accuracy)
    write_cell(tmp_path, "c", suite="suite2", accuracy=0.4)  # asked of most learners
    best = said(tmp_path)[1]
    assert [name in best for name in ("suite0", "suite2", "copy")] == [True, True, False]
    assert best.startswith("The best: on suite2 a ")
    assert best.endswith("1 further suite below.")


def test_a_single_learner_leads_nowhere(tmp_path: Path) -> None:
    write_cell(tmp_path, timed={"cpu": 0.1})
    assert [line.partition(":")[0].partition(" ")[0] for line in said(tmp_path)] == ["1", "Every"]
