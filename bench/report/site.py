"""The report as files: one self-contained page, or a site with a page for each suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

from bench.report.content import Content
from bench.report.figures import Drawing, Picture, draw_all
from bench.report.figures.style import slug
from bench.report.page import FIGURES, Page, render, script, style_sheet
from bench.report.up_to_date import INDEX, LEADS, PAGE, SITE, marked
from bench.store.atomic import utf8, write_atomically

ASSETS = "assets"


def write_page(content: Content, out: Path, made: str) -> list[Path]:
    """Everything on one self-contained page, ``report.html``.

    Args:
        content: of the report.
        out: the folder that it is written into.
        made: of `bench.report.up_to_date.made_of`.

    Raises:
        CannotWriteError: it cannot be written.
    """
    pictures = [picture for picture in content.pictures if picture.on_page]
    drawings = _drawn(content, pictures)
    whole = Page(content, drawings, content.suites, overview=True, learners=content.learners)
    page = render(whole)
    _write(out / PAGE, marked(utf8(page), made))
    return [out / PAGE]


def write_site(content: Content, out: Path, made: str) -> list[Path]:
    """``report/index.html``, a page for each suite, and what they share; ``report.html`` leads
    there. The arguments are those of `write_page`.

    Returns:
        The files, the index first.

    Raises:
        CannotWriteError: a file cannot be written.
    """
    folder = out / SITE
    pictures = [picture for picture in content.pictures if picture.on_page]
    drawings = _drawn(content, pictures)
    files = _names((suite.name for suite in content.suites), "suite", "html")
    names = {
        id(picture): name
        for picture, name in zip(
            pictures, _each((picture.name for picture in pictures), "svg"), strict=True
        )
    }
    learners = [(own.family, own.name) for own in content.learners]
    of_learners = _each((slug("learner", name) for _, name in learners), "html")
    shared = Page(
        content,
        drawings,
        [],
        overview=True,
        assets=f"{ASSETS}/",
        names=names,
        files=files,
        learner_files=dict(zip(learners, of_learners, strict=True)),
    )
    pages = {INDEX: shared}
    for suite in content.suites:
        pages[files[suite.name]] = replace(shared, suites=[suite], overview=False, up=INDEX)
    for own, file in zip(content.learners, of_learners, strict=True):
        pages[file] = replace(shared, learners=[own], overview=False, up=INDEX)
    _write(folder / ASSETS / "style.css", style_sheet(content.palette))
    _write(folder / ASSETS / "page.js", script())
    for picture in pictures:
        if drawing := drawings[id(picture)]:
            _write(folder / ASSETS / FIGURES / names[id(picture)], drawing.svg)
    for name, page in pages.items():
        _write(folder / name, marked(utf8(render(page)), made))
    _write(out / PAGE, marked(LEADS.encode(), made))
    _remove_older(folder, "*.html", set(pages))
    _remove_older(folder / ASSETS / FIGURES, "*.svg", set(names.values()))
    return [folder / name for name in pages] + [out / PAGE]


def _remove_older(folder: Path, files: str, kept: Container[str]) -> None:
    """What an older report of other suites has left."""
    for path in folder.glob(files):
        if path.name not in kept:
            with suppress(OSError):
                path.unlink()


def _drawn(content: Content, pictures: Sequence[Picture]) -> dict[int, Drawing | None]:
    made = draw_all(pictures, content.palette, content.problems)
    return {id(picture): drawing for picture, drawing in zip(pictures, made, strict=True)}


def _names(names: Iterable[str], kind: str, suffix: str) -> dict[str, str]:
    """A file for each name; names that a file cannot tell apart are numbered."""
    found = list(names)
    return dict(zip(found, _each((slug(kind, name) for name in found), suffix), strict=True))


def _each(stems: Iterable[str], suffix: str) -> list[str]:
    used: Counter[str] = Counter()
    files = []
    for stem in stems:
        used[stem] += 1
        files.append(f"{stem}{f'-{used[stem]}' if used[stem] > 1 else ''}.{suffix}")
    return files


def _write(path: Path, text: str | bytes) -> None:
    stored = utf8(text) if isinstance(text, str) else text
    write_atomically(path, methodcaller("write", stored))
