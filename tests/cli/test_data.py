from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import registry as plugins
from bench.apart import call
from bench.api.dataset import DataFolders, DatasetSource, Notify
from bench.cli import datasets
from bench.cli.data import data
from bench.errors import BenchError
from bench.planning import data as suite_data


class Good(DatasetSource):
    name = "good"
    description = "A dataset that is there."
    splits = ("a", "b")
    load = split = None  # type: ignore[assignment]

    def fetch(self, folders: DataFolders, notify: Notify) -> None:
        notify(f"fetched into {folders.cache}")

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        return f"good is good in {folders.data}"


class Bad(Good):
    name = "bad"

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        raise BenchError("bad is damaged")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    found = plugins.Found(
        "dataset", {"bad": Bad(), "good": Good()}, {"bad": "b 1", "good": "g 1"}, []
    )
    monkeypatch.setattr(call, "apart", lambda function: function)
    for user in (datasets, suite_data):
        monkeypatch.setattr(user, "datasets", lambda *patterns: found)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    return tmp_path


def test_list(cache: Path) -> None:
    (cache / "good-28-v1.npy").write_bytes(bytes(2**20))
    (cache / "goodness-28-v1.npy").write_bytes(bytes(2**20))
    (cache / "folder-28-v1-0123.npy").write_bytes(bytes(2**21))
    told = CliRunner().invoke(data, ["list", "--format", "json"], catch_exceptions=False)
    bad, good, folder, arrays = json.loads(told.output)
    assert (bad["name"], bad["cached_mib"]) == ("bad", 0)
    assert (good["name"], good["cached_mib"], good["splits"]) == ("good", 1, "a, b")
    assert (folder["name"], folder["cached_mib"], folder["splits"]) == ("folder:PATH", 2, None)
    assert folder["summary"].startswith("A folder of images by class")
    assert (arrays["name"], arrays["cached_mib"]) == ("arrays:PATH", 0)


def test_fetch(cache: Path) -> None:
    told = CliRunner().invoke(data, ["fetch", "good"], catch_exceptions=False)
    assert told.output == f"fetched into {cache}\n"


def test_fetch_of_what_has_no_download(cache: Path) -> None:
    (cache / "images" / "class").mkdir(parents=True)
    (cache / "images" / "class" / "1.png").touch()
    name = f"folder:{cache}/images"
    told = CliRunner().invoke(data, ["fetch", name], catch_exceptions=False)
    assert told.output == f"{name} needs no download\n"


def test_verify_looks_at_all_and_fails_for_one(cache: Path) -> None:
    told = CliRunner().invoke(data, ["verify", "--data-dir", str(cache)])
    assert told.output == f"good is good in {cache}\n"
    assert isinstance(told.exception, BenchError)
    assert str(told.exception) == "bad is damaged"


def test_verify_named(cache: Path) -> None:
    told = CliRunner().invoke(data, ["verify", "good"], catch_exceptions=False)
    assert told.exit_code == 0


def test_unknown_names(cache: Path) -> None:
    for verb in ("fetch", "verify"):
        told = CliRunner().invoke(data, [verb, "goood"])
        assert isinstance(told.exception, BenchError)
        assert "did you mean 'good'" in str(told.exception)


HOSTILE = """
    import os
    from bench.api import Source
    class Sound(Source):
        name, description, splits = "sound", "Sound.", ()
        def verify(self, folders, notify): notify("looking"); return "all is well"
    class Raises(Sound):
        def verify(self, folders, notify): raise OSError("no disk")
        fetch = verify
    class Ends(Sound):
        def verify(self, folders, notify): os._exit(3)
        fetch = verify
"""


@pytest.fixture
def hostile(install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {name: f"hostile_data:{name.title()}" for name in ("ends", "raises", "sound")}
    install("hostile_data", HOSTILE, datasets=names)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def test_a_dataset_that_ends_the_process_that_asks_it_is_one_failure(hostile: None) -> None:
    told = CliRunner().invoke(data, ["verify", "ends", "raises", "sound"])
    assert told.stdout == "all is well\n"
    assert told.stderr == "looking\n"
    assert isinstance(told.exception, BenchError)
    assert str(told.exception) == (
        "verifying the dataset ends ended the interpreter with exit code 3\n\n"
        "verifying the dataset raises failed: OSError: no disk"
    )


@pytest.mark.parametrize(("name", "said"), [("ends", "exit code 3"), ("raises", "no disk")])
def test_a_download_that_breaks_is_told(hostile: None, name: str, said: str) -> None:
    told = CliRunner().invoke(data, ["fetch", name])
    assert isinstance(told.exception, BenchError)
    assert str(told.exception).startswith(f"fetching the dataset {name} ")
    assert said in str(told.exception)


def test_a_module_that_ends_the_process_stops_no_list(install) -> None:
    install("ending", "import os; os._exit(3)", datasets={"ending": "ending:Any"})
    told = CliRunner().invoke(data, ["list", "--format", "json"], catch_exceptions=False)
    names = {row["name"] for row in json.loads(told.stdout)}
    assert "glyphs" in names
    assert "ending" not in names
