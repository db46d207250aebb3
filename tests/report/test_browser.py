"""The page in a real browser: headless Chromium, Debian's `chromium` and `chromium-driver`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.report import write_report
from tests.helpers.browser import chromium
from tests.helpers.synthetic import gallery, write_cell

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    gallery(folder)
    write_cell(
        folder, HOSTILE, HOSTILE, suite="omniglot-5way", setting="5way1shot", accuracy=0.5,
        device="cuda", timed={"cuda": 0.001}, warnings=[HOSTILE],
    )  # fmt: skip
    write_cell(
        folder, "breaks", HOSTILE, suite="omniglot-5way", status="failed",
        failure={"reason": HOSTILE, "traceback": f"Error: {HOSTILE}"},
    )  # fmt: skip
    return write_report(folder, formats=["html"], single=True)[0]


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Any]:
    for driver in chromium():
        driver.get(page.as_uri())
        yield driver


@pytest.fixture(autouse=True)
def unfiltered(browser: Any) -> None:
    browser.execute_script("document.querySelector('#filter').reset()")


def learners(browser: Any, table: int = 0) -> list[str]:
    """Names in a table, from top to bottom, as far as they are shown."""
    return browser.execute_script(
        "return [...document.querySelectorAll('table.board:not(.matrix)')[arguments[0]]"
        ".querySelectorAll('tr[data-learner]')].filter(row => row.offsetParent)"
        ".map(row => row.dataset.learner)",
        table,
    )


def values(browser: Any, column: int) -> list[float | None]:
    """A column of the first table, from top to bottom."""
    texts = browser.execute_script(
        "return [...document.querySelector('table.board:not(.matrix)')"
        ".querySelectorAll('tr[data-learner]')].map(row => row.cells[arguments[0]].dataset.value)",
        column,
    )
    return [float(text) if text else None for text in texts]


def click(browser: Any, column: int) -> None:
    browser.execute_script(
        "document.querySelectorAll('table.board:not(.matrix) thead tr:last-child')[0]"
        ".cells[arguments[0]].querySelector('button').click()",
        column,
    )


def test_the_console_is_silent_and_the_network_too(browser: Any, page: Path) -> None:
    requests = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert requests[0] == page.as_uri()
    assert {url[:5] for url in requests[1:]} <= {"data:"}
    assert browser.get_log("browser") == []


def test_every_figure_is_drawn(browser: Any) -> None:
    sizes = browser.execute_async_script(
        "const done = arguments[0];"
        "document.querySelectorAll('details').forEach(fold => { fold.open = true; });"
        "document.querySelectorAll('[name=cost]').forEach(cost => { cost.checked = true; });"
        "for (const image of document.images) image.loading = 'eager';"
        "Promise.all([...document.images].map(image => image.decode())).then(() =>"
        " done([...document.images].map(i => [i.naturalWidth, i.closest('.cost') || i.clientHeight"
        " > 50])))"
    )
    assert len(sizes) > 3
    assert all(width > 300 and tall for width, tall in sizes)


def test_hostile_names_are_text(browser: Any) -> None:
    assert HOSTILE in learners(browser)
    assert HOSTILE in browser.find_element("tag name", "main").text
    scripts = browser.execute_script("return document.scripts.length")
    assert scripts == 1
    exceptions = pytest.importorskip("selenium.common.exceptions")
    with pytest.raises(exceptions.NoAlertPresentException):
        _ = browser.switch_to.alert.text


def test_the_policy_stops_a_script_that_is_not_ours(browser: Any) -> None:
    """Even text that came through unescaped would not run."""
    browser.execute_script(
        "const planted = document.createElement('script');"
        "planted.textContent = 'window.planted = true'; document.body.append(planted);"
        "planted.remove()"
    )
    assert browser.execute_script("return window.planted") is None
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]


def test_a_click_sorts_all_families_and_the_third_groups_them_again(browser: Any) -> None:
    grouped = learners(browser)
    click(browser, 1)
    falling = values(browser, 1)
    known = [value for value in falling if value is not None]
    assert known == sorted(known, reverse=True)
    assert falling[: len(known)] == known  # what has no score stands last
    assert learners(browser) != grouped
    assert sorted(learners(browser)) == sorted(grouped)
    click(browser, 1)
    rising = [value for value in values(browser, 1) if value is not None]
    assert rising == sorted(known)
    click(browser, 1)
    assert learners(browser) == grouped
    click(browser, 0)
    assert learners(browser) == sorted(grouped, key=str.lower)
    click(browser, 0)
    click(browser, 0)


def test_numbers_are_sorted_as_numbers(browser: Any) -> None:
    heads = [
        head.text
        for head in browser.find_elements(
            "css selector", "table.board:not(.matrix) thead tr:last-child th"
        )
    ]
    column = heads.index("parameters")
    click(browser, column)
    known = [value for value in values(browser, column) if value is not None]
    assert known == sorted(known, reverse=True)
    click(browser, column)
    click(browser, column)


def test_filters_by_learner_family_and_device(browser: Any) -> None:
    everyone = learners(browser)
    box = browser.find_element("id", "learner")
    box.send_keys("MAML")
    assert learners(browser) == [name for name in everyone if "maml" in name]
    assert browser.find_element("id", "shown").text.endswith("learners")
    box.clear()
    box.send_keys(" ")  # clear() alone fires no event
    assert learners(browser) == everyone
    metric = browser.find_element("css selector", "#families-shown input[value='metric-based']")
    metric.click()
    assert "prototypical" not in learners(browser)
    assert "mann" in learners(browser)
    metric.click()
    device = browser.find_element("id", "device")
    device.find_element("xpath", "option[.='cuda']").click()
    assert learners(browser) == [HOSTILE]
    device.find_element("xpath", "option[.='all']").click()
    assert learners(browser) == everyone


def test_headings_follow_what_was_filtered_while_sorted(browser: Any) -> None:
    """A family whose learners are hidden has no heading, whenever they were hidden."""
    click(browser, 1)
    metric = browser.find_element("css selector", "#families-shown input[value='metric-based']")
    metric.click()
    click(browser, 1)
    click(browser, 1)  # grouped again
    shown = browser.execute_script(
        "return [...document.querySelector('table.board:not(.matrix)')"
        ".querySelectorAll('tr.family')]"
        ".filter(row => row.offsetParent).map(row => row.textContent.trim())"
    )
    assert "model-based" in shown
    assert "metric-based" not in shown


def test_the_keyboard_reaches_all_that_can_be_used(browser: Any, page: Path) -> None:
    """Tab comes to each link, field, button, fold and part that scrolls; Enter and Space work."""
    keys = pytest.importorskip("selenium.webdriver").Keys
    browser.get(page.as_uri())
    wanted = browser.execute_script(
        "window.wanted = [...document.querySelectorAll('a[href], button, input, select, summary,"
        " [tabindex]')].filter(one => one.checkVisibility() && one.tabIndex >= 0"
        " && !(one.type === 'radio' && !one.checked)); window.reached = new Set();"
        "addEventListener('focusin', event => window.reached.add(event.target));"
        "return window.wanted.length"
    )
    assert wanted > 30
    for _ in range(wanted):
        browser.switch_to.active_element.send_keys(keys.TAB)
    missed = browser.execute_script(
        "return window.wanted.filter(one => !window.reached.has(one)).map(one => one.outerHTML)"
    )
    assert missed == []
    grouped = learners(browser)
    head = "table.board:not(.matrix) thead button"
    browser.find_element("css selector", head).send_keys(keys.ENTER)
    assert learners(browser) == sorted(grouped, key=str.lower)
    fold = browser.find_element("css selector", "details:not([open]) summary")
    fold.send_keys(keys.SPACE)
    assert fold.find_element("xpath", "..").get_attribute("open")
    browser.get(page.as_uri())


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_page_is_as_wide_as_the_window(browser: Any, width: int) -> None:
    """Wide tables and figures scroll in themselves: on a phone nothing else moves."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_light_and_dark_pages_have_ink_of_their_own(browser: Any) -> None:
    colours = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        colours.append(
            browser.execute_script(
                "const style = getComputedStyle(document.body);"
                "return [style.color, style.backgroundColor]"
            )
        )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    (ink, paper), (dark_ink, dark_paper) = colours
    assert len({ink, paper, dark_ink, dark_paper}) == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_bars_readers(browser: Any, scheme: str) -> None:
    """axe-core of the npm registry, which CI installs: names, roles, headings, contrast."""
    axe = Path(os.environ.get("AXE_CORE", "")) / "axe.min.js"
    if not axe.is_file():
        pytest.skip("needs $AXE_CORE, the folder of the npm package axe-core")
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.set_script_timeout(120)
    try:
        browser.execute_script(
            "document.querySelectorAll('details').forEach(fold => { fold.open = true; })"
        )
        # as a debugger does: the page's policy lets no script be added
        expression = {"expression": axe.read_text(encoding="utf-8")}
        browser.execute_cdp_cmd("Runtime.evaluate", expression)
        found = browser.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {resultTypes: ['violations']}).then(found => done("
            "found.violations.filter(one => ['serious', 'critical'].includes(one.impact))"
            ".map(one => [one.id, one.nodes.slice(0, 3).map(node => node.html)])))"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found == []
