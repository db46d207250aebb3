"""Boards: what is one entry, what it is called, and when learners are ranked."""

from __future__ import annotations

import json

import pytest

from bench.report.summary import counts, seeds_said, sentences
from bench.results.boards import boards
from bench.results.reading import read_results
from bench.store.records import Interval
from tests.helpers.synthetic import write_cell, write_probe

LATER = "2026-11-21T09:30:00+00:00"


def board_of(root):
    [board] = boards(read_results(root).rows)
    return board


def told(root):
    rows = read_results(root).rows
    found = boards(rows)
    return [counts(rows), *sentences(found), *seeds_said(found)]


def scores(entry):
    return [round(row.score("accuracy").mean, 1) for row in entry.cells]


def write_twice(root, **after):
    """Seeds 0 to 2 trained before a change (0.9) and after it (0.5), in folders of mixed order."""
    for seed in range(3):
        for accuracy, changes in ((0.9, {}), (0.5, after)):
            folder = write_cell(root, "maml", seed=seed, accuracy=accuracy, **changes)
            name = "ab"[(seed + (accuracy < 0.9)) % 2]
            folder.rename(folder.with_name(f"maml-{name}{seed}-{folder.name}"))


@pytest.mark.parametrize(
    ("after", "labels"),
    [
        ({"config": {"encoder": "conv4", "steps": 5}}, ["maml · no steps", "maml · steps=5"]),
        ({"source": "0ddba11", "finished": LATER}, ["maml · code 5ec0de", "maml · code 0ddba1"]),
        ({"finished": LATER}, ["maml · 2026-11-20", "maml · 2026-11-21"]),
        ({"finished": "2026-11-20T12:31:00+00:00"}, ["maml · 2026-11-20 12:00",
                                                     "maml · 2026-11-20 12:31"]),
        ({"training_task": {"ways": 5}, "finished": LATER}, ["maml · 2026-11-20",
                                                             "maml · 2026-11-21"]),
        ({"bank": "longer", "episodes": 1000}, ["maml · 200 episodes", "maml · 1,000 episodes"]),
    ],
)  # fmt: skip
def test_trainings_of_one_seed_are_not_mixed_and_have_labels_of_their_own(tmp_path, after, labels):
    write_twice(tmp_path, **after)
    entries = board_of(tmp_path).entries
    assert [scores(entry) for entry in entries] == [[0.9] * 3, [0.5] * 3]
    assert [entry.label for entry in entries] == labels


def test_what_nothing_else_tells_apart_is_named_by_its_folder(tmp_path):
    write_twice(tmp_path)
    labels = [entry.label.rsplit("-", 2)[0] for entry in board_of(tmp_path).entries]
    assert labels == ["maml · maml-a0", "maml · maml-b0"]


def test_a_seed_that_only_the_later_code_has_stays_with_it(tmp_path):
    for seed in range(3):
        if seed < 2:
            folder = write_cell(tmp_path, "maml", seed=seed, accuracy=0.9)
            folder.rename(folder.with_name(f"maml-{seed}-{folder.name}"))
        write_cell(tmp_path, "maml", seed=seed, accuracy=0.5, source="0ddba11", finished=LATER)
    write_cell(tmp_path, "maml", seed=3, status="unfinished")
    entries = sorted(board_of(tmp_path).entries, key=lambda entry: len(entry.cells))
    assert [scores(entry) for entry in entries[:1]] == [[0.9] * 2]
    assert [row.status for row in entries[1].cells] == ["done"] * 3 + ["unfinished"]
    assert [round(row.score("accuracy").mean, 1) for row in entries[1].done] == [0.5] * 3


def test_code_that_changed_between_seeds_makes_no_further_learner(tmp_path):
    """It is marked; only a seed that is there twice is another training."""
    write_cell(tmp_path, "maml", seed=0, source="0ddba11")
    write_cell(tmp_path, "maml", seed=1)
    write_cell(tmp_path, "maml", seed=2, status="unfinished")
    [entry] = board_of(tmp_path).entries
    assert (entry.label, len(entry.cells)) == ("maml", 3)


def test_learners_with_unequal_seeds_are_not_ranked(tmp_path):
    for seed in range(3):
        write_cell(tmp_path, "a", seed=seed, accuracy=0.9)
    write_cell(tmp_path, "b", accuracy=0.99)
    write_cell(tmp_path, "pixels", accuracy=0.5, budget="none")
    board = board_of(tmp_path)
    assert board.best is None
    assert {seeds: [e.label for e in lack] for seeds, lack in board.lacking.items()} == {
        (1, 2): ["b"]
    }
    assert told(tmp_path)[1] == (
        "glyphs-5way, 5way1shot, budget standard: the learners have unequal seeds and are not "
        "ranked; missing: seeds 1-2 of b."
    )
    for seed in (1, 2):
        write_cell(tmp_path, "b", seed=seed, accuracy=0.99)
    assert board_of(tmp_path).best.label == "b"  # what is not trained needs no seeds
    assert " % is the highest, then a " in told(tmp_path)[1]


def test_equal_scores_share_the_first_place(tmp_path):
    same = {"accuracy": {"mean": 0.9, "ci95": 0.01, "n": 200}}
    for name in ("a", "b"):
        write_cell(tmp_path, name, metrics=same)
    write_cell(tmp_path, "c", accuracy=0.5)
    assert told(tmp_path)[1].endswith(": a, b share the highest, 90.00 ± 1.00 %.")


def test_many_that_lack_a_seed_are_counted(tmp_path):
    for seed in (0, 3):
        write_cell(tmp_path, "a", seed=seed)
    for k in range(7):
        write_cell(tmp_path, f"b{k}")
    assert told(tmp_path)[1].endswith("missing: seed 3 of 7 learners.")


def test_first_parts_of_a_bank_are_ranked_and_told(tmp_path):
    write_cell(tmp_path, "a", accuracy=0.9, episodes=200)
    write_cell(tmp_path, "b", accuracy=0.8, episodes=1000)
    assert board_of(tmp_path).best.label == "a"
    assert told(tmp_path)[1].endswith(
        "answered only the first part of the episodes (200 of 1,000)."
    )


def test_other_episodes_are_not_ranked(tmp_path):
    write_cell(tmp_path, "a", bank="one")
    write_cell(tmp_path, "b", bank="another")
    assert board_of(tmp_path).best is None
    assert told(tmp_path)[1].endswith("answered different episodes and are not ranked.")


def test_the_summary_counts_finished_trainings(tmp_path):
    for seed in range(3):
        write_cell(tmp_path, "a", seed=seed, status="unfinished" if seed else "done")
    write_probe(tmp_path, "pixels", budget="none")
    assert told(tmp_path)[-1].startswith("every learner was trained from one seed, ")
    for seed in range(3):
        write_cell(tmp_path, "a", seed=seed)
    every = told(tmp_path)[-1]
    assert every.startswith("figures are means over up to 3 seeds, ")
    assert "fewer than 3" not in every
    write_cell(tmp_path, "b")
    some = told(tmp_path)[-1]
    assert "where a learner has fewer than 3 seeds" in some


def test_without_any_training_the_summary_speaks_of_none(tmp_path):
    write_cell(tmp_path, "pixels", budget="none")
    assert not any("trained" in sentence for sentence in told(tmp_path))


def test_where_all_episodes_are_alike_there_is_no_interval(tmp_path):
    write_probe(tmp_path, "ntm", wrong=0.0)
    write_probe(tmp_path, "lstm", wrong=3.0)
    board = board_of(tmp_path)
    assert [entry.half_width(board.metric) is None for entry in board.scored] == [True, False]
    assert "ntm 0.000 wrong bits is the lowest" in sentences([board])[0]
    assert "0.000 ±" not in "".join(sentences([board]))


def test_presentations_that_are_all_alike_have_no_interval(tmp_path):
    alike = Interval(mean=1.0, ci95=0.0, n=200)
    write_cell(tmp_path, by_presentation=[0.3, 0.8])
    (path,) = tmp_path.glob("cells/*/*/*/result.json")
    stored = json.loads(path.read_bytes())
    stored["by_presentation"][1] = alike.model_dump()
    path.write_text(json.dumps(stored))
    [entry] = board_of(tmp_path).entries
    first, second = entry.curve_half_widths()
    assert first > 0
    assert second is None
