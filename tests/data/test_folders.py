from pathlib import Path

import pytest

from bench.api.dataset import DataFolders
from bench.data.folders import data_folders
from bench.errors import BenchError


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BENCH_DATA_DIR", "BENCH_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_defaults(tmp_path: Path) -> None:
    assert data_folders(None) == DataFolders(None, tmp_path / ".cache" / "bench")


def test_cache_variables_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert data_folders(None).cache == Path("/xdg/bench")
    monkeypatch.setenv("BENCH_CACHE_DIR", "/own")
    assert data_folders(None).cache == Path("/own")


def test_option_goes_before_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "a"))
    assert data_folders(None).data == tmp_path / "a"
    assert data_folders(tmp_path / "b").data == tmp_path / "b"
    assert data_folders("~/b").data == tmp_path / "b"


def test_a_named_folder_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"nowhere \(--data-dir\)"):
        data_folders(tmp_path / "nowhere")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(BenchError, match=r"gone \(\$BENCH_DATA_DIR\)"):
        data_folders(None)


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA_DIR", "")
    assert data_folders(None).data is None
