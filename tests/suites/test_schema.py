"""Suite files: the built-in ones load, and every mistake is explained."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.suites import FOLDER
from bench.suites.schema import Budget, read_suite

FIXTURES = Path(__file__).parent.parent / "fixtures"
BUILT_IN = sorted(FOLDER.glob("*.toml"))


def toml(table: dict) -> str:
    """The few kinds of values that suites have, as TOML."""
    lines, tables = [], []

    def value(thing: object) -> str:
        if isinstance(thing, bool):
            return str(thing).lower()
        if isinstance(thing, dict):
            return "{" + ", ".join(f"{key} = {value(v)}" for key, v in thing.items()) + "}"
        return f'"{thing}"' if isinstance(thing, str) else str(thing)

    for key, thing in table.items():
        (tables if isinstance(thing, dict) else lines).append(f"{key} = {value(thing)}")
    return "\n".join(lines + tables)


@pytest.fixture
def read_changed(tmp_path):
    """Reads the tiny k-shot suite, or another, with one key changed, or removed (None)."""

    def read(key: str, value: object, base: str = "tiny_suite"):
        content = copy.deepcopy(tomllib.loads((FIXTURES / f"{base}.toml").read_text()))
        *tables, last = key.split(".")
        inner = content
        for table in tables:
            inner = inner.setdefault(table, {})
        if value is None:
            del inner[last]
        else:
            inner[last] = value
        path = tmp_path / "changed.toml"
        path.write_text(toml(content))
        return read_suite(path)

    return read


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.stem)
def test_the_built_in_suites_load(path):
    suite = read_suite(path)
    assert suite.name == path.stem
    assert suite.test.episodes >= (200 if suite.protocol == "sequence" else 1000)
    assert suite.budgets.smoke.examples < suite.budgets.standard.examples


def test_there_are_built_in_suites():
    assert {path.stem for path in BUILT_IN} >= {
        "glyphs-5way", "glyphs-online", "omniglot-5way", "omniglot-20way", "omniglot-online",
        "copy", "associative-recall",
    }  # fmt: skip


def test_the_suites_of_the_paper_are_as_stated():
    suite = read_suite(FOLDER / "omniglot-5way.toml")
    assert suite.split == "vinyals"
    assert suite.rotations.train
    assert suite.rotations.test
    assert [(s.ways, s.shots, s.queries) for s in suite.settings.values()] == [
        (5, 1, 15),
        (5, 5, 15),
    ]
    online = read_suite(FOLDER / "omniglot-online.toml")
    [setting] = online.settings.values()
    assert (setting.ways, setting.presentations) == (5, 10)
    copy_task = read_suite(FOLDER / "copy.toml")
    assert copy_task.training_items == (1, 20)
    assert [setting.items for setting in copy_task.settings.values()] == [10, 20, 30, 50, 120]
    recall = read_suite(FOLDER / "associative-recall.toml")
    assert recall.training_items == (2, 6)
    assert [s.items for s in recall.settings.values()] == [2, 3, 4, 5, 6, 8, 10, 15, 20]


MISTAKES = [
    # key, value, what is said
    ("colour", "red", "colour: unknown key"),
    ("rotatoins", True, "rotatoins: unknown key; did you mean 'rotations'"),
    ("rotations.trian", True, "rotations.trian: unknown key; did you mean 'train'"),
    ("test.episode", 10, "test.episode: unknown key; did you mean 'episodes'"),
    (
        "settings.5way1shot.shot",
        1,
        "settings.5way1shot.shot: unknown key; did you mean 'shots'",
    ),
    ("budgets.huge", {"updates": 1}, "budgets.huge: unknown key; known: smoke, standard"),
    (
        "budgets.smoke.pateince",
        1,
        "budgets.smoke.pateince: unknown key; did you mean 'patience'",
    ),
    ("dataset", None, "dataset: missing"),
    ("budgets.standard", None, "budgets.standard: missing"),
    ("settings.5way1shot.ways", None, "settings.5way1shot.ways: missing"),
    ("version", "one", "version: Input should be a valid integer"),
    ("version", 0, "version: Input should be greater than or equal to 1, got 0"),
    ("image_size", 4, "image_size: Input should be greater than or equal to 8, got 4"),
    ("settings", {}, "settings: Dictionary should have at least 1 item"),
    ("settings", 3, "settings: Input should be a valid dictionary, got 3"),
    ("settings.5way1shot.ways", 1, "settings.5way1shot.ways: Input should be greater"),
    ("settings.5way1shot.shots", 1.5, "settings.5way1shot.shots: Input should be a valid integer"),
    ("settings.5way1shot.shots", None, "settings.5way1shot.shots: missing"),
    (
        "settings.5way1shot.presentations",
        3,
        "settings.5way1shot.presentations: the kshot protocol has none",
    ),
    ("settings.5way1shot.items", 3, "settings.5way1shot.items: the kshot protocol has none"),
    ("image_size", None, "image_size: missing"),
    ("split", None, "split: missing"),
    ("training_items", [1, 2], "training_items: the kshot protocol has none"),
    (
        "protocol",
        "offline",
        "protocol: no protocol is called 'offline'; did you mean 'online'?",
    ),
    ("test.seed", -1, "test.seed: Input should be greater than or equal to 0, got -1"),
    ("name", "Tiny Suite", "name: String should match pattern"),
    ("budgets.smoke.minutes", 1, "budgets.smoke: a budget has exactly one of"),
    ("budgets.smoke.examples", None, "budgets.smoke: a budget has exactly one of"),
]


@pytest.mark.parametrize(
    ("key", "value", "said"), MISTAKES, ids=[f"{key}={value}" for key, value, _ in MISTAKES]
)
def test_a_mistake_is_one_line_that_names_its_key(read_changed, key, value, said):
    with pytest.raises(BenchError) as caught:
        read_changed(key, value)
    first, *mistakes = str(caught.value).splitlines()
    assert first.endswith("changed.toml is not a valid suite:")
    assert len(mistakes) == 1
    assert mistakes[0].strip().startswith(said)
    assert len(mistakes[0]) < 170  # no whole table is quoted


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((name, "a name is of letters") for name in
          ("..", ".", "../evil", ".hidden", "a/b", "a\\\\b", "5way.", "-5way", "a b", "é", "a:b")),
        ("CON", "Windows keeps this name"),
        ("nul.txt", "Windows keeps this name"),
        ("x" * 300, "a name has 100 characters at most, and this one 300"),
    ],
)  # fmt: skip
def test_the_name_of_a_setting_is_a_file_name(read_changed, name, said):
    with pytest.raises(BenchError, match=rf"settings\.[^:]*(:b)?: {said}"):
        read_changed("settings", {f'"{name}"': {"ways": 5, "shots": 1}})


@pytest.mark.parametrize("name", ["con", "a.", "x" * 101])
def test_the_name_of_a_suite_is_a_file_name(read_changed, name):
    with pytest.raises(BenchError, match=r"\n  name: "):
        read_changed("name", name)


@pytest.mark.parametrize(
    ("key", "base"),
    [
        ("version", "tiny_suite"),
        ("test.episodes", "tiny_suite"),
        ("budgets.smoke.patience", "tiny_suite"),
        ("settings.5way1shot.ways", "tiny_suite"),
        ("settings.5way1shot.queries", "tiny_suite"),
        ("settings.length2.items", "tiny_probe"),
    ],
)
def test_a_number_that_no_result_can_hold_is_told(read_changed, key, base):
    for number in (2**63, 10**400):
        with pytest.raises(BenchError, match=rf"\n  {key}: .*the number is too large"):
            read_changed(key, number, base)
    with pytest.raises(BenchError, match=rf"\n  {key}: .*a finite number is wanted, got inf"):
        read_changed(key, float("inf"), base)


def test_an_online_setting_has_no_shots(read_changed):
    with pytest.raises(BenchError, match=r"3way4times\.shots: the online protocol has none"):
        read_changed("settings.3way4times.shots", 1, base="tiny_online")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("training_items", None, "training_items: missing"),
        ("training_items", [3, 1], "training_items: the fewest and the most items, got [3, 1]"),
        ("training_items", [0, 1], "training_items: the fewest and the most items, got [0, 1]"),
        ("training_items", 3, "training_items: Input should be a valid tuple, got 3"),
        ("image_size", 28, "image_size: the sequence protocol has none"),
        ("split", "halves", "split: the sequence protocol has none"),
        ("rotations", {"test": True}, "rotations: the sequence protocol has none"),
        ("settings.length2.items", None, "settings.length2.items: missing"),
        ("settings.length2.ways", 5, "settings.length2.ways: the sequence protocol has none"),
        ("settings.length2.items", 0, "settings.length2.items: Input should be greater than or eq"),
    ],
)
def test_what_a_memory_probe_has_and_has_not(read_changed, key, value, said):
    with pytest.raises(BenchError) as caught:
        read_changed(key, value, base="tiny_probe")
    [mistake] = str(caught.value).splitlines()[1:]
    assert mistake.strip().startswith(said)


def test_several_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text("")
    with pytest.raises(BenchError) as caught:
        read_suite(path)
    told = str(caught.value)
    for key in ("name", "dataset", "settings", "budgets"):
        assert f"  {key}: missing (the file is empty)" in told


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BenchError, match=r"cannot read the suite file .*nowhere\.toml: No such"):
        read_suite(tmp_path / "nowhere.toml")
    for path in (tmp_path, tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(BenchError, match="cannot read the suite file"):
            read_suite(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (FIXTURES / "tiny_suite.toml").read_bytes())
    assert read_suite(path).name == "tiny"


def test_a_budget_has_one_limit():
    with pytest.raises(ValueError, match="exactly one"):
        Budget()
    with pytest.raises(ValueError, match="exactly one"):
        Budget(examples=1, updates=1)
