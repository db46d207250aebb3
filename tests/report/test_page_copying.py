"""What a page says can be taken along: tables as Markdown and LaTeX, figures as SVG files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import write_report
from tests.helpers.browser import chromium
from tests.helpers.synthetic import gallery, write_cell

HOSTILE = "a|b_c&d"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    gallery(folder)
    write_cell(folder, HOSTILE, suite="omniglot-5way", accuracy=0.5)
    return write_report(folder, formats=["html"], single=True)[0]


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Any]:
    for driver in chromium():
        driver.get(page.as_uri())
        driver.execute_script(
            "document.querySelectorAll('details').forEach(f => { f.open = true })"
        )
        yield driver


@pytest.fixture(autouse=True)
def unfiltered(browser: Any) -> None:
    browser.execute_script("document.querySelector('#filter').reset()")
    browser.execute_async_script("setTimeout(arguments[0], 50)")


def copied(browser: Any, name: str) -> str:
    """What a click on a button puts into the clipboard."""
    browser.execute_script(
        "Object.defineProperty(navigator, 'clipboard', {configurable: true, value: "
        "{writeText: async text => { window.copied = text; }}})"
    )
    browser.execute_script(
        "document.querySelector(`button[aria-label='${arguments[0]}']`).click()", name
    )
    return browser.execute_script("return window.copied")


def shown(browser: Any) -> int:
    """Rows of learners of the first table."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.matrix tr[data-learner]')]"
        ".filter(row => row.offsetParent).length"
    )


def test_each_table_and_each_figure_has_its_buttons(browser: Any) -> None:
    lacking = browser.execute_script(
        "const wanted = figure => figure.querySelector('table') ? 2 : 1;"
        "return [...document.querySelectorAll('figure')]"
        ".filter(one => one.querySelectorAll('.tools button').length !== wanted(one))"
        ".map(one => one.textContent)"
    )
    assert lacking == []


def test_a_table_as_markdown(browser: Any) -> None:
    lines = copied(browser, "Copy Table 1 as Markdown").splitlines()
    cells = [re.split(r"(?<!\\)\|", line) for line in lines]
    assert len({len(own) for own in cells}) == 1, "as many cells in each line"
    assert set(lines[1]) <= set("|-: ")
    assert len(lines) == 2 + shown(browser)
    (best,) = [line for line in lines if line.startswith("| prototypical |")]
    # Online everybody is done: that setting is ranked, and has a best.
    assert re.search(r"\| 98\.\d\d ±0\.\d\d \|.*\*\*83\.\d\d ±0\.\d\d\*\*", best)
    assert any(line.startswith(r"| a\|b\_c&d |") for line in lines)


def test_what_is_filtered_away_is_not_copied(browser: Any) -> None:
    before = shown(browser)
    browser.find_element("id", "learner").send_keys("proto")
    assert 0 < shown(browser) < before
    assert len(copied(browser, "Copy Table 1 as Markdown").splitlines()) == 2 + shown(browser)


def test_a_table_as_latex(browser: Any) -> None:
    text = copied(browser, "Copy Table 1 as LaTeX")
    begin = re.match(r"\\begin\{tabular\}\{([lr]+)\}\n\\toprule\n", text)
    assert begin
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")
    rows = [line for line in text.splitlines() if line.endswith(r" \\") and "&" in line]
    for row in rows:
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert len(re.split(r"(?<!\\)&", row)) + spans == len(begin[1]), row
    assert r"a\textbar{}b\_c\&d" in text
    assert r"\textbf{83." in text
    assert r"\emph{model-based}" in text


def test_a_figure_is_a_file(browser: Any, tmp_path: Path) -> None:
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    browser.execute_script("document.querySelector('button[aria-label$=\"as SVG\"]').click()")
    for _ in range(100):
        if found := list(tmp_path.glob("*.svg")):
            break
        time.sleep(0.1)
    (file,) = found
    assert file.name == "all-settings-time-to-the-first-answer.svg"
    assert "<svg" in file.read_text(encoding="utf-8")
