"""Draws many figures, in as many processes as there are cores."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from bench.report.figures.style import Palette, Picture, page_svg
from bench.store.atomic import utf8
from bench.store.checked import Problem

FEW = 6
"""As many figures are drawn here: processes would not be quicker."""


class Drawing(NamedTuple):
    """A figure as it stands on a page."""

    svg: bytes
    width: int
    """Pixels."""
    height: int


_PICTURES: Sequence[Picture] = ()
_PALETTE = Palette(())
"""What the processes draw; they are forked, since a picture holds functions."""


def draw_all(
    pictures: Sequence[Picture], palette: Palette, problems: list[Problem]
) -> list[Drawing | None]:
    """The pictures as SVG; None of one that cannot be drawn, which is added to `problems`."""
    global _PICTURES, _PALETTE  # noqa: PLW0603 (what is forked sees it)
    _PICTURES, _PALETTE = pictures, palette
    try:
        made = _in_processes(len(pictures)) if _may_fork(len(pictures)) else _here(len(pictures))
    finally:
        _PICTURES = ()
    for _, own in made:
        problems += [problem for problem in own if problem not in problems]
    return [drawing for drawing, _ in made]


def _may_fork(pictures: int) -> bool:
    """Forking beside other threads is not safe."""
    several = pictures > FEW and _cores() > 1 and threading.active_count() == 1
    return several and "fork" in multiprocessing.get_all_start_methods()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_processes(pictures: int) -> list[tuple[Drawing | None, list[Problem]]]:
    context = multiprocessing.get_context("fork")
    # What was read is never waste here: without `gc.freeze` each process would look through it.
    with ProcessPoolExecutor(min(_cores(), pictures), context, gc.freeze) as pool:
        return list(pool.map(_draw, range(pictures), chunksize=4))


def _here(pictures: int) -> list[tuple[Drawing | None, list[Problem]]]:
    return [_draw(number) for number in range(pictures)]


def _draw(number: int) -> tuple[Drawing | None, list[Problem]]:
    problems: list[Problem] = []
    drawn = page_svg(_PICTURES[number], _PALETTE, problems)
    if drawn is None:
        return None, problems
    return Drawing(utf8(drawn), *size_of(drawn)), problems


def size_of(svg: str) -> tuple[int, int]:
    """Width and height in pixels, of which an inch has 96 and 72 points."""
    found = re.search(r'<svg [^>]*?height="([\d.]+)pt"[^>]*?width="([\d.]+)pt"', svg) or re.search(
        r'<svg [^>]*?width="([\d.]+)pt"[^>]*?height="([\d.]+)pt"', svg
    )
    if found is None:
        return 672, 400
    first, second = (round(float(text) * 96 / 72) for text in found.groups())
    return (second, first) if svg.find("height=") < svg.find("width=") else (first, second)
