from pathlib import Path

import pytest

from bench.api.dataset import DataFolders
from bench.data.folders import data_folders, named_path
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


@pytest.mark.parametrize("name", ["~nosuchuser/x", "x" * 300, "a\0b", "/".join(["x" * 200] * 30)])
def test_what_no_folder_can_be_called_is_told_in_short(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(
        BenchError, match=r"the data folder \(--data-dir\) cannot be '.*': "
    ) as told:
        data_folders(name)
    assert len(str(told.value)) < 300
    with pytest.raises(BenchError, match="the folder of images cannot be"):
        named_path(name, "the folder of images")
    if "\0" not in name:
        monkeypatch.setenv("BENCH_CACHE_DIR", name)
        with pytest.raises(BenchError, match=r"the cache folder \(\$BENCH_CACHE_DIR\) cannot be"):
            data_folders(None)


def test_who_has_no_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a user whom nobody knows."""

    def nobody(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(BenchError, match=r"set \$BENCH_CACHE_DIR to another.*home directory"):
        data_folders(None)
    monkeypatch.setenv("BENCH_CACHE_DIR", "/own")
    assert data_folders(None).cache == Path("/own")


def test_a_home_is_one_where_it_is_meant(tmp_path: Path) -> None:
    assert named_path("~/x", "a folder") == tmp_path / "x"
    assert named_path("~/x", "a folder", home=False) == Path.cwd() / "~" / "x"
