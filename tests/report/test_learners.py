"""A learner's page: all that is stored of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report import write_report
from bench.report.figures import Palette
from bench.report.learners import LearnerPage, learner_pages
from bench.results.boards import boards
from bench.results.reading import read_results
from bench.store.checked import Problem
from bench.store.records import CurvePoint
from tests.helpers.kept_answers import write_answers
from tests.helpers.synthetic import make_older, write_cell, write_probe, write_training


def pages(root: Path, problems: list[Problem] | None = None) -> dict[str, LearnerPage]:
    palette = Palette(["model-based", "metric-based", "optimization-based"])
    found = boards(read_results(root).rows)
    made = learner_pages(found, palette, root, [] if problems is None else problems, ())
    return {page.name: page for page in made}


def test_all_results_of_a_learner_stand_together(tmp_path: Path) -> None:
    for setting, accuracy in (("5way1shot", 0.9), ("5way5shot", 0.95)):
        write_cell(tmp_path, "a", setting=setting, accuracy=accuracy, timed={"cpu": 0.01})
        write_cell(tmp_path, "a[steps=5]", setting=setting, accuracy=0.5, config={"steps": 5})
        write_cell(tmp_path, "b", "model-based", setting=setting, accuracy=0.7)
    found = pages(tmp_path)
    assert list(found) == ["b", "a"]  # families in their order
    assert [(r.board.setting, r.entry.label, r.place) for r in found["a"].results] == [
        ("5way1shot", "a", "1 of 3"), ("5way1shot", "a[steps=5]", "3 of 3"),
        ("5way5shot", "a", "1 of 3"), ("5way5shot", "a[steps=5]", "3 of 3"),
    ]  # fmt: skip
    assert found["a"].results[0].first_answer == "16 ms"
    assert found["a"].results[0].memory == "401 MiB"
    assert dict(found["a"].configs)["a[steps=5]"] == {"steps": 5}
    assert len(found["a"].cells) == 4


def test_equal_scores_share_a_place(tmp_path: Path) -> None:
    for learner, wrong in (("a", 0.0), ("b", 0.0), ("c", 3.0), ("d", 3.0), ("e", 9.0)):
        write_probe(tmp_path, learner, wrong=wrong)
    places = {name: own.results[0].place for name, own in pages(tmp_path).items()}
    assert places == {"a": "1 of 5", "b": "1 of 5", "c": "3 of 5", "d": "3 of 5", "e": "5 of 5"}


def test_memory_that_an_older_version_stored_is_not_shown(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", timed={"cpu": 0.01})
    make_older(tmp_path)
    (found,) = pages(tmp_path)["a"].results
    assert (found.first_answer, found.memory) == ("16 ms", "–")


def test_curves_of_a_training_stand_once(tmp_path: Path) -> None:
    curve = [
        CurvePoint(
            updates=100 * k, examples=50_000 * k, seconds=20.0 * k, loss=1 / k,
            val_accuracy=1 - 0.5 / k, val_nll=1 / k,
        )
        for k in range(1, 5)
    ]  # fmt: skip
    for setting in ("5way1shot", "5way5shot"):
        cell = write_cell(tmp_path, "a", setting=setting, training="a-1")
        write_training(tmp_path, cell, curve=curve)
    (picture,) = pages(tmp_path)["a"].pictures
    assert picture.name.endswith("learning-curves-of-a")


def test_stored_answers_are_shown(tmp_path: Path) -> None:
    write_answers(write_cell(tmp_path, "a"))
    write_answers(write_cell(tmp_path, "a", seed=1), seed=1)
    write_cell(tmp_path, "b")
    found = pages(tmp_path)
    assert [picture.name.rpartition("-a-")[2] for picture in found["a"].pictures] == [
        "episode-0", "episode-1", "confusion",
    ]  # fmt: skip
    for picture in found["a"].pictures:
        assert picture.draw().axes
    (mistakes,) = found["a"].mistakes
    assert mistakes.classes == 8
    accuracies = [own.accuracy for own in mistakes.worst]
    assert accuracies == sorted(accuracies)
    assert sum(own.asked for own in mistakes.worst) == 2 * 20 * 10
    assert found["b"].mistakes == []
    text = write_report(tmp_path, formats=["html"])[0].read_text(encoding="utf-8")
    assert "letter 3" in text
    assert "The classes that a finds hardest" in text


def test_damaged_answers_are_named_and_the_page_is_made(tmp_path: Path) -> None:
    cell = write_cell(tmp_path, "a")
    (cell / "answers.npz").write_bytes(b"PK")
    problems: list[Problem] = []
    assert pages(tmp_path, problems)["a"].mistakes == []
    assert "answers.npz is damaged" in problems[0].reason


def test_published_figures_and_failures_stand_on_its_page(tmp_path: Path) -> None:
    write_cell(tmp_path, suite="omniglot-5way", dataset="omniglot", split="vinyals")
    write_cell(tmp_path, suite="omniglot-5way", setting="5way5shot", status="failed")
    write_cell(tmp_path, "maml", suite="another")
    write_report(tmp_path, formats=["html"])
    text = (tmp_path / "report" / "learner-prototypical.html").read_text(encoding="utf-8")
    assert "Snell et al. 2017" in text
    assert "RuntimeError: shapes" in text
    other = (tmp_path / "report" / "learner-maml.html").read_text(encoding="utf-8")
    assert "RuntimeError" not in other


@pytest.mark.parametrize("name", ["a b", "<b>"])
def test_any_name_has_a_page(tmp_path: Path, name: str) -> None:
    for suite in ("one", "two"):
        write_cell(tmp_path, name, suite=suite)
    write_report(tmp_path, formats=["html"])
    files = [path.name for path in (tmp_path / "report").glob("learner-*.html")]
    assert len(files) == 1
