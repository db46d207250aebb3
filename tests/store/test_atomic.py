"""Files that are whole or not there."""

from __future__ import annotations

import json
import stat

import numpy as np
import pytest
import torch
from pydantic import BaseModel

from bench.store.atomic import save_arrays, write_atomically, write_json
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
