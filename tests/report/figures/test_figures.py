"""Figures: their one style, what they show, their files, and that plugins' text is text."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from bench.report.figures import (
    Palette,
    Picture,
    board_pictures,
    save_figures,
    suite_pictures,
)
from bench.report.figures.boards import MOST
from bench.report.figures.grid import grid_figure, grid_of
from bench.report.figures.online import apart, presentation_figure
from bench.report.figures.panels import neighbours, round_values
from bench.report.figures.probes import length_figure, rows_used
from bench.report.figures.scores import score_figure
from bench.report.figures.style import INK, page_svg, short, shortened, slug, svg
from bench.results.boards import Board, boards, family_order
from bench.results.measures import ACCURACY
from bench.results.pairs import compare_board
from bench.results.reading import read_results
from bench.store.checked import Problem
from tests.helpers.synthetic import gallery, write_cell, write_probe, write_training

PALETTE = Palette(["model-based", "metric-based", "optimization-based"])
STRANGE = ("$\\frac{x$ & <script>", "y$^_$" + "long-" * 15)
RELIABILITY = {"answers": [100, 300], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]}


def board(root: Path) -> Board:
    """The only board of a results folder."""
    (found,) = boards(read_results(root).rows)
    return found


def strange(root: Path, **changes: Any) -> Board:
    """Learners whose names are no formulas, with all that figures are drawn from."""
    curve = [
        {"updates": k, "examples": 100 * k, "seconds": 9.0 * k, "loss": 1.0, "val_nll": 1.0,
         "val_accuracy": k / 10}
        for k in (5, 9)
    ]  # fmt: skip
    for place, name in enumerate(STRANGE):
        cell = write_cell(
            root, name, "metric-based", by_presentation=[0.3, 0.8], timed={"$\\x$": 0.01 + place},
            reliability=RELIABILITY, training=f"t{place}", **changes,
        )  # fmt: skip
        write_training(root, cell, curve=curve)
    return board(root)


def all_pictures(found: Board, root: Path) -> list[Picture]:
    return board_pictures(
        found, PALETTE, [], root=root, compared=compare_board(found),
        published={"$\\frac{": [(1, 0.3), (2, 0.5)]},
    )  # fmt: skip


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_text_of_plugins_is_no_formula(tmp_path: Path) -> None:
    pictures = all_pictures(strange(tmp_path), tmp_path)
    kinds = [picture.name.rpartition("standard-")[2] for picture in pictures]
    assert kinds == [
        "presentations", "scores", "first-answer", "differences", "learning-curves",
        "time-to-accuracy", "phases", "calibration",
    ]  # fmt: skip
    for picture in pictures:
        assert re.fullmatch("[a-z0-9-]+", picture.name)
        figure = picture.draw()
        shown = [text for text in figure.findobj(Text) if text.get_visible()]
        named = [t for t in shown if "$\\f" in t.get_text() or "y$" in t.get_text()]
        assert len(named) >= 2
        assert not any(text.get_parse_math() for text in named)
        assert max(len(text.get_text()) for text in named) <= 52
        assert "<script" not in page_svg(picture, PALETTE)
        assert STRANGE[0] in picture.alt


@pytest.mark.parametrize("learners", [1, 16])
def test_nothing_is_clipped(tmp_path: Path, learners: int) -> None:
    for k in range(learners):
        family = PALETTE.families[k % 3]
        write_cell(
            tmp_path, f"{'long' * 12}-{k}", family, accuracy=0.5 + k / 40, reliability=RELIABILITY,
            timed={"cpu": 0.01 * (k + 1), "cuda:0": 0.001 * (k + 1)},
        )  # fmt: skip
    found = board(tmp_path)
    for picture in all_pictures(found, tmp_path):
        figure = picture.draw()
        figure.draw_without_rendering()
        assert figure.get_figwidth() == 7
        drawn = figure.get_tightbbox()  # inches
        assert drawn.x0 >= -0.02, picture.name
        assert drawn.y0 >= -0.02, picture.name
        assert drawn.x1 <= figure.get_figwidth() + 0.02, picture.name
        assert drawn.y1 <= figure.get_figheight() + 0.02, picture.name
        boxes = [label.get_window_extent() for label in labels_of_x_ticks(figure)]
        for a, b in combinations(boxes, 2):
            assert not a.overlaps(b), picture.name


def labels_of_x_ticks(figure: Figure) -> Iterator[Text]:
    """Those that are drawn."""
    for axes in figure.axes:
        low, high = sorted(axes.get_xlim())
        for label in axes.get_xticklabels():
            if label.get_text() and label.get_visible() and low <= label.get_position()[0] <= high:
                yield label


def test_of_many_learners_the_best_are_shown(tmp_path: Path) -> None:
    for k in range(MOST + 3):
        write_cell(tmp_path, f"learner{k}", "metric-based", accuracy=0.5 + k / 100, episodes=20)
    found = board(tmp_path)
    scores, differences = board_pictures(found, PALETTE, [], compared=compare_board(found))
    assert scores.caption.endswith(f"The best {MOST} of {MOST + 3} learners.")
    ticks = [t.get_text() for t in scores.draw().axes[0].get_yticklabels()]
    assert ticks == [entry.label for entry in found.scored[:MOST]]
    assert len(differences.draw().axes[0].get_yticklabels()) == MOST


def test_scores_are_dots_with_their_intervals(tmp_path: Path) -> None:
    write_cell(tmp_path, "maml", "optimization-based", accuracy=0.8)
    write_cell(tmp_path, "mann", "model-based", accuracy=0.9)
    write_cell(tmp_path, "lstm", "model-based", status="failed")
    found = board(tmp_path)
    (axes,) = score_figure(found, PALETTE).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["mann", "maml"]
    for entry, y, container in zip(found.scored, (1, 3), axes.containers, strict=True):
        dot, _, (bar,) = container
        assert dot.get_xydata().tolist() == [[100 * (entry.score(ACCURACY) or 0), y]]
        (low, high) = bar.get_segments()[0][:, 0]
        assert high - low == pytest.approx(200 * (entry.half_width(ACCURACY) or 0))
        assert dot.get_color() == PALETTE.light(entry.family)


def test_presentations_stand_beside_published_curves(tmp_path: Path) -> None:
    write_cell(tmp_path, "mann", "model-based", by_presentation=[0.3, 0.8, 0.9])
    write_cell(tmp_path, "maml", "optimization-based", by_presentation=[0.3, 0.6, 0.7])
    found = board(tmp_path)
    figure = presentation_figure(found, PALETTE, {"human": [(1, 0.345), (3, 0.7)]})
    assert [axes.get_title() for axes in figure.axes] == ["model-based", "optimization-based"]
    for axes, entry in zip(figure.axes, found.entries, strict=True):
        lines = {line.get_color(): line.get_xydata().tolist() for line in axes.lines}
        curve = entry.curve()
        own = [[k + 1, 100 * (value or 0)] for k, value in enumerate(curve)]
        assert lines[PALETTE.light(entry.family)] == own
        assert [[1, 34.5], [3, 70]] in lines.values()
        assert lines[INK] == [[x, pytest.approx(45.67, abs=0.01)] for x in (0.7, 1.3)]
    assert texts(figure).count("human") == 1


def test_labels_are_kept_apart_by_hand() -> None:
    assert apart([10, 50], 5) == [10, 50]
    # 10, 15, 20 moved down by the mean lift (0 + 4 + 8) / 3
    assert apart([10, 11, 12], 5) == [6, 11, 16]
    assert apart([], 5) == []


def test_pictures_show_the_rows_that_a_head_went_to(tmp_path: Path) -> None:
    write_probe(tmp_path, "ntm", items=10, heads=("write", "read"))
    pictures = board_pictures(board(tmp_path), PALETTE, [])
    (heads,) = [picture for picture in pictures if "heads" in picture.name]
    found = re.findall(r"data:image/png;base64,\s*([^\"]+)", svg(heads.draw()))
    sizes = [Image.open(io.BytesIO(base64.b64decode(png))).size for png in found]
    # 22 steps; input, target, answer, and of 128 rows the 11 that each head walks over
    assert sizes == [(22, 10), (22, 8), (22, 8), (22, 11), (22, 11)]


def at_rows(*rows: int, memory: int = 10) -> np.ndarray:
    """A head (T, memory) that is at these rows, one after the other."""
    return np.eye(memory, dtype=np.float32)[list(rows)]


@pytest.mark.parametrize(
    ("heads", "rows"),
    [
        ([at_rows(2, 3, 5)], [2, 3, 4, 5]),
        ([at_rows(9, 0, 1)], [9, 0, 1]),  # around the end of the memory
        ([at_rows(2, 2), at_rows(4, 4)], [2, 3, 4]),
        ([at_rows(7)], [7]),
        ([0.05 * at_rows(1, 2)], list(range(10))),  # nowhere in particular
        ([at_rows(*range(10))], list(range(10))),
    ],
)
def test_rows_used_by_hand(heads: list[np.ndarray], rows: list[int]) -> None:
    assert rows_used(heads).tolist() == rows


@pytest.mark.parametrize(
    ("low", "high", "gap", "ticks"),
    [
        (0.9, 11, 0, [1, 2, 5, 10]),
        (0.9, 11, 0.4, [1, 3, 10]),  # 1.09 decades; from 1 to 3 there are 0.48, 0.44 of them
        (0.9, 11, 0.45, [1, 10]),
        (1e-4, 1, 0.3, [1e-4, 1e-2, 1]),
        (1e-6, 1, 0.4, [1e-6, 1e-3, 1]),
    ],
)
def test_ticks_by_hand(low: float, high: float, gap: float, ticks: list[float]) -> None:
    assert round_values(low, high, gap) == pytest.approx(ticks)


def test_values_close_together_have_two_ticks() -> None:
    assert neighbours(3, 4) == pytest.approx((2, 5))
    assert neighbours(0.02, 0.02) == pytest.approx((0.01, 0.05))


def test_labels_are_cut_where_they_stay_distinct() -> None:
    assert short("short") == "short"
    assert short("0123456789", 7) == "012…789"
    first, second = (f"maml[inner_steps=5,first_order={on}]" for on in ("true", "false"))
    assert shortened([first, second], 21) == ["maml[inner…rder=true]", "maml[inner…der=false]"]
    # they differ at the 3rd of 12 characters, which half of 5 would leave out
    assert shortened(["abXdefghijkl", "abYdefghijkl"], 5) == ["abX…l", "abY…l"]
    assert shortened(["same", "same"], 3) == ["s…e", "s…e"]


def test_learners_of_one_label_are_lines_of_their_own(tmp_path: Path) -> None:
    for shots in (1, 5):
        for place in (1, 0):  # the same seed twice: two trainings
            folder = write_cell(
                tmp_path, setting=f"5way{shots}shot", task={"ways": 5, "shots": shots},
                accuracy=0.5 + place / 10 + shots / 100, training=f"training-{place}",
            )  # fmt: skip
            folder.rename(folder.with_name(f"{place}-{folder.name}"))
    found = [
        replace(one, families={"metric-based": [replace(e, label="maml") for e in one.entries]})
        for one in boards(read_results(tmp_path).rows)
    ]
    (axes,) = grid_figure(grid_of(found), PALETTE).axes
    heights = [container[0].get_ydata().tolist() for container in axes.containers]
    assert heights == [pytest.approx([61, 65], abs=2), pytest.approx([51, 55], abs=2)]
    legend = axes.get_legend()
    assert legend is not None
    assert len({line.get_linestyle() for line in legend.get_lines()}) == 2


def test_who_lacks_seeds_is_hollow_and_said_to(tmp_path: Path) -> None:
    for items in (10, 30):
        for seed in range(3):
            lacks = "unfinished" if items == 30 and seed else "done"
            write_probe(tmp_path, items=items, seed=seed, status=lacks, timed={"cpu": 0.1})
    short_one, long_one = found = boards(read_results(tmp_path).rows)
    (axes,) = length_figure(found, PALETTE).axes
    assert [t.get_text() for t in axes.get_legend().get_texts()][-1] == "ntm, 1 of 3"
    shown = {
        line.get_fillstyle(): line.get_markevery()
        for line in axes.lines
        if line.get_marker() == "o"
    }
    assert shown == {"full": [True, False], "none": [False, True]}
    (picture,) = suite_pictures(found, PALETTE)
    assert "Hollow: seeds are missing" in picture.caption
    for one, label, fill in ((short_one, "ntm", "full"), (long_one, "ntm, 1 of 3", "none")):
        (axes,) = score_figure(one, PALETTE).axes
        assert [t.get_text() for t in axes.get_yticklabels()] == [label]
        assert axes.containers[0][0].get_fillstyle() == fill


@pytest.mark.parametrize("items", [[5], [None, 3], [1, 2, 3], ["a", "b"]])
def test_training_items_that_are_no_range_have_no_band(tmp_path: Path, items: list[Any]) -> None:
    for length in (10, 20):
        write_probe(tmp_path, items=length, training_task={"items": items})
    (axes,) = length_figure(boards(read_results(tmp_path).rows), PALETTE).axes
    assert not axes.patches


def test_names_of_files_by_hand() -> None:
    assert slug("Omniglot 5way", "5way1shot", "200examples", "scores") == (
        "omniglot-5way-5way1shot-200examples-scores"
    )
    assert slug("../../etc", "<b>") == "etc-b"


def test_figures_leave_no_trace_in_matplotlib(tmp_path: Path) -> None:
    gallery(tmp_path)
    rows = read_results(tmp_path).rows
    palette = Palette(family_order(row.family for row in rows))
    before = dict(mpl.rcParams)
    online = boards(rows)[-1]
    first, second = (
        [page_svg(picture, palette) for picture in board_pictures(online, palette, [])]
        for _ in range(2)
    )
    assert first == second
    assert dict(mpl.rcParams) == before
    from matplotlib import pyplot as plt

    assert plt.get_fignums() == []


def test_a_family_has_one_colour_whatever_stands_on_the_board() -> None:
    families = family_order(["zeta", "optimization-based", "alpha", "model-based"])
    assert families == ["model-based", "optimization-based", "alpha", "zeta"]
    palette = Palette(families)
    assert len({palette.light(family) for family in families}) == 4
    assert len({palette.marker(family) for family in families}) == 4


def test_figures_as_files(tmp_path: Path) -> None:
    write_cell(tmp_path, "maml", "optimization-based")
    (scores,) = board_pictures(board(tmp_path), PALETTE, [])
    paths = save_figures([scores, scores], tmp_path / "new" / "figures")
    stem = "glyphs-5way-5way1shot-standard-scores"
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for name in (stem, f"{stem}-2") for kind in ("svg", "png", "pdf")
    ]
    assert sorted(path.name for path in (tmp_path / "new" / "figures").iterdir()) == sorted(
        path.name for path in paths
    )
    drawing, pixels, document = (path.read_bytes() for path in paths[:3])
    # the same figure is the same file: no dates, no random ids
    assert [path.read_bytes() for path in paths[3:]] == [drawing, pixels, document]
    assert b"var(" not in drawing
    assert PALETTE.light("optimization-based").encode() in drawing
    image = Image.open(io.BytesIO(pixels))
    assert image.size[0] == 1400  # 7 inches at 200 dpi
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert b"/FontFile2" in document  # TrueType, embedded
    assert b"/CreationDate" not in document
    assert save_figures([scores], tmp_path / "b", ["png"]) == [tmp_path / "b" / f"{stem}.png"]


def test_what_cannot_be_drawn_is_named_and_left_out(tmp_path: Path) -> None:
    write_cell(tmp_path)
    (scores,) = board_pictures(board(tmp_path), PALETTE, [])

    def formula() -> Figure:
        figure = Figure()
        figure.suptitle("$\\x$")  # fails only when it is rendered
        return figure

    broken = replace(scores, name="broken", draw=formula)
    problems: list[Problem] = []
    assert page_svg(broken, PALETTE, problems) is None
    paths = save_figures([broken, scores], tmp_path / "figures", ["png"], problems)
    assert [path.name for path in paths] == [f"{scores.name}.png"]
    (problem,) = problems
    assert problem.path == "broken"
    assert problem.reason.startswith("could not be drawn: ")
    assert "prefers-color-scheme:dark" in (page_svg(scores, PALETTE, problems) or "")
    for draw in (lambda: page_svg(broken, PALETTE), lambda: save_figures([broken], tmp_path)):
        with pytest.raises(ValueError, match="x"):
            draw()


def test_every_picture_of_a_suite_has_a_name_of_its_own(tmp_path: Path) -> None:
    gallery(tmp_path)
    rows = read_results(tmp_path).rows
    palette = Palette(family_order(row.family for row in rows))
    found = boards(rows)
    pictures = [*suite_pictures(found, palette)]
    pictures += chain.from_iterable(board_pictures(one, palette, []) for one in found)
    assert len({picture.name for picture in pictures}) == len(pictures) >= 10
