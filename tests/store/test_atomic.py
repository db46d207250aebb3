"""Files that are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import pickle
import stat
import threading

import numpy as np
import pytest
import torch
from pydantic import BaseModel

from bench.api.files import owner
from bench.store.atomic import (
    CannotWriteError,
    clear,
    locked,
    save_arrays,
    write_atomically,
    write_json,
)
from bench.store.tensors import load_torch, save_torch


class Note(BaseModel):
    text: str
    number: float


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "deep" / "note.json"
    write_json(path, Note(text="für Ω", number=0.1))
    assert json.loads(path.read_text(encoding="utf-8")) == {"text": "für Ω", "number": 0.1}
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_json(path, Note(text="again", number=2))
    assert json.loads(path.read_text())["text"] == "again"
    assert [file.name for file in path.parent.iterdir()] == ["note.json"]


def test_arrays_are_read_without_unpickling(tmp_path):
    path = tmp_path / "deep" / "arrays.npz"
    save_arrays(path, {"x": np.arange(6, dtype=np.uint8).reshape(2, 3), "head file": np.ones(2)})
    with np.load(path, allow_pickle=False) as stored:
        assert stored["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert stored["x"].dtype == np.uint8
        assert stored["head file"].tolist() == [1, 1]
    assert [file.name for file in path.parent.iterdir()] == ["arrays.npz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_writer_that_raises_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "note.json"
    path.write_text("old")

    def fails(file):
        file.write(b"half of it")
        raise error

    with pytest.raises(error):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "note.json"
    path.write_text("old")
    seen = []

    def slow(file):
        file.write(b"new")
        file.flush()
        seen.append(path.read_text())

    write_atomically(path, slow)
    assert seen == ["old"]
    assert path.read_text() == "new"


def test_tensors_come_back_the_same_and_code_does_not_run(tmp_path):
    path = tmp_path / "weights.pt"
    weights = {"a": torch.rand(3), "b": torch.rand(2).bfloat16()}
    save_torch(path, {"learner": weights, "best": None, "curve": [{"loss": 0.5}]})
    content = load_torch(path)
    assert torch.equal(content["learner"]["b"], weights["b"])
    assert content["curve"] == [{"loss": 0.5}]

    torch.save({"learner": Note(text="code", number=1)}, path)
    with pytest.raises(Exception, match=r"[Ww]eights.only|damaged"):
        load_torch(path)


# -- folders that one process at a time writes into -----------------------------------------------


def test_the_second_waits_and_says_so(tmp_path):
    told, first = [], threading.Event()
    with locked(tmp_path):

        def second() -> None:
            with locked(tmp_path, lambda waits: (told.append(waits), first.set())):
                told.append("in")

        thread = threading.Thread(target=second)
        thread.start()
        assert first.wait(30)
        assert told == [True]
    thread.join(30)
    assert told == [True, False, "in"]


def test_what_others_are_writing_is_not_swept_away(tmp_path):
    theirs = tmp_path / f".{owner()}-abc.partial"
    theirs.touch()
    with locked(tmp_path):
        assert theirs.exists()
    assert clear(tmp_path)
    assert theirs.exists()


def test_a_lock_from_elsewhere_costs_no_file(tmp_path):
    thesis, folder = tmp_path / "thesis.tex", tmp_path / "cell"
    thesis.write_text("all of it")
    folder.mkdir()
    (folder / ".lock").symlink_to(thesis)
    with pytest.raises(CannotWriteError, match=r"\.lock"), locked(folder):
        pass
    assert thesis.read_text() == "all of it"


def test_a_folder_is_emptied_unless_somebody_works_in_it(tmp_path):
    folder = tmp_path / "cell"
    assert clear(folder), "nothing is there"
    (folder / "timings").mkdir(parents=True)
    for name in ("result.json", "timings/cpu.json"):
        (folder / name).touch()
    (folder / "link").symlink_to(tmp_path)
    with locked(folder):
        assert not clear(folder)
        assert (folder / "result.json").exists()
    assert clear(folder)
    assert [path.name for path in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_the_disk_refuses_is_a_message(number, tmp_path):
    def full(file):
        raise OSError(number, os.strerror(number))

    with pytest.raises(CannotWriteError, match="what is finished is kept") as caught:
        write_atomically(tmp_path / "note.json", full)
    assert os.strerror(number) in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert list(tmp_path.iterdir()) == []
