"""Figures of meta-training, cost, calibration and comparisons: the numbers that they show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba

from bench.report.figures import Palette, board_pictures, ranks_picture
from bench.report.figures.calibration import calibration_figure, reliability
from bench.report.figures.cost import pareto_front, phases_figure, tradeoff_figure
from bench.report.figures.curves import (
    learning_figure,
    reached,
    target_figure,
    trained_learners,
    training_pictures,
)
from bench.report.figures.pairs import ON_COLOUR, differences_figure, ranks_figure, readable_on
from bench.report.figures.style import FAINT
from bench.results.boards import Board, boards
from bench.results.measures import ACCURACY
from bench.results.pairs import BoardComparisons, Comparison
from bench.results.ranks import CriticalDifference
from bench.results.reading import read_results
from bench.store.checked import Problem
from bench.store.files import Validation, learning_curve
from tests.helpers.synthetic import make_older, write_cell, write_training

PALETTE = Palette(["model-based", "metric-based", "optimization-based"])
MODEL, METRIC = PALETTE.light("model-based"), PALETTE.light("metric-based")


def board(root: Path) -> Board:
    """The only board of a results folder."""
    (found,) = boards(read_results(root).rows)
    return found


def points(*given: tuple[int, float, float]) -> list[dict[str, Any]]:
    """A stored learning curve from (examples, seconds, accuracy)."""
    return [
        {"updates": 1, "examples": e, "seconds": s, "loss": None, "val_accuracy": a, "val_nll": 1.0}
        for e, s, a in given
    ]


# -- meta-training --------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A fast learner that reaches both targets, and a slow one that reaches one of them."""
    fast = write_cell(tmp_path, "fast", "metric-based", training_task={"ways": 60})
    slow = write_cell(tmp_path, "slow", "model-based", training_task={"ways": 5})
    write_cell(tmp_path, "bare", "model-based")
    write_training(tmp_path, fast, curve=points((100, 60, 0.7), (200, 120, 0.96), (300, 180, 0.91)))
    write_training(tmp_path, slow, curve=points((1000, 600, 0.5), (2000, 1200, 0.9)))
    return tmp_path


def test_a_learning_curve_is_read(trained: Path) -> None:
    cell = next(row for row in board(trained).cells if row.learner == "slow")
    problems: list[Problem] = []
    curve = [Validation(1000, 600, 0.5), Validation(2000, 1200, 0.9)]
    assert learning_curve(trained, cell.training, problems) == curve
    path = trained / "trainings" / cell.training / "result.json"
    path.write_text(path.read_text().replace('"val_accuracy": 0.5', '"val_accuracy": null'))
    assert learning_curve(trained, cell.training, problems) == curve[1:]
    path.write_text('{"curve": [null]}')
    assert learning_curve(trained, cell.training, problems) == []
    assert problems == []


@pytest.mark.parametrize("name", ["none", "a\0b", "x" * 5000, "../.."])
def test_a_training_that_is_not_there_has_no_curve(tmp_path: Path, name: str) -> None:
    problems: list[Problem] = []
    assert learning_curve(tmp_path, name, problems) == []
    assert problems == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"curve": 3}', '{"curve": [{"seconds": "long"}]}']
)
def test_a_damaged_training_is_named_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trainings" / "t" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    problems: list[Problem] = []
    assert learning_curve(tmp_path, "t", problems) == []
    assert learning_curve(tmp_path, "t", problems) == []
    assert [problem.path for problem in problems] == [str(path)]


def test_the_time_to_a_target_by_hand() -> None:
    curve = [Validation(100, 1, 0.7), Validation(200, 2, 0.95), Validation(300, 3, 0.8)]
    assert reached(curve, 0.7) == curve[0]
    assert reached(curve, 0.9) == curve[1]
    assert reached(curve, 0.95) == curve[1]
    assert reached(curve, 0.96) is None


def test_learning_curves_show_every_meta_validation(trained: Path) -> None:
    learners = trained_learners(board(trained).entries, ACCURACY, trained, [])
    assert [t.label for t in learners] == ["slow, 5-way", "fast, 60-way"]
    figure = learning_figure(learners, PALETTE)
    labels = [axes.get_xlabel() for axes in figure.axes[-2:]]
    assert labels == ["examples seen", "meta-training time, min"]  # the longest took 20 min
    fast = [line for axes in figure.axes[2:] for line in axes.lines if line.get_color() == METRIC]
    assert [line.get_xdata().tolist() for line in fast] == [[100, 200, 300], [1, 2, 3]]
    assert all(line.get_ydata().tolist() == pytest.approx([70, 96, 91]) for line in fast)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2, 2]  # one's own, and one in grey


def test_seconds_of_several_places_are_told_apart(trained: Path) -> None:
    """A CPU's and a GPU's stand on one axis, which says so; the captions say whose are whose."""
    one = training_pictures(board(trained), PALETTE, trained, [])
    assert len(one) == 2
    assert not any("Times compare" in picture.caption for picture in one)
    quick = write_cell(trained, "quick", "metric-based", device="cuda")
    write_training(trained, quick, curve=points((100, 6, 0.7), (200, 12, 0.96)))
    machine = "(Xeon 8481C) with 2 threads"
    told = (
        "Times compare within one place of meta-training only: slow and fast on "
        f"cpu {machine}; quick on cuda {machine}."
    )
    several = training_pictures(board(trained), PALETTE, trained, [])
    assert [told in picture.caption for picture in several] == [True, True]
    for picture in several:
        labels = [axes.get_xlabel() for axes in picture.draw().axes if axes.get_xlabel()]
        assert labels == ["examples seen", "meta-training time, min (several places)"]


def test_a_curve_of_one_point_is_a_mark(trained: Path) -> None:
    """Of one point a line shows nothing; a smoke budget has one meta-validation."""
    learner = trained_learners(board(trained).entries, ACCURACY, trained, [])[0]
    figure = learning_figure([replace(learner, curves=[[Validation(100, 1, 0.5)]])], PALETTE)
    (line,) = figure.axes[0].lines
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba()) / 255  # (H, W, 4)
    x, y = (round(at) for at in line.get_transform().transform(line.get_xydata())[0])
    assert pixels[len(pixels) - y, x] == pytest.approx(to_rgba(line.get_color()), abs=0.02)


def test_a_seed_that_stops_early_does_not_end_the_median(trained: Path) -> None:
    learner = trained_learners(board(trained).entries, ACCURACY, trained, [])[0]
    curves = [[Validation(1, 1, k / 10), Validation(2, 2, k / 5)] for k in range(6)]
    curves[0].pop()
    figure = learning_figure([replace(learner, curves=curves)], PALETTE)
    (line,) = figure.axes[0].lines
    # the median of 0, 10, 20, 30, 40, 50, then of 20, 40, 60, 80, 100
    assert line.get_xydata().tolist() == [[1, 25], [2, 60]]


def test_who_never_reaches_a_target_is_shown_where_training_ended(trained: Path) -> None:
    learners = trained_learners(board(trained).entries, ACCURACY, trained, [])
    figure = target_figure(learners, PALETTE)
    for axes, slow, fast in zip(
        figure.axes, ([2000, 2000], [20, 20]), ([200, 200], [2, 2]), strict=True
    ):
        marks = [(line.get_xdata()[0], line.get_marker()) for line in axes.lines]
        assert [x for x, _ in marks] == pytest.approx([*slow, *fast])
        # 90 % reached, 95 % not; both reached
        assert [marker for _, marker in marks] == ["o", ">", "s", "s"]
        assert [line.get_fillstyle() for line in axes.lines] == ["none", "full", "none", "full"]
    assert figure.axes[0].lines[1].get_color() == FAINT


def test_pictures_of_meta_training_say_what_is_missing(trained: Path) -> None:
    pictures = board_pictures(board(trained), PALETTE, [], root=trained)
    curves, target = pictures[-2:]
    assert "No curve is stored of bare." in curves.caption
    assert "more ways are harder" in curves.caption
    assert "fast, 60-way from 70.00 % after 100 examples to 91.00 % after 300 (3 min" in curves.alt
    assert "slow, 5-way at 90 %: 2,000 examples, 20 min" in target.alt
    assert "slow, 5-way at 95 %: never" in target.alt


# -- cost -----------------------------------------------------------------------------------------


def test_the_pareto_front_by_hand() -> None:
    given = [(1, 0.5), (2, 0.9), (2, 0.8), (3, 0.9), (4, 0.95), (1, 0.5)]
    #        front     front    worse     slower   front      a tie with the first
    assert pareto_front(given) == [True, True, False, False, True, True]
    assert pareto_front([]) == []


def test_accuracy_stands_against_the_time_to_the_first_answer(tmp_path: Path) -> None:
    timed = {"mann": 0.001, "ntm": 0.01, "snail": 0.1}
    for name, accuracy in (("mann", 0.6), ("ntm", 0.5), ("snail", 0.9)):
        write_cell(tmp_path, name, "model-based", accuracy=accuracy, timed={"cpu": timed[name]})
    write_cell(tmp_path, "lstm", "model-based")
    found = board(tmp_path)
    (axes,) = tradeoff_figure(found, PALETTE).axes
    front, dots = axes.lines[0], axes.lines[1:]
    assert axes.get_title(loc="left") == "cpu"
    shown = {dot.get_fillstyle(): [] for dot in dots}
    for dot in dots:
        shown[dot.get_fillstyle()] += dot.get_xydata().tolist()
    accuracy = {entry.label: 100 * (entry.score(ACCURACY) or 0) for entry in found.entries}
    # the first answer takes 1.6 times as long as to adapt; the best learner comes first
    snail, mann, ntm = (
        [pytest.approx(1.6 * timed[name]), pytest.approx(accuracy[name])]
        for name in ("snail", "mann", "ntm")
    )
    assert shown == {"full": [snail, mann], "none": [ntm]}
    assert front.get_xydata()[:2].tolist() == [mann, snail]
    _, picture, _ = board_pictures(found, PALETTE, [])
    assert "Without timings: lstm." in picture.caption
    assert "mann 6" in picture.alt
    assert picture.alt.count("(front)") == 2


def test_who_lacks_seeds_is_not_on_the_front(tmp_path: Path) -> None:
    write_cell(tmp_path, "mann", "model-based", accuracy=0.6, timed={"cpu": 0.1})
    for seed in range(3):
        write_cell(
            tmp_path, "lstm", "model-based", accuracy=0.9, timed={"cpu": 0.01}, seed=seed,
            status="unfinished" if seed else "done",
        )  # fmt: skip
    found = board(tmp_path)
    figure = tradeoff_figure(found, PALETTE)
    (axes,) = figure.axes
    # the front, then mann, which lstm would dominate
    assert [line.get_fillstyle() for line in axes.lines[1:]] == ["full", "none"]
    assert [t.get_text() for t in figure.legends[0].get_texts()][1:] == ["mann", "lstm, 1 of 3"]
    picture = board_pictures(found, PALETTE, [])[1]
    assert picture.alt.count("(front)") == 1
    assert picture.alt.index("(1 of 3 seeds)") < picture.alt.index("mann")
    assert "of those with all seeds" in picture.caption
    only = replace(found, families={"model-based": found.entries[1:]})
    assert len(tradeoff_figure(only, PALETTE).axes[0].lines) == 2  # an empty front


def test_phases_have_a_mark_per_device(tmp_path: Path) -> None:
    write_cell(tmp_path, "mann", "model-based", timed={"cpu": 0.01, "cuda:0": 0.001})
    write_cell(tmp_path, "siamese", "metric-based", timed={"cpu": 0.02})
    figure = phases_figure(board(tmp_path), PALETTE)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["training update", "adapt", "further query", "memory, MiB"]
    adapt, memory = figure.axes[1], figure.axes[3]
    # cpu: both; cuda:0: mann only
    assert [line.get_xdata()[0] for line in adapt.lines] == pytest.approx([0.01, 0.02, 0.001])
    assert [line.get_fillstyle() for line in adapt.lines] == ["full", "full", "none"]
    assert [line.get_color() for line in adapt.lines] == [MODEL, METRIC, MODEL]
    assert memory.lines[0].get_xdata()[0] == pytest.approx(420_000_000 / 2**20)


def test_memory_that_an_older_version_stored_is_left_out(tmp_path: Path) -> None:
    write_cell(tmp_path, "mann", "model-based", timed={"cpu": 0.01, "cuda:0": 0.001})
    write_cell(tmp_path, "siamese", "metric-based", timed={"cpu": 0.02})
    make_older(tmp_path)
    found = board(tmp_path)
    titles = [axes.get_title() for axes in phases_figure(found, PALETTE).axes]
    assert titles == ["training update", "adapt", "further query"]
    pictures = board_pictures(found, PALETTE, [])
    assert not any("emory" in p.caption + p.alt or "MiB" in p.alt for p in pictures)


def test_without_timings_there_is_no_figure_of_cost(tmp_path: Path) -> None:
    write_cell(tmp_path)
    assert [p.name.rpartition("-")[2] for p in board_pictures(board(tmp_path), PALETTE, [])] == [
        "scores"
    ]


# -- calibration ----------------------------------------------------------------------------------


def test_seeds_are_pooled_by_their_answers(tmp_path: Path) -> None:
    first = {"answers": [100, 0, 5], "confidence": [0.2, 0, 0.9], "accuracy": [0.4, 0, 1]}
    second = {"answers": [300, 0, 5], "confidence": [0.3, 0, 0.9], "accuracy": [0.2, 0, 1]}
    for seed, stored in enumerate((first, second)):
        write_cell(tmp_path, seed=seed, reliability=stored)
    (entry,) = board(tmp_path).entries
    # confidence (100 * 0.2 + 300 * 0.3) / 400, accuracy (100 * 0.4 + 300 * 0.2) / 400; the bins
    # of 0 and 10 answers are left out
    pooled = reliability(entry)
    assert pooled is not None
    np.testing.assert_allclose(pooled, [[0.275], [0.25], [400]])


def test_cells_of_older_versions_have_no_diagram(tmp_path: Path) -> None:
    write_cell(tmp_path, "old")
    stored = {"answers": [50, 50], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]}
    write_cell(tmp_path, "new", reliability=stored)
    write_cell(tmp_path, "few", reliability=stored | {"answers": [19, 3]})
    found = board(tmp_path)
    (picture,) = [p for p in board_pictures(found, PALETTE, []) if "calibration" in p.name]
    assert "Not stored of old. Too few answers of few." in picture.caption
    entry = next(entry for entry in found.entries if entry.label == "new")
    (axes,) = picture.draw().axes
    diagonal, line = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert line.get_xydata() == pytest.approx(np.array([[40, 50], [90, 80]]))
    legend = axes.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [
        f"{entry.mean(lambda row: row.score('ece').mean):.3f}  new"
    ]
    shown = reliability(entry)
    assert shown is not None
    assert calibration_figure([(entry, shown)], PALETTE).axes[0].get_title() == "metric-based"


# -- comparisons ----------------------------------------------------------------------------------


def test_the_matrix_shows_row_less_column_and_greys_what_does_not_hold(tmp_path: Path) -> None:
    for name in "abc":
        write_cell(tmp_path, name)
    found = board(tmp_path)
    a, b, c = sorted(found.entries, key=lambda entry: entry.label)

    def pair(x: Any, y: Any, mean: float, p: float) -> Comparison:
        return Comparison(x, y, "weights", mean, 0.01, p, p, 0.02, 200)

    pairs = [pair(a, b, 0.0123, 0.001), pair(a, c, 0.25, 0.001), pair(b, c, 0.004, 0.3)]
    compared = BoardComparisons(found, [a, b, c], pairs, [], None)
    (axes,) = differences_figure(compared, PALETTE).axes
    shown = {tuple(np.floor(t.get_position()).astype(int)): t for t in axes.texts}
    assert {(row, column): t.get_text() for (column, row), t in shown.items()} == {
        (0, 1): "+1.23", (0, 2): "+25.0", (1, 0): "−1.23", (1, 2): "+0.40", (2, 0): "−25.0",
        (2, 1): "−0.40",
    }  # fmt: skip
    grey = {(row, column) for (column, row), t in shown.items() if t.get_color() == FAINT}
    assert grey == {(1, 2), (2, 1)}
    italic = {(row, column) for (column, row), t in shown.items() if t.get_style() == "italic"}
    assert italic == {(0, 1), (1, 0), (0, 2), (2, 0)}  # told apart, as trained weights
    (mesh,) = axes.collections
    coloured = ~np.ma.getmaskarray(mesh.get_array())
    assert coloured.tolist() == [[False, True, True], [True, False, False], [True, False, False]]
    (picture,) = [
        p for p in board_pictures(found, PALETTE, [], compared=compared) if "diff" in p.name
    ]
    assert "b less c +0.40 (not told apart)" in picture.alt


def test_text_contrasts_with_its_ground() -> None:
    dark, light = ON_COLOUR
    assert readable_on((1, 1, 1)) == dark
    assert readable_on((0, 0, 0.4)) == light
    assert readable_on((0.5, 0.5, 0.5)) == dark  # luminance 0.22: 5.3 against 3.9


def test_the_critical_difference_diagram() -> None:
    ranked = CriticalDifference(
        "standard", [f"d{k}" for k in range(8)], ["a", "$b$", "c", "d"], [1.25, 1.75, 3.0, 4.0],
        0.001, 1.66, [["a", "$b$"], ["$b$", "c"], ["d"]], ["e", "f"],
    )  # fmt: skip
    picture = ranks_picture(ranked, "all suites")
    assert picture.name == "all-suites-standard-ranks"
    assert picture.caption.endswith("budget standard. Not complete everywhere: e, f.")
    assert "a 1.25, $b$ 1.75, c 3.00, d 4.00. Critical difference 1.66" in picture.alt
    (axes,) = ranks_figure(ranked).axes
    # each learner's line begins at its rank on the axis and ends at the side where its name is
    assert [line.get_xdata().tolist() for line in axes.lines] == [
        [1.25, 1.25, 1], [1.75, 1.75, 1], [3, 3, 4], [4, 4, 4],
    ]  # fmt: skip
    drawn = [segment for c in axes.collections for segment in c.get_segments()]
    flat = [s[:, 0].tolist() for s in drawn if s[0, 1] == s[1, 1]]
    assert flat[0] == [1, 4]  # the axis
    assert flat[1] == pytest.approx([1, 2.66])  # the critical difference
    assert flat[2] == pytest.approx([1.21, 1.79])  # bars reach a little beyond the ranks
    assert flat[3] == pytest.approx([1.71, 3.04])
    assert len(flat) == 4  # a group of one has no bar
    assert {to_hex(line.get_color()) for line in axes.lines} == {FAINT}
    names = [text.get_text().split() for text in axes.texts]
    assert ["a", "1.25"] in names
    assert ["4.00", "d"] in names
    assert ["CD", "=", "1.66"] in names
