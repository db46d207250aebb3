"""A meta-test on other data: which classes are new, what is planned, what runs, what is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import registry as plugins
from bench.errors import BenchError
from bench.planning.plan import choose_suites, make_plan
from bench.registry.contestants import contestants
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.store.records import CellResult
from bench.suites.schema import read_suite

MORE = {"ways": 5, "shots": 1, "queries": 3}


def with_setting(suite: Path, folder: Path, *lines: str, name: str = "elsewhere") -> Path:
    """The suite with one more setting."""
    path = folder / "transfer.toml"
    keys = "\n".join([f"{key} = {value}" for key, value in MORE.items()] + list(lines))
    path.write_text(f"{suite.read_text()}\n[settings.{name}]\n{keys}\n")
    return path


def write_classes(folder: Path, classes: int, images: int = 5, seed: int = 0) -> Path:
    """Grey images of noise, 16x16."""
    noise = np.random.default_rng(seed).integers(0, 256, (classes, images, 16, 16), dtype=np.uint8)
    for number, listed in enumerate(noise):
        (folder / f"class-{number}").mkdir(parents=True)
        for which, pixels in enumerate(listed):
            Image.fromarray(pixels).save(folder / f"class-{number}" / f"{which}.png")
    return folder


@pytest.fixture
def plan_of(tiny_plugins):
    def plan(path):
        chosen, who = choose_suites([str(path)]), contestants(["nearest-code"], plugins.learners())
        return make_plan(chosen, who, [0], "cpu", "smoke", "fp32", tiny_plugins, print)

    return plan


def test_the_training_is_shared_and_the_cell_is_another(plan_of, tiny_suite, tmp_path):
    write_classes(tmp_path / "other", 6)
    plan = plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "folder:other"'))
    here, five, there = plan.cells
    assert here.training.id == there.training.id
    assert len({cell.id for cell in (here, five, there)}) == 3
    assert here.tested is None
    assert there.tested is not None
    assert there.tested.dataset.startswith("folder:other (")
    assert there.tested.classes == tuple(range(6))
    described = there.described()
    assert (described["dataset"], described["test_split"]) == ("codes", "all")
    assert here.described()["test_dataset"] is None


def test_cells_on_their_own_data_keep_their_names(plan_of, tiny_suite, tmp_path):
    write_classes(tmp_path / "other", 6)
    before = [cell.id for cell in plan_of(tiny_suite).cells]
    after = plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "folder:other"')).cells
    assert [cell.id for cell in after[:2]] == before


def test_the_data_of_all_settings_can_be_said_once(plan_of, tiny_suite, tmp_path):
    write_classes(tmp_path / "other", 6)
    path = tmp_path / "all.toml"
    table = 'test = { episodes = 60, seed = 7, dataset = "folder:other" }'
    text = tiny_suite.read_text().replace("test = { episodes = 60, seed = 7 }", table)
    path.write_text(text.replace("[settings.5way5shot]\nways = 5\nshots = 5\nqueries = 3", ""))
    [cell] = plan_of(path).cells
    assert cell.tested is not None


def test_a_run_on_other_data_and_what_it_stores(tiny_plugins, tiny_suite, tmp_path):
    write_classes(tmp_path / "other", 6)
    path = with_setting(tiny_suite, tmp_path, 'dataset = "folder:other"')
    asked = Request(
        suites=[str(path)], learners=["nearest-code"], results=tmp_path / "results",
        devices=["cpu/1"], budget="smoke", executor="inline",
    )  # fmt: skip
    prepare(asked).run()
    [file] = (tmp_path / "results").glob("cells/tiny/elsewhere/*/result.json")
    result = CellResult.model_validate_json(file.read_bytes())
    assert (
        result.test_dataset == json.loads((file.parent / "cell.json").read_text())["test_dataset"]
    )
    assert result.dataset == "codes"
    # noise has no classes: chance is 20 %, and the training's own classes are far above it
    assert result.metrics["accuracy"].mean < 0.4
    [own] = (tmp_path / "results").glob("cells/tiny/5way1shot/*/result.json")
    assert CellResult.model_validate_json(own.read_bytes()).metrics["accuracy"].mean > 0.6
    assert len(list((tmp_path / "results").glob("trainings/*/result.json"))) == 2  # 1 and 5 shots


# -- classes that are known -----------------------------------------------------------------------


def test_classes_that_were_seen_are_refused_or_left_out(plan_of, tiny_suite, tmp_path):
    lines = ['dataset = "codes"', 'split = "all"']
    with pytest.raises(
        BenchError, match=r"45 of 60 classes of codes are known before the meta-test"
    ):
        plan_of(with_setting(tiny_suite, tmp_path, *lines))
    plan = plan_of(with_setting(tiny_suite, tmp_path, *lines, "leave_out_seen = true"))
    tested = plan.cells[-1].tested
    assert tested is not None
    assert tested.classes == tuple(range(45, 60))
    assert any("45 of 60 classes of codes that were seen" in note for note in plan.notes)


def test_a_class_under_another_name_in_another_dataset_is_found(
    plan_of, tiny_plugins, tiny_suite, tmp_path
):
    """Classes 3 (of meta-training) and 50 (of meta-test) of the codes, as files."""
    codes = plugins.datasets().get("codes").load(16, tiny_plugins, print)
    write_classes(tmp_path / "other", 6)
    for name, number in (("three", 3), ("fifty", 50)):
        (tmp_path / "other" / name).mkdir()
        for which in range(10):
            pixels = codes.images[codes.starts[number] + which, 0].numpy()
            Image.fromarray(pixels).save(tmp_path / "other" / name / f"{which}.png")
    path = with_setting(tiny_suite, tmp_path, 'dataset = "folder:other"')
    with pytest.raises(
        BenchError, match=r"1 of 8 classes .*: 'three' is 'code 3' of train; leave_"
    ):
        plan_of(path)


def test_images_that_were_seen_are_told_where_their_class_is_another(
    plan_of, tiny_plugins, tiny_suite, tmp_path
):
    """Four images of class 3 of the codes, in a class that has others too."""
    codes = plugins.datasets().get("codes").load(16, tiny_plugins, print)
    other = write_classes(tmp_path / "other", 6)
    for which in range(4):
        pixels = codes.images[codes.starts[3] + which, 0].numpy()
        Image.fromarray(pixels).save(other / "class-0" / f"seen-{which}.png")
    plan = plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "folder:other"'))
    assert any("4 images are known before the meta-test on folder:other" in n for n in plan.notes)


def test_a_class_that_other_data_has_twice_is_refused(plan_of, tiny_suite, tmp_path):
    other = write_classes(tmp_path / "other", 6)
    shutil.copytree(other / "class-0", other / "copy")
    with pytest.raises(BenchError, match="of test is the class 'copy' of test under another name"):
        plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "folder:other"'))


# -- mistakes -------------------------------------------------------------------------------------


def test_data_of_another_shape_is_refused(plan_of, tiny_suite, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for name in "ab":
        (tmp_path / "colour" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "colour" / name / "1.png")
    with pytest.raises(BenchError, match=r"has inputs of 3x16x16, and meta-training is on 1x16x16"):
        plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "folder:colour"'))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['split = "all"'], "settings.elsewhere: split and leave_out_seen go with a dataset"),
        (["leave_out_seen = true"], "split and leave_out_seen go with a dataset"),
        (
            ['dataset = "folder:other"', 'split = "folders"'],
            "settings.elsewhere.split: of one's own",
        ),
    ],
)
def test_mistakes_in_the_file(tiny_suite, tmp_path, lines, said):
    with pytest.raises(BenchError, match=said):
        read_suite(with_setting(tiny_suite, tmp_path, *lines))


def test_other_mistakes(plan_of, tiny_suite, tmp_path):
    with pytest.raises(BenchError, match=r"settings.elsewhere: no dataset is called 'codez'"):
        plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "codez"'))
    with pytest.raises(BenchError, match="copy"):
        plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "copy"'))
    with pytest.raises(BenchError, match="no split of codes is called 'halfs'"):
        plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "codes"', 'split = "halfs"'))
    write_classes(tmp_path / "few", 4)
    with pytest.raises(BenchError, match="an episode needs 5 classes, and only 4 are there"):
        plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "folder:few"'))


def test_a_protocol_that_does_not_transfer_says_so(tiny_probe, tmp_path):
    path = tmp_path / "probe.toml"
    lines = tiny_probe.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("[settings."))
    path.write_text("\n".join([*lines[: first + 1], 'dataset = "codes"', *lines[first + 1 :]]))
    with pytest.raises(BenchError, match="tests on the data that it trains on, and on no other"):
        read_suite(path)


def test_a_setting_whose_data_was_never_fetched_is_left_out_with_a_note(
    plan_of, tiny_suite, tmp_path
):
    plan = plan_of(with_setting(tiny_suite, tmp_path, 'dataset = "kmnist"'))
    assert [cell.setting for cell in plan.cells] == ["5way1shot", "5way5shot"]
    assert plan.notes == [
        "tiny is without elsewhere: kmnist is not here; `bench data fetch kmnist` gets it, or "
        "says what to do"
    ]
