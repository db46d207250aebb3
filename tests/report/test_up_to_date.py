"""A page that says what is stored is known by its last line, and no other is taken for one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.report import up_to_date as module
from bench.report import write_report
from bench.report.up_to_date import INDEX, PAGE, SITE, made_of, marked, standing
from bench.store import layout
from tests.helpers.synthetic import write_cell, write_training

SOURCES = {"maml": "5ec0de"}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small results folder with its page."""
    root = tmp_path_factory.mktemp("reported") / "results"
    write_training(root, write_cell(root, "maml", episodes=4, timed={"cpu": 0.01}))
    write_report(root, formats=["html"], sources=SOURCES)
    return root


@pytest.fixture
def results(reported: Path) -> Path:
    """The same, as it is, before the test changes something."""
    kept = reported.with_name("kept")
    if kept.exists():
        shutil.rmtree(reported)
        shutil.copytree(kept, reported)
    else:
        shutil.copytree(reported, kept)
    assert said_by(reported)
    return reported


def said_by(root: Path, sources: dict[str, str] = SOURCES) -> bool:
    return standing(root, made_of(root, sources, [], [], [], False)) == root / PAGE


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def touched(path: Path) -> None:
    """The same size, written later."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


def flipped(path: Path) -> None:
    """The same size and time."""
    found, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


STORED = ["cells/**/result.json", "cells/**/timings/*.json", "trainings/*/result.json"]


@pytest.mark.parametrize("pattern", STORED)
@pytest.mark.parametrize("change", [grown, touched, Path.unlink])
def test_what_is_stored_has_changed(
    results: Path, pattern: str, change: Callable[[Path], None]
) -> None:
    change(next(results.glob(pattern)))
    assert not said_by(results)


def test_a_cell_has_come(results: Path) -> None:
    write_cell(results, "snail", episodes=4)
    assert not said_by(results)


@pytest.mark.parametrize(
    "change", [grown, flipped, Path.unlink, lambda page: page.write_bytes(b"")]
)
def test_the_page_has_changed(results: Path, change: Callable[[Path], None]) -> None:
    change(results / PAGE)
    assert not said_by(results)


def test_a_cut_page_is_no_page(results: Path) -> None:
    page = results / PAGE
    page.write_bytes(page.read_bytes()[:-1])
    assert not said_by(results)


def test_a_part_of_the_results_is_not_all_of_them(results: Path) -> None:
    write_report(results, formats=["html"], learners=["maml"], sources=SOURCES)
    assert not said_by(results)


def test_other_code_of_a_learner_marks_its_rows(results: Path) -> None:
    assert not said_by(results, {"maml": "0ther"})
    assert not said_by(results, {})


def test_other_code_of_ours_draws_another_page(
    results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(module.CODE, tmp_path / "bench")  # whose times are kept
    monkeypatch.setattr(module, "CODE", tmp_path / "bench")
    before = made_of(results, SOURCES)
    assert made_of(results, SOURCES) == before
    touched(tmp_path / "bench" / "report" / "pages" / "style.css")
    assert made_of(results, SOURCES) != before


def test_what_no_page_is_made_of_changes_nothing(results: Path) -> None:
    training = next(results.glob("trainings/*"))
    for name in (layout.LOG, layout.LOCK, layout.CHECKPOINT, layout.WEIGHTS):
        (training / name).write_bytes(b"1")
    (training / ".1-2.partial").write_bytes(b"1")
    assert said_by(results)


def test_links_that_lead_up_again_or_nowhere_have_an_end(results: Path) -> None:
    (results / "cells" / "up").symlink_to(results / "cells", target_is_directory=True)
    (results / "cells" / "nowhere").symlink_to(results / "absent")
    assert not said_by(results)
    assert made_of(results, SOURCES) == made_of(results, SOURCES)


def test_a_folder_or_nothing_in_the_place_of_the_page(results: Path) -> None:
    (results / PAGE).unlink()
    assert not said_by(results)
    (results / PAGE).mkdir()
    assert not said_by(results)


def test_the_line_belongs_to_its_page() -> None:
    one, other = marked(b"one\n", "made"), marked(b"other\n", "made")
    line = one.removeprefix(b"one\n")
    assert line.startswith(b"<!-- made of ")
    assert other != b"other\n" + line
    assert marked(b"one\n", "made otherwise") != one


def test_a_site_stands_while_both_its_pages_do(tmp_path: Path) -> None:
    for suite in ("one", "two"):
        write_cell(tmp_path, suite=suite, episodes=4)
    index = write_report(tmp_path, formats=["html"])[0]
    assert index == tmp_path / SITE / INDEX
    made = made_of(tmp_path, None, [], [], [], False)
    assert standing(tmp_path, made) == index
    assert standing(tmp_path, "another") is None
    kept = index.read_bytes()
    index.write_bytes(kept + b" ")
    assert standing(tmp_path, made) is None
    index.unlink()
    assert standing(tmp_path, made) is None
    index.write_bytes(kept)
    (tmp_path / PAGE).unlink()
    assert standing(tmp_path, made) is None
