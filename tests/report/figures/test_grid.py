"""Accuracy by ways and shots: a learner is a line over the settings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bench.report.figures import suite_pictures
from bench.report.figures.grid import grid_figure, grid_of
from bench.report.figures.panels import lines_over
from bench.report.figures.style import Palette
from bench.results.boards import boards
from bench.results.measures import ACCURACY
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell

PALETTE = Palette(["model-based", "metric-based", "optimization-based"])


def test_a_learner_is_one_line_wherever_it_was_trained_for_each_setting(tmp_path: Path) -> None:
    for shots, device in ((1, "cpu"), (5, "cuda")):
        task, setting = {"ways": 5, "shots": shots}, f"5way{shots}shot"
        write_cell(tmp_path, "maml", setting=setting, task=task, device=device)
        for other in ("cpu", "cuda"):
            write_cell(tmp_path, "anil", setting=setting, task=task, device=other)
    found = list(lines_over(boards(read_results(tmp_path).rows)))
    assert Counter((line[1], entry.label) for line, _, entry in found) == {
        ("maml", "maml"): 2, ("anil · cpu", "anil · cpu"): 2, ("anil · cuda", "anil · cuda"): 2,
    }  # fmt: skip


def test_ways_and_shots_are_lines_over_the_settings(tmp_path: Path) -> None:
    for ways in (5, 20):
        for shots in (1, 5):
            task = {"ways": ways, "shots": shots}
            setting = f"{ways}way{shots}shot"
            write_cell(tmp_path, setting=setting, task=task, accuracy=0.7 + shots / 20 - ways / 100)
    grid = grid_of(boards(read_results(tmp_path).rows))
    assert list(grid) == [(5, 1), (5, 5), (20, 1), (20, 5)]
    figure = grid_figure(grid, PALETTE)
    assert [axes.get_xlabel() for axes in figure.axes] == ["shots, 5-way", "shots, 20-way"]
    for axes, ways in zip(figure.axes, (5, 20), strict=True):
        (container,) = axes.containers
        expected = [[k, 100 * (grid[ways, k].scored[0].score(ACCURACY) or 0)] for k in (1, 5)]
        assert container[0].get_xydata().tolist() == expected
    (picture,) = suite_pictures(list(grid.values()), PALETTE)
    assert picture.name == "glyphs-5way-standard-ways-and-shots"
    only_ways = {key: found for key, found in grid.items() if key[1] == 1}
    (axes,) = grid_figure(only_ways, PALETTE).axes
    assert axes.get_xlabel() == "ways"
    assert axes.containers[0][0].get_xdata().tolist() == [5, 20]
