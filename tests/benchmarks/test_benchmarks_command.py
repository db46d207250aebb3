"""``python -m benchmarks`` from end to end, at sizes that take seconds."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks import __main__
from benchmarks.__main__ import main
from benchmarks.part import Asked, Part, number
from benchmarks.parts import PARTS
from benchmarks.results import commit

MEASURED = [name for name in PARTS if name not in {"overhead", "compiled_updates"}]


def small(folder, *more: str) -> dict:
    main(["--small", "--repeats", "1", "--output", str(folder), *more])
    return json.loads((folder / "results.json").read_text())


def test_every_part_runs_small(tmp_path, capsys):
    found = small(tmp_path, "--only", *MEASURED)
    assert list(found["rows"]) == MEASURED
    assert found["peaks"]["fp32"] > 0
    skipped = {"learner_updates": {"pixel-nearest-neighbour": "it has nothing to meta-train"}}
    assert found["skipped"] == skipped
    [learn2learn] = {"learn2learn" in row for row in found["rows"]["samplers"].values()} - {True}
    assert not learn2learn
    missing = found["rows"]["samplers"]["5-way 1-shot, 2 queries"]["missing"]
    for library in ("learn2learn", "easyfsl"):
        assert (library in missing) == (importlib.util.find_spec(library) is None)
    assert "skipped, it has nothing to meta-train" in capsys.readouterr().out
    table = (tmp_path / "results.md").read_text()
    assert all(PARTS[name].title in table for name in MEASURED)
    assert (tmp_path / "results.svg").stat().st_size > 0


def test_the_harness_is_measured(tmp_path):
    found = small(tmp_path, "--only", "overhead")
    assert found["skipped"] == {}
    rows = found["rows"]["overhead"]
    assert 0 < rows["prototypical: outside the learner"]["value"] < 100
    assert {"bench --help", "a worker's start, a later one"} <= set(rows)


# -- parts that fail, are late, or are there ------------------------------------------------------


@pytest.fixture
def parts(monkeypatch) -> dict[str, Part]:
    """Two parts that take no time, of which one fails at its second row."""
    told: list[str] = []

    def rows(asked: Asked):
        yield "good", lambda: told.append("good") or {"value": 1.0}
        yield "bad", lambda: 1 / 0
        yield "last", lambda: told.append("last") or {"value": 2.0}

    part = Part("Title", "About.", rows, {"value": number("value")}, lambda axes, rows: None)
    made: Mapping[str, Part] = {"one": part, "two": replace(part, title="Other")}
    for module in ("__main__", "table", "picture"):
        monkeypatch.setattr(f"benchmarks.{module}.PARTS", made)
    made["one"].__dict__["told"] = told
    return dict(made)


def test_a_row_that_fails_is_told_and_does_not_end_it(tmp_path, parts):
    found = small(tmp_path)
    assert list(found["rows"]["two"]) == ["good", "last"]
    assert found["skipped"]["one"] == {"bad": "ZeroDivisionError: division by zero"}


def test_what_is_there_is_not_measured_again(tmp_path, parts):
    small(tmp_path, "--only", "one")
    small(tmp_path)
    assert parts["one"].__dict__["told"] == ["good", "last"] * 2  # one and two


def test_it_is_measured_again_where_that_is_asked_for(tmp_path, parts):
    small(tmp_path, "--only", "one")
    found = small(tmp_path)
    assert parts["one"].__dict__["told"] == ["good", "last"] * 2
    found["rows"]["two"]["good"]["value"] = 3.0
    (tmp_path / "results.json").write_text(json.dumps(found))
    found = small(tmp_path, "--only", "one", "--fresh")
    assert parts["one"].__dict__["told"] == ["good", "last"] * 3
    assert found["rows"]["two"]["good"]["value"] == 3.0  # another part is left as it is


def test_what_has_not_begun_in_time_is_left_out_and_made_up_for(tmp_path, parts):
    found = small(tmp_path, "--limit", "0")
    assert found["rows"] == {}
    assert set(found["skipped"]["one"].values()) == {"not begun within 0 s"}
    assert list(small(tmp_path)["rows"]["one"]) == ["good", "last"]


def test_a_row_is_written_before_the_next_begins(tmp_path, parts, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "product_peak", lambda *_: 1.0)
    one = parts["one"]
    rows = [*list(one.rows(None))[:1], ("stopped", stop)]
    made = {"one": replace(one, rows=lambda asked: iter(rows))}
    monkeypatch.setattr("benchmarks.__main__.PARTS", made)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    [row] = found["rows"]["one"].values()
    assert row == {"value": 1.0, "commit": commit(), "load": row["load"]}


@pytest.mark.usefixtures("parts")
def test_what_was_asked_for_otherwise_is_not_mixed(tmp_path, capsys):
    small(tmp_path)
    with pytest.raises(SystemExit) as ended:
        small(tmp_path, "--repeats", "2")
    assert ended.value.code == 2
    assert "repeats: 1, now 2" in capsys.readouterr().err


@pytest.mark.usefixtures("parts")
def test_a_table_of_several_files(tmp_path, capsys):
    small(tmp_path)
    capsys.readouterr()
    main(["--table", str(tmp_path / "results.json"), str(tmp_path / "results.json")])
    table = capsys.readouterr().out
    assert table.count("| good | 1.00 |") == 4
    assert "Not measured: bad (ZeroDivisionError: division by zero)." in table


@pytest.mark.parametrize("text", ["", "{}", '{"rows": 1}'])
def test_a_file_of_something_else_is_named(tmp_path, capsys, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["--table", str(tmp_path / "other.json")])
    assert ended.value.code == 2
    assert "other.json holds no results of the benchmarks" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_a_message(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(SystemExit) as ended:
        small(tmp_path, "--device", "cuda")
    assert ended.value.code == 2
    assert "no CUDA device" in capsys.readouterr().err
