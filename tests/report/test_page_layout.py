"""Every page as wide as a phone, a tablet, a laptop and a wide screen; what filters do there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import write_report
from tests.helpers.browser import chromium
from tests.helpers.synthetic import gallery, write_cell, write_probe

WIDTHS = [390, 768, 1280, 1920]
LONG = "ntm[hidden=100,width=20,read_heads=1,strength=1.0,lr=0.001,decay=False]"
ADAPTATION = {"prototypical": ("metric-based", 0.001), "maml": ("optimization-based", 0.1)}
"""Families, and seconds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    gallery(root)
    for learner in ("ntm", LONG):
        for items in (10, 20, 30, 50, 120):
            write_probe(root, learner, items=items)
        write_cell(root, learner, "model-based", suite="omniglot-5way", dataset="omniglot")
    for learner, (family, seconds) in ADAPTATION.items():
        for setting, other in (
            ("near", {}),
            ("far", {"test_dataset": "kmnist", "test_split": "all"}),
        ):
            write_cell(
                root, learner, family, suite="transfer", setting=setting, training=f"{learner}-0",
                dataset="omniglot", split="vinyals", timed={"cpu": seconds}, **other,
            )  # fmt: skip
    write_cell(root, "matching", suite="omniglot-5way", dataset="omniglot", split="vinyals")
    return write_report(root, formats=["html"])[0].parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from chromium()


def show(browser: Any, page: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(f => { f.open = true; })")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_window_and_no_text_than_its_cell(
    browser: Any, site: Path, width: int
) -> None:
    for page in sorted(site.glob("*.html")):
        show(browser, page, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        wide = browser.execute_script(
            "return [...document.querySelectorAll('th, td')]"
            ".filter(cell => cell.scrollWidth > cell.clientWidth + 1)"
            ".map(cell => cell.textContent.trim())"
        )
        assert wide == [], page.name
        cut = browser.execute_script(
            "return [...document.images].filter(image => image.clientWidth > "
            "image.closest('.scroll').clientWidth).map(image => image.alt)"
        )
        assert cut == [] or width > 700, page.name


@pytest.mark.parametrize("width", WIDTHS)
def test_sentences_in_tables_have_a_column_to_stand_in(
    browser: Any, site: Path, width: int
) -> None:
    """However narrow the window is: a table scrolls, and no word stands alone on a line."""
    show(browser, site / "suite-omniglot-5way.html", width)
    widths = browser.execute_script(
        "return [...document.querySelectorAll('td.long')].map(cell => cell.clientWidth)"
    )
    assert len(widths) > 3
    assert min(widths) >= 200


def test_what_goes_on_beyond_the_edge_fades_there(browser: Any, site: Path) -> None:
    show(browser, site / "index.html", 390)
    faded = (
        "const [scrolls, at, done] = arguments;"
        "const part = document.querySelector('.matrix').closest('.scroll');"
        "part.scrollLeft = at;"
        "requestAnimationFrame(() => setTimeout(() => done(part.classList.contains('more')), 50))"
    )
    assert browser.execute_async_script(faded, 0, 0)
    assert not browser.execute_async_script(faded, 0, 10_000)
    show(browser, site / "suite-transfer.html", 1920)
    assert not browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert browser.execute_script("return document.querySelectorAll('.scroll.more').length") == 0


def lost(browser: Any) -> list[str]:
    """Who is shown in the table of what is lost in transfer."""
    return browser.execute_script(
        "const table = [...document.querySelectorAll('figure.table')]"
        ".find(one => one.textContent.includes('What is lost'));"
        "return [...table.querySelectorAll('tr[data-learner]')].filter(row => row.offsetParent)"
        ".map(row => row.dataset.learner)"
    )


def test_filters_hold_for_what_is_lost_in_transfer_too(browser: Any, site: Path) -> None:
    show(browser, site / "suite-transfer.html", 1280)
    assert lost(browser) == ["prototypical", "maml"]
    browser.find_element("css selector", "#limit option[value='0.005']").click()
    assert lost(browser) == ["prototypical"], "maml answers first after 160 ms"
    browser.find_element("css selector", "#limit option[value='']").click()
    device = browser.find_element("id", "device")
    device.find_element("xpath", "option[.='cpu/1']").click()
    assert lost(browser) == []
    device.find_element("xpath", "option[.='cpu']").click()
    assert lost(browser) == ["prototypical", "maml"]
    assert browser.get_log("browser") == []
