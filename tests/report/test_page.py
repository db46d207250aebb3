"""The report: one page, nothing loaded, nothing from plugins trusted."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.cli.report import report as report_command
from bench.errors import BenchError
from bench.report import write_report
from bench.report.figures import Palette, suite_pictures
from bench.report.summary import commands, ranges
from bench.results.boards import boards
from bench.results.reading import read_results
from bench.results.table import load_results
from bench.running.request import Request
from tests.helpers.scored_boards import write_scores
from tests.helpers.synthetic import (
    a_failure,
    environment,
    gallery,
    store,
    write_cell,
    write_probe,
    write_training,
)

EVIL = "<script>alert(1)</script>"


def page_of(folder: Path, *rest: Path, **options: Any) -> Path:
    options = {"single": True} | options
    return write_report(folder, *rest, formats=["html"], **options)[0]


class Page(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def figures(self) -> list[str]:
        """The SVG files."""
        uris = [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]
        return [base64.b64decode(uri.partition(",")[2]).decode() for uri in uris]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gallery")
    gallery(root)
    return root


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(page_of(folder).read_text(encoding="utf-8"))


def test_the_page_loads_nothing_and_runs_its_own_script_only(page: Page, folder: Path) -> None:
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    (script,) = [attributes for tag, attributes in page.tags if tag == "script"]
    assert script == {}
    html = (folder / "report.html").read_text(encoding="utf-8")
    code = html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                begins = "#" if tag == "a" else "data:image/svg+xml"
                assert tag in ("a", "img")
                assert (value or "").startswith(begins)
    assert "default-src 'none'" in str(page.tags)


def test_the_page_shows_every_learner_and_what_is_missing(page: Page, folder: Path) -> None:
    for learner in set(load_results(folder).learner):
        assert learner in page.text
    assert "2 of 3" in page.text
    assert "47 of 49 cells are done, 1 failed, 1 unfinished" in page.text
    assert "RuntimeError: shapes (5, 64)" in page.text
    assert 'File "maml.py", line 71' in page.text
    assert "validation stays at chance" in page.text
    assert "Xeon 8481C" in page.text


def test_figures_are_svg_with_alt_text_in_light_and_dark(page: Page) -> None:
    assert len(page.figures()) >= 4  # two settings, and two for the online one
    for svg in page.figures():
        ET.fromstring(svg)
        assert "prefers-color-scheme:dark" in svg
        assert "<metadata>" not in svg
    alts = [attributes["alt"] or "" for tag, attributes in page.tags if tag == "img"]
    assert sum("prototypical 9" in alt or "prototypical 8" in alt for alt in alts) >= 3


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("probes")
    for items, wrong in ((10, 0.0), (20, 0.1), (50, 9.0)):
        write_probe(root, "ntm", items=items, wrong=wrong, heads=("write", "read"))
        write_probe(root, "lstm", items=items, wrong=3.0 * items)
    return root


def test_equal_bests_of_a_family_are_all_named(tmp_path: Path) -> None:
    for learner, score in (("a", 1.0), ("b", 1.0), ("c", 0.8)):
        write_scores(tmp_path, learner, [score, score])
    write_scores(tmp_path, "d", [0.6, 0.6], family="model-based")
    text = page_of(tmp_path).read_text(encoding="utf-8").replace("<wbr>", "")
    assert '<td class="text">a, b</td><td>100.00</td>' in text


def test_probes_have_errors_by_length_and_pictures_of_the_heads(probes: Path) -> None:
    read = Page(page_of(probes).read_text(encoding="utf-8"))
    alts = [attributes["alt"] or "" for tag, attributes in read.tags if tag == "img"]
    assert [alt.partition(".")[0].partition(":")[0] for alt in alts] == [
        "Wrong bits by items",
        *["Wrong bits by learner", "ntm, seed 0"] * 3,
    ]
    assert "length50: ntm 8." in alts[0]
    assert "of 22 steps, its answer, and the heads write, read" in alts[2]
    assert "Memory probe copy, 50 items a sequence; meta-trained on 1-20 items" in read.text
    assert "400 bits are asked for, and chance is 200 wrong ones" in read.text
    best = r"copy, length20, .*ntm 0\.\d+ ± 0\.\d+ wrong bits is the lowest, then lstm"
    assert re.search(best, read.text)
    assert "ways" not in re.sub("always", "", read.text)
    for svg in read.figures():
        ET.fromstring(svg)


def test_a_single_length_has_no_figure_by_length(tmp_path: Path) -> None:
    write_probe(tmp_path, items=10)
    assert suite_pictures(boards(read_results(tmp_path).rows), Palette(["model-based"])) == []
    (alt,) = [
        attributes["alt"]
        for tag, attributes in Page(page_of(tmp_path).read_text()).tags
        if tag == "img"
    ]
    assert (alt or "").startswith("Wrong bits by learner")


def test_damaged_weightings_are_named_and_the_page_is_made(tmp_path: Path) -> None:
    (write_probe(tmp_path, heads=("read",)) / "weightings.npz").write_bytes(b"PK")
    text = Page(page_of(tmp_path).read_text()).text
    assert "weightings.npz is damaged" in text
    assert "1 file could not be used" in text


def test_names_and_tracebacks_of_plugins_are_text(tmp_path: Path) -> None:
    evil = write_cell(
        tmp_path, EVIL, EVIL, setting="5way1shot", by_presentation=[0.3, 0.8],
        warnings=[EVIL], environment=environment(device_name=EVIL),
    )  # fmt: skip
    store(evil / "timings" / "cpu.failure.json", a_failure(reason=EVIL, traceback=EVIL))
    write_cell(tmp_path, "$x^$", EVIL, status="failed", failure={"traceback": EVIL})
    write_cell(tmp_path, "$\\frac$", EVIL, by_presentation=[0.3, 0.8])
    (tmp_path / "cells" / "<b>.txt").touch()
    html = page_of(tmp_path).read_text(encoding="utf-8")
    read = Page(html)
    assert EVIL not in html
    assert "b.txt" not in {tag for tag, _ in read.tags}
    assert [tag for tag, _ in read.tags].count("script") == 1  # ours
    assert read.text.count(EVIL) > 6
    for svg in read.figures():
        assert "<script" not in svg


def test_damaged_files_are_named(tmp_path: Path) -> None:
    write_cell(tmp_path)
    damaged = write_cell(tmp_path, "mann", "model-based") / "result.json"
    damaged.write_text('{"accu')
    text = Page(page_of(tmp_path).read_text()).text
    assert str(damaged) in text
    assert "1 file could not be used" in text


def test_a_folder_with_nothing_but_damage_still_makes_a_page(tmp_path: Path) -> None:
    (write_cell(tmp_path, status="unfinished") / "cell.json").write_text("{")
    assert "cell.json" in Page(page_of(tmp_path).read_text()).text


def test_one_seed_is_said_to_speak_of_these_weights(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", accuracy=0.95)
    write_cell(tmp_path, "b", accuracy=0.85)
    text = Page(page_of(tmp_path).read_text()).text
    assert "speak of these trained weights" in text
    assert "a 95." in text or "a 94." in text
    assert "Of these trained weights, a is ahead of b" in text
    assert re.search(r"3 seeds: a true difference of \d\.\d\d points, .* found in 80 %", text)


def test_ranks_name_whom_they_leave_out(tmp_path: Path) -> None:
    for dataset in ("one", "two"):
        for learner in ("a", "b", "c"):
            failed = "failed" if (learner, dataset) == ("c", "two") else "done"
            write_cell(tmp_path, learner, suite=dataset, dataset=dataset, status=failed)
    html = write_report(tmp_path, formats=["html"], single=True)[0].read_text()
    assert "by mean rank over 2 datasets" in html
    assert ". Left out, not complete everywhere: c. Nothing is claimed of ranks" in html


def test_failed_training_shows_the_trainings_traceback(tmp_path: Path) -> None:
    write_cell(
        tmp_path, status="failed", training="prototypical-0123",
        failure={"kind": "training", "reason": "its training failed", "traceback": None},
    )  # fmt: skip
    training = tmp_path / "trainings" / "prototypical-0123"
    store(training / "failure.json", a_failure(traceback="ZeroDivisionError: in loss"))
    assert "ZeroDivisionError: in loss" in Page(page_of(tmp_path).read_text()).text


def test_other_code_and_transductive_rows_are_marked(tmp_path: Path) -> None:
    write_cell(tmp_path, "old", source="1")
    write_cell(tmp_path, "peeks", transductive=True)
    text = Page(page_of(tmp_path, sources={"old": "2"}).read_text()).text
    assert "old†" in text
    assert "peeks‡" in text
    assert "† measured with other code" in text


def test_filters_and_the_out_folder(tmp_path: Path) -> None:
    for suite in ("glyphs-5way", "omniglot-5way"):
        for learner in ("maml", "mann"):
            write_cell(tmp_path / "results", learner, suite=suite)
    out = CliRunner().invoke(
        report_command,
        ["--results", str(tmp_path / "results"), "--out", str(tmp_path / "new" / "folder"),
         "--suite", "glyphs*", "--learner", "maml"],
    )  # fmt: skip
    assert out.exit_code == 0, out.output
    text = Page((tmp_path / "new" / "folder" / "report.html").read_text()).text
    assert "maml" in text
    assert not re.search("mann|omniglot", text)


def test_an_unwritable_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    write_cell(tmp_path)
    (tmp_path / "taken").touch()
    with pytest.raises(BenchError, match="name another folder with --out"):
        page_of(tmp_path, tmp_path / "taken")


def test_commands_make_the_same_cells_again(tmp_path: Path) -> None:
    for suite in ("glyphs-5way", "omniglot-5way"):
        for seed in (0, 1, 2):
            write_cell(
                tmp_path, "maml[a=1,b=2]", suite=suite, seed=seed, timed={"cpu/1": 1, "cpu": 1}
            )
        write_cell(tmp_path, "pixels", suite=suite, budget="none")
    write_cell(tmp_path, "mann", suite="glyphs-5way", seed=7, budget="smoke")
    main, smoke = sorted(commands(read_results(tmp_path).rows, "my results"), key=len)[::-1]
    assert shlex.split(main) == [
        "bench", "run", "--suite", "glyphs-5way", "--suite", "omniglot-5way",
        "--learner", "maml[a=1,b=2]", "--learner", "pixels", "--device", "cpu", "--device", "cpu/1",
        "--seeds", "0-2", "--budget", "standard", "--precision", "fp32", "--results", "my results",
    ]  # fmt: skip
    assert "--learner mann --learner pixels --device cpu --seeds 7 --budget smoke" in smoke
    assert ranges((0, 1, 2, 7, 9, 10)) == "0-2,7,9-10"


def write_trained(root: Path, place: str, threads: int, seed: int = 0, **changes: Any) -> None:
    """Trained and tested at a place: a cell stores the kind of device and where it was tested."""
    kind = place.partition(":")[0].partition("/")[0]
    cell = write_cell(
        root, "maml", seed=seed, device=kind, training=f"maml-{seed}",
        environment=environment(place, threads=threads), **changes,
    )  # fmt: skip
    write_training(root, cell, threads=threads)


def devices_of(line: str) -> str:
    """What a command says between its learners and its seeds."""
    return line.partition("--learner maml ")[2].partition(" --seeds")[0]


@pytest.mark.parametrize(("place", "threads", "timed", "said"), [
    ("cpu/1", 1, {"cpu/1": 1}, "--device cpu/1"),
    ("cpu/1", 1, {"cpu": 1, "cpu/1": 1}, "--device cpu/1 --device cpu"),
    ("cpu", 1, {"cpu": 1, "cpu/1": 1}, "--device cpu --device cpu/1 --threads 1"),
    ("cpu/1", 2, {"cpu/1": 1}, "--device cpu --device cpu/1 --threads 2"),  # begun with two
    ("cuda:1", 4, {"cuda:1": 1}, "--device cuda:1 --threads 4"),
])  # fmt: skip
def test_commands_train_at_the_same_place_with_as_many_threads(
    tmp_path: Path, place: str, threads: int, timed: dict[str, float], said: str
) -> None:
    write_trained(tmp_path, place, threads, timed=timed)
    (line,) = commands(read_results(tmp_path).rows, "results")
    assert devices_of(line) == said
    words = shlex.split(line)
    named = [value for word, value in pairwise(words) if word == "--device"]
    asked = [int(value) for word, value in pairwise(words) if word == "--threads"]
    Request(suites=["glyphs-5way"], devices=named, threads=asked[0] if asked else None)  # accepted


def test_what_was_trained_on_two_gpus_takes_two_commands(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_trained(tmp_path, f"cuda:{seed}", 2, seed, timed={f"cuda:{seed}": 1})
    lines = commands(read_results(tmp_path).rows, "results")
    assert sorted(map(devices_of, lines)) == [
        "--device cuda:0 --threads 2", "--device cuda:1 --threads 2",
    ]  # fmt: skip
    assert ["--seeds 0 " in line for line in lines] == ["cuda:0" in line for line in lines]


def test_what_is_not_tested_yet_goes_where_the_others_were(tmp_path: Path) -> None:
    write_trained(tmp_path, "cuda:1", 2)
    write_cell(tmp_path, "maml", device="cuda", seed=1, status="unfinished")
    write_cell(tmp_path, "pixels", device="cuda", budget="none", status="failed")
    (line,) = commands(read_results(tmp_path).rows, "results")
    assert "--learner maml --learner pixels --device cuda:1 --threads 2 --seeds 0-1 " in line


def test_a_suite_that_is_not_installed_is_asked_for_by_its_file(tmp_path: Path) -> None:
    write_cell(tmp_path, "maml", suite="mine", suite_file="my suites/mine.toml")
    write_cell(tmp_path, "maml", suite="mine", setting="older")  # of a version without the key
    write_cell(tmp_path, 'maml[word="a,b c"]', suite="mine")
    (line,) = commands(read_results(tmp_path).rows, "results")
    assert shlex.split(line)[:8] == [
        "bench", "run", "--suite", "my suites/mine.toml", "--learner", "maml",
        "--learner", 'maml[word="a,b c"]',
    ]  # fmt: skip


def test_commands_without_anything_to_train(tmp_path: Path) -> None:
    write_cell(tmp_path, "pixels", budget="none")
    (line,) = commands(read_results(tmp_path).rows, "results")
    assert "--learner pixels" in line
    assert "--budget" not in line
    write_cell(tmp_path / "smoke", "pixels", budget="none", episodes=100)  # smoke alone asks for it
    (line,) = commands(read_results(tmp_path / "smoke").rows, "results")
    assert "--budget smoke" in line


def test_a_family_has_one_colour_in_every_report(tmp_path: Path) -> None:
    colour = Palette(["model-based", "metric-based"]).light("metric-based")
    for others in ([], ["model-based"], ["another"]):
        root = tmp_path / "-".join(["results", *others])
        for family in ["metric-based", *others]:
            write_cell(root, f"of-{family}", family)
        figure, *_ = Page(page_of(root).read_text()).figures()
        assert colour in figure


def test_results_of_several_machines_lie_in_one_folder(tmp_path: Path) -> None:
    """Folders are named by what was asked for, so that copying one into another mixes nothing."""
    for machine, seed in (("Xeon 8481C", 0), ("EPYC 9654", 1)):
        where = environment(device_name=machine)
        write_cell(tmp_path / machine, seed=seed, accuracy=0.9, environment=where)
    both = tmp_path / "both"
    for machine in ("Xeon 8481C", "EPYC 9654"):
        shutil.copytree(tmp_path / machine, both, dirs_exist_ok=True)
    text = Page(page_of(both).read_text(encoding="utf-8")).text
    assert "2 of 2 cells are done: 1 learner" in text
    assert "Xeon 8481C" in text
    assert "EPYC 9654" in text
    assert sorted(load_results(both).seed) == [0, 1]


def test_results_of_an_older_schema_make_a_report(tmp_path: Path) -> None:
    """With nothing in them but what has been stored from the beginning."""
    write_cell(tmp_path, "a", accuracy=0.9, timed={"cpu": 0.01})
    write_cell(tmp_path, "b", by_presentation=[0.3, 0.8])
    write_probe(tmp_path, items=10)
    first = ["suite", "setting", "learner", "family", "seed", "device", "precision", "budget"]
    for file in tmp_path.glob("cells/*/*/*/result.json"):
        stored = json.loads(file.read_text(encoding="utf-8"))
        old = {key: stored[key] for key in (*first, "metrics", "protocol")}
        file.write_text(json.dumps(old | {"schema_version": 0}), encoding="utf-8")
    text = Page(page_of(tmp_path).read_text(encoding="utf-8")).text
    assert "3 of 3 cells are done" in text
    assert "could not be used" not in text
