"""Figures of the report, drawn from boards and from nothing else.

Figures are drawn without pyplot, so that nothing of a caller's session changes.
"""

from bench.report.figures.boards import board_pictures, suite_pictures
from bench.report.figures.drawing import Drawing, draw_all
from bench.report.figures.files import save_figures
from bench.report.figures.overview import profile_picture, tradeoff_pictures
from bench.report.figures.pairs import ranks_picture
from bench.report.figures.style import Palette, Picture, data_uri

__all__ = [
    "Drawing",
    "Palette",
    "Picture",
    "board_pictures",
    "data_uri",
    "draw_all",
    "profile_picture",
    "ranks_picture",
    "save_figures",
    "suite_pictures",
    "tradeoff_pictures",
]
