"""The report of several suites: an index, a page for each suite, and what they share."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli.report import report as report_command
from bench.report import write_report
from tests.helpers.synthetic import gallery, write_cell, write_probe


class Links(HTMLParser):
    """What a page leads to, and its anchors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.anchors.append(value or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    gallery(root)
    for items in (10, 20):
        write_probe(root, "ntm", items=items, wrong=0.1)
        write_probe(root, "lstm", items=items)
    return write_report(root, formats=["html"])[0].parent


def test_an_index_a_page_for_each_suite_and_one_that_leads_there(site: Path) -> None:
    assert sorted(path.name for path in site.glob("*.html") if "learner" not in path.name) == [
        "index.html", "suite-copy.html", "suite-omniglot-5way.html", "suite-omniglot-online.html",
    ]  # fmt: skip
    leads = (site.parent / "report.html").read_text(encoding="utf-8")
    assert 'href="report/index.html"' in leads
    assert "47" not in leads.partition("<!--")[0]  # no figure of a result


def test_every_link_leads_somewhere_and_every_anchor_is_one(site: Path) -> None:
    pages = {path.name: Links(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}
    for name, page in pages.items():
        assert len(page.links) > 5
        assert len(page.anchors) == len(set(page.anchors)), name
        for link in page.links:
            file, _, anchor = link.partition("#")
            assert (site / (file or name)).is_file(), (name, link)
            if anchor:
                assert anchor in pages[file or name].anchors, (name, link)


def test_pages_share_style_script_and_figures_and_load_nothing_else(site: Path) -> None:
    used = set()
    for path in site.glob("*.html"):
        html = unescape(path.read_text(encoding="utf-8"))
        assert "data:" not in html
        assert "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'" in html
        assert "<style" not in html
        assert " style=" not in html
        used |= set(re.findall(r'src="assets/figures/([^"]+)"', html))
    assert used == {path.name for path in (site / "assets" / "figures").iterdir()}


def test_a_board_lies_on_the_page_of_its_suite_only(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    suite = (site / "suite-omniglot-5way.html").read_text(encoding="utf-8")
    assert "What is missing" in index
    assert "Accuracy and meta-training" not in index
    assert suite.count("Accuracy and meta-training") == 2
    assert "RuntimeError: shapes" in index
    assert "RuntimeError: shapes" not in suite


def test_a_memory_probe_has_one_figure_and_one_table_before_its_folds(site: Path) -> None:
    html = (site / "suite-copy.html").read_text(encoding="utf-8")
    before = html.partition("<details")[0]
    assert before.count("<img") == 1
    assert before.count("<table") == 1
    assert "length10" in before
    assert "length20" in before


def test_what_an_older_report_left_is_removed(tmp_path: Path) -> None:
    for suite in ("one", "two", "three"):
        write_cell(tmp_path, suite=suite)
    write_report(tmp_path, formats=["html"])
    write_report(tmp_path, suites=["one", "two"], formats=["html"])
    left = {path.name for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert {"suite-one.html", "suite-two.html"} < left
    assert not any("three" in name for name in left)


def test_names_that_a_file_cannot_tell_apart(tmp_path: Path) -> None:
    for suite in ("a b", "a-b"):
        write_cell(tmp_path, suite=suite)
    pages = write_report(tmp_path, formats=["html"])
    assert {"suite-a-b.html", "suite-a-b-2.html"} <= {path.name for path in pages}


def test_one_suite_and_single_are_one_page(tmp_path: Path) -> None:
    write_cell(tmp_path / "results")
    (page,) = write_report(tmp_path / "results", tmp_path / "one", formats=["html"])
    assert page == tmp_path / "one" / "report.html"
    write_cell(tmp_path / "results", suite="another")
    arguments = ["--results", str(tmp_path / "results"), "--format", "html"]
    single = CliRunner().invoke(report_command, [*arguments, "--single"])
    assert single.output == f"report: {tmp_path / 'results' / 'report.html'}\n"
    assert not (tmp_path / "results" / "report").exists()
    several = CliRunner().invoke(report_command, arguments)
    assert several.output == f"report: {tmp_path / 'results' / 'report' / 'index.html'}\n"
