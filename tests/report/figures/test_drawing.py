"""Many figures, drawn in processes or here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bench.report.figures import Palette, Picture, draw_all, drawing
from bench.report.figures.drawing import size_of
from bench.report.figures.style import data_uri, page_svg
from bench.store.checked import Problem

PALETTE = Palette(["model-based"])


def picture(number: int) -> Picture:
    def draw() -> Figure:
        figure = Figure(figsize=(number + 1, 2))
        figure.text(0.1, 0.1, str(number))
        return figure

    return Picture(f"figure-{number}", "alt", "caption", draw, ["model-based"])


def broken() -> Figure:
    raise ValueError("cannot")


@pytest.mark.parametrize("forks", [True, False])
def test_all_are_drawn_in_their_order(monkeypatch: pytest.MonkeyPatch, forks: bool) -> None:
    monkeypatch.setattr(drawing, "_may_fork", lambda pictures: forks)
    pictures = [picture(number) for number in range(9)]
    pictures[4] = replace(pictures[4], draw=broken)
    problems: list[Problem] = []
    made = draw_all(pictures, PALETTE, problems)
    assert [own and own.width for own in made] == [96, 192, 288, 384, None, 576, 672, 768, 864]
    assert {own.height for own in made if own} == {192}
    assert made[0] is not None
    assert made[0].svg.decode() == page_svg(pictures[0], PALETTE)
    assert problems == [Problem("figure-4", "could not be drawn: ValueError: cannot")]


def test_few_figures_take_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_in_processes", lambda pictures: pytest.fail("forked"))
    assert len(draw_all([picture(1)], PALETTE, [])) == 1
    assert draw_all([], PALETTE, []) == []


def test_a_figure_as_a_source_of_an_image(tmp_path: Path) -> None:
    assert data_uri(b"<svg/>") == "data:image/svg+xml;base64,PHN2Zy8+"


def test_sizes() -> None:
    assert size_of('<svg a="" width="72pt" height="36pt">') == (96, 48)
    assert size_of('<svg height="36pt" width="72pt">') == (96, 48)
    assert size_of("<svg>") == (672, 400)
