"""States on disk: written freely, read strictly."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.store.checked import UnreadableError
from bench.store.tensors import load_torch, readable, save_torch

STATE = {
    "rate": np.float64(0.1), "small": np.float32(0.1), "flag": np.bool_(True),
    "grid": np.arange(6, dtype=np.uint16).reshape(2, 3), "none": np.zeros((0, 2)),
    "words": np.array(["a", "bc"]), "plain": [1, (2.5, None), {"deep": np.int64(7)}],
}  # fmt: skip


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_equal(one, other)
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def test_numpy_comes_back_as_it_was(tmp_path):
    save_torch(tmp_path / "state.pt", STATE)
    assert_equal(load_torch(tmp_path / "state.pt"), STATE)
    assert_equal(readable(STATE), STATE)


def test_what_holds_nothing_of_numpy_s_is_stored_as_before(tmp_path):
    state = OrderedDict(weight=torch.rand(2, 2))
    state._metadata = {"": {"version": 2}}  # torch keeps the versions of modules there
    save_torch(tmp_path / "state.pt", {"learner": state})
    read = torch.load(tmp_path / "state.pt", weights_only=True)["learner"]
    assert read._metadata == state._metadata
    assert torch.equal(read["weight"], state["weight"])


def test_extra_state_of_numpy_s_keeps_the_versions_of_modules():
    state = OrderedDict(weight=torch.rand(2), _extra_state={"seen": np.zeros(3)})
    state._metadata = {"": {"version": 2}}
    read = readable({"learner": state})["learner"]
    assert type(read) is OrderedDict
    assert read._metadata == state._metadata
    assert_equal(read["_extra_state"], {"seen": np.zeros(3)})


class Schedule:
    """A schedule as an object."""


@pytest.mark.parametrize("value", [Schedule(), len, np.array([None]), {1, Schedule}])
def test_what_cannot_be_read_back_is_named_with_its_place(value):
    with pytest.raises(BenchError, match=r"cannot be stored: scheduler > groups > 1 is a .*; keep"):
        readable({"learner": {}, "scheduler": {"groups": [0.1, value]}})


def test_a_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "state.pt"
    save_torch(path, {"weight": torch.zeros(100)})
    content = bytearray(path.read_bytes())
    content[content.index(bytes(300)) + 150] = 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # torch itself does not
    with pytest.raises(UnreadableError, match="is damaged"):
        load_torch(path)
