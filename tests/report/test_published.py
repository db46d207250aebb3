"""Measured beside published: figures, and when a verdict is due."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from bench.report.board_tables import published_table
from bench.report.published import hold_against_papers, published, published_curves
from bench.report.summary import against_papers
from bench.results.boards import Board, boards
from bench.results.reading import read_results
from bench.store.records import Interval
from tests.helpers.synthetic import write_cell

SNELL = {"dataset": "omniglot", "split": "vinyals", "test_rotations": True}
"""The protocol of Prototypical's paper, as far as our file states it."""


def board(folder: Path) -> Board:
    (only,) = boards(read_results(folder).rows)
    return only


def measured(mean: float, ci95: float = 0.002) -> dict[str, Any]:
    """Fields of a 5-way 1-shot cell with this accuracy."""
    accuracy = Interval(mean=mean, ci95=ci95, n=1000)
    return {"metrics": {"accuracy": accuracy}, **SNELL}


def write_seeds(
    root: Path, *means: float, learner: str = "prototypical", ci95: float = 0.002, **changes: Any
) -> None:
    """A cell for each mean."""
    for seed, mean in enumerate(means):
        write_cell(root, learner, seed=seed, **measured(mean, ci95) | changes)


def test_every_row_names_its_source_and_plausible_figures() -> None:
    rows = published()
    assert len(rows) > 10
    for row in rows:
        assert row.source
        assert all(10 < value <= 100 for value in row.values.values())
        assert set(row.ci) <= set(row.values)


@pytest.mark.parametrize(
    ("accuracy", "verdict"), [(0.9836, "below"), (0.9857, "inside the interval"), (0.992, "above")]
)
def test_a_verdict_where_the_protocols_are_the_same(
    tmp_path: Path, accuracy: float, verdict: str
) -> None:
    """Snell et al. print 98.8, which may stand for 98.75 to 98.85, and no interval: it counts as
    one as wide as ours, ± 0.2. Three trainings that do not differ."""
    write_seeds(tmp_path, *[accuracy] * 3)
    (held,) = hold_against_papers(board(tmp_path))
    (point,) = held.points
    assert held.differences == []
    assert point.difference == pytest.approx(accuracy - 0.988)
    assert point.half_width == pytest.approx(0.002 * math.sqrt(2) + 0.0005)
    assert point.verdict == verdict
    [line] = against_papers(board(tmp_path))
    assert line.startswith("By the test protocol of Snell et al. 2017")
    assert line.endswith(
        f"± 0.33 points: {verdict}; budget standard in place of the paper's schedule."
    )


def test_the_papers_interval_counts_too(tmp_path: Path) -> None:
    """Finn et al. print 98.7 ± 0.4: beside ± 0.3 of ours the difference has ± 0.5."""
    write_seeds(tmp_path, *[0.983] * 3, learner="maml", ci95=0.003)
    (held,) = hold_against_papers(board(tmp_path))
    assert held.points[0].half_width == pytest.approx(0.005)
    assert held.points[0].verdict == "inside the interval"


def test_the_variance_between_trainings_counts_on_both_sides(tmp_path: Path) -> None:
    """0.975, 0.98 and 0.985 differ by 0.005: a further training lies within 4.303 * 0.005 *
    sqrt(1 + 1/3) = 0.0248. Blind to that, 0.8 points below would be a verdict."""
    write_seeds(tmp_path, 0.975, 0.98, 0.985)
    (held,) = hold_against_papers(board(tmp_path))
    assert held.points[0].difference == pytest.approx(-0.008)
    expected = math.hypot(0.002, 0.002, 4.302653 * 0.005 * math.sqrt(4 / 3)) + 0.0005
    assert held.points[0].half_width == pytest.approx(expected)
    assert held.points[0].verdict == "inside the interval"


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_trainings_get_no_verdict(tmp_path: Path, seeds: int) -> None:
    write_seeds(tmp_path, *[0.9785] * seeds)
    only = board(tmp_path)
    (held,) = hold_against_papers(only)
    (point,) = held.points
    assert (point.half_width, point.verdict) == (None, "of these trained weights")
    [line] = against_papers(only)
    assert "a difference of 0.95 points of these trained weights (a verdict takes 3 seeds)" in line
    assert "below" not in line
    table = published_table(only)
    assert table is not None
    [cells] = [line.cells for lines in table.families.values() for line in lines]
    assert "of these trained weights" in cells
    assert "the same; budget standard in place of the paper's schedule" in cells


def test_what_is_not_trained_needs_one_cell(tmp_path: Path) -> None:
    write_cell(tmp_path, "pixel-nearest-neighbour", budget="none", **measured(0.463))
    (held,) = hold_against_papers(board(tmp_path))
    assert held.points[0].verdict == "above"
    assert held.training == []


def test_after_the_papers_schedule_no_budget_is_named(tmp_path: Path) -> None:
    write_seeds(tmp_path, *[0.9836] * 3, budget="paper")
    [line] = against_papers(board(tmp_path))
    assert line.endswith("points: below.")


@pytest.mark.parametrize(
    ("learner", "changes", "differences"),
    [
        ("prototypical", {"split": "santoro"}, ["split vinyals, here santoro"]),
        ("prototypical", {"test_rotations": False}, ["rotated test classes"]),
        ("prototypical", {"transductive": True}, ["inductive, here transductive"]),
        ("prototypical[filters=2]", {}, ["other options here"]),
        ("prototypical", {"budget": "smoke"}, ["budget smoke here"]),
        (
            "maml",
            {},
            [
                "split santoro, here vinyals",
                "rotations of test classes not stated",
                "transductive",
            ],
        ),
    ],
)
def test_other_protocols_are_named_and_get_no_verdict(
    tmp_path: Path, learner: str, changes: dict[str, Any], differences: list[str]
) -> None:
    write_cell(tmp_path, learner, **measured(0.98) | changes)
    (held,) = hold_against_papers(board(tmp_path))
    assert held.differences == differences
    table = published_table(board(tmp_path))
    assert table is not None
    (line,) = (line for lines in table.families.values() for line in lines)
    verdict = [column.title for column in table.columns].index("verdict")
    assert line.cells[verdict] == "–"
    assert "; ".join(differences) in line.cells


def test_learners_settings_and_datasets_without_figures_are_left_out(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", "my-learner", **measured(0.98))
    write_cell(tmp_path / "b", ways=7, **measured(0.98))
    write_cell(tmp_path / "c", **measured(0.98) | {"dataset": "glyphs"})
    write_cell(tmp_path / "d", status="failed", **measured(0.98))
    for folder in "abcd":
        assert hold_against_papers(board(tmp_path / folder)) == []
        assert published_table(board(tmp_path / folder)) is None


def test_online_by_presentation(tmp_path: Path) -> None:
    curve = [0.33, 0.80, 0.85, 0.88, 0.9, 0.91, 0.92, 0.93, 0.93, 0.94]
    write_cell(
        tmp_path, "mann", "model-based", suite="omniglot-online", by_presentation=curve,
        dataset="omniglot", split="santoro", test_rotations=True,
    )  # fmt: skip
    only = board(tmp_path)
    (held,) = hold_against_papers(only)
    published_at = {point.key: point.published for point in held.points}
    assert published_at == pytest.approx(
        {"1st": 0.364, "2nd": 0.828, "3rd": 0.91, "4th": 0.926, "5th": 0.949, "10th": 0.981}
    )
    table = published_table(only)
    assert table is not None
    spans = [(group.name, group.span) for group in table.groups]
    assert spans == [("1st", 3), ("2nd", 3), ("5th", 3), ("10th", 3), ("", 3)]
    curves = published_curves(only)
    assert set(curves) == {"mann, published", "human, published"}
    assert curves["human, published"][-1] == (10, pytest.approx(0.924))


def test_two_trainings_of_one_name_keep_their_own_figures(tmp_path: Path) -> None:
    write_cell(tmp_path / "a", **measured(0.985))
    write_cell(tmp_path / "b", **measured(0.895))
    place = Path("cells") / "glyphs-5way" / "5way1shot"
    (other,) = (tmp_path / "b" / place).iterdir()
    other.rename(tmp_path / "a" / place / f"another-{other.name}")
    table = published_table(board(tmp_path / "a"))
    assert table is not None
    here = [line.cells[0] for lines in table.families.values() for line in lines]
    assert sorted(here) == ["89.50", "98.50"]


def test_an_online_task_without_a_length_has_nothing_to_hold(tmp_path: Path) -> None:
    write_cell(
        tmp_path, "mann", by_presentation=[0.3, 0.8], dataset="omniglot", task={"length": None}
    )
    assert hold_against_papers(board(tmp_path)) == []
