"""What is lost on other data: by the same weights, in settings of the same task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.report.published import hold_against_papers
from bench.report.write import write_report
from bench.results.boards import Board, boards
from bench.results.reading import read_results
from bench.results.table import load_results
from bench.results.transfer import Transfer, transfers
from tests.helpers.synthetic import write_cell

LEARNERS = {"maml": "optimization-based", "anil": "optimization-based", "mann": "model-based"}
NEAR = {"maml": 0.9, "anil": 0.8, "mann": 0.95}
FAR = {"maml": 0.7, "anil": 0.7, "mann": 0.96}


def exact(mean: float) -> dict[str, dict[str, float | int | None]]:
    one = {"mean": mean, "ci95": 0.03, "n": 200}
    wide = one | {"ci95": 0.04}
    return {"accuracy": wide if mean < 0.75 else one, "nll": one, "ece": {**one, "ci95": None}}


def write(root: Path, learner: str, setting: str, mean: float, **changes: object) -> None:
    shared = {
        "suite": "transfer", "setting": setting, "metrics": exact(mean),
        "training": f"{learner}-000000000000", "family": LEARNERS.get(learner, "metric-based"),
        "dataset": "omniglot", "split": "vinyals",
    }  # fmt: skip
    write_cell(root, learner, **shared | changes)  # type: ignore[arg-type]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for learner in LEARNERS:
        write(tmp_path, learner, "near", NEAR[learner])
        write(
            tmp_path, learner, "far", FAR[learner], test_dataset="kmnist", test_split="all",
        )  # fmt: skip
    return tmp_path


def boards_of(root: Path) -> list[Board]:
    return boards(read_results(root).rows)


def found_in(root: Path) -> Transfer:
    [found] = transfers(boards_of(root))
    return found


def test_losses_by_hand(results: Path) -> None:
    found = found_in(results)
    assert found.near.setting == "near"
    assert found.dataset(found.far[0]) == "kmnist"
    losses = {own.entry.learner: own.losses["far"] for own in found.learners}
    assert losses["maml"].lost == pytest.approx(0.2)
    assert losses["maml"].half_width == pytest.approx(0.05)  # of 0.03 and 0.04
    assert losses["mann"].lost == pytest.approx(-0.01), "better there"
    assert found.mean("optimization-based", found.far[0]) == pytest.approx(0.15)
    assert found.sentences() == [
        "far instead of near, lost in points: model-based -1.00 (1 learner), optimization-based "
        "15.00 (2 learners)."
    ]


def test_controls_are_shown_and_count_in_no_family(results: Path) -> None:
    """Nothing to train, and named so by its package: neither pulls the mean of a family."""
    far = {"test_dataset": "kmnist", "test_split": "all"}
    for learner, budget in (("pixels", "none"), ("feedforward", "standard")):
        write(results, learner, "near", 0.5, budget=budget, family="model-based")
        write(results, learner, "far", 0.74, budget=budget, family="model-based", **far)
    [found] = transfers(boards_of(results), {"feedforward"})
    assert {own.entry.learner for own in found.learners if own.control} == {"pixels", "feedforward"}
    assert found.mean("model-based", found.far[0]) == pytest.approx(-0.01)  # mann alone
    assert "model-based -1.00 (1 learner)" in found.sentences()[0]


def test_a_family_of_controls_alone_has_no_mean(results: Path) -> None:
    write(results, "pixels", "near", 0.5, budget="none")
    write(
        results, "pixels", "far", 0.7, budget="none", test_dataset="kmnist", test_split="all"
    )  # fmt: skip
    found = found_in(results)
    assert "metric-based" in found.families
    assert found.mean("metric-based", found.far[0]) is None
    assert "metric-based" not in found.sentences()[0]


def test_a_learner_counts_once_over_its_sets_of_options(results: Path) -> None:
    """maml loses 20 and, with other options, 40 points: 30; anil 10. Their mean is 20, not 23.3."""
    again = {"training": "maml-111111111111", "learner_name": "maml"}
    options = {"config": {"encoder": "conv4", "steps": 9}, "family": "optimization-based"}
    name = "maml[steps=9]"
    write(results, name, "near", 0.9, **again, **options)
    write(
        results, name, "far", 0.5, test_dataset="kmnist", test_split="all", **again, **options
    )  # fmt: skip
    found = found_in(results)
    assert found.mean("optimization-based", found.far[0]) == pytest.approx(0.2)
    assert "optimization-based 20.00 (2 learners)" in found.sentences()[0]


def test_a_variant_with_another_encoder_pulls_no_mean(results: Path) -> None:
    again = {"training": "maml-222222222222", "learner_name": "maml"}
    pixels = again | {"config": {"encoder": "pixels"}, "family": "optimization-based"}
    far = {"test_dataset": "kmnist", "test_split": "all"}
    write(results, "maml[encoder=pixels]", "near", 0.9, **pixels)
    write(results, "maml[encoder=pixels]", "far", 0.2, **pixels, **far)
    found = found_in(results)
    assert "maml[encoder=pixels]" in {own.entry.learner for own in found.learners}
    assert found.mean("optimization-based", found.far[0]) == pytest.approx(0.15)


def test_other_weights_are_not_compared(results: Path) -> None:
    write(results, "siamese", "near", 0.9)
    write(
        results, "siamese", "far", 0.5, training="siamese-ffffffffffff", test_dataset="kmnist",
        test_split="all",
    )  # fmt: skip
    assert "siamese" not in {own.entry.learner for own in found_in(results).learners}


def test_other_shots_are_not_compared(results: Path) -> None:
    task = {"input_shape": [1, 28, 28], "ways": 5, "shots": 5, "queries": 15, "length": 50}
    for learner in LEARNERS:
        write(results, learner, "far5", 0.5, task=task, test_dataset="kmnist", test_split="all")
    assert [board.setting for board in found_in(results).far] == ["far"]


def test_nothing_where_all_is_on_the_data_of_meta_training(tmp_path: Path) -> None:
    for setting in ("near", "nearer"):
        write(tmp_path, "maml", setting, 0.9)
    assert transfers(boards_of(tmp_path)) == []


def test_a_board_says_what_it_is_tested_on_and_takes_no_figure_of_a_paper(results: Path) -> None:
    found = {board.setting: board for board in boards_of(results)}
    assert "on omniglot, split vinyals" in found["near"].kind.describe(found["near"])
    told = found["far"].kind.describe(found["far"])
    assert told[1:3] == ["learned on omniglot, split vinyals", "tested on kmnist, all classes"]
    assert hold_against_papers(found["near"])
    assert hold_against_papers(found["far"]) == []


def test_the_table_of_cells_and_the_page_have_it(results: Path, tmp_path: Path) -> None:
    frame = load_results(results)
    assert set(frame[frame.setting == "far"].test_dataset) == {"kmnist"}
    assert frame[frame.setting == "near"].test_dataset.isna().all()
    page = write_report(results, tmp_path / "out", formats=["html"], single=True)[0].read_text()
    assert "What is lost on other data than that of meta-training, against near" in page
    assert "mean 15.00" in page


def test_the_page_marks_a_control(results: Path, tmp_path: Path) -> None:
    write(results, "pixels", "near", 0.5, budget="none")
    write(results, "pixels", "far", 0.7, budget="none", test_dataset="kmnist", test_split="all")
    page = write_report(results, tmp_path / "out", formats=["html"], single=True)[0].read_text()
    table = page[page.index("What is lost on other data") :].partition("</figure>")[0]
    (row,) = re.findall(r'<tr data-learner="pixels".*?</tr>', table, re.DOTALL)
    assert "<small>control</small>" in row
    assert "A control is no member of its family and not in its mean." in table
