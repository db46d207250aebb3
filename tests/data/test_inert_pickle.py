import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.inert_pickle import Inert, NotInertError, read_inert

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.tuples(inner)
        | st.tuples(inner, inner, inner, inner)
    ),
    max_leaves=20,
)


@given(value=VALUES, protocol=st.integers(0, 4))
def test_plain_values_are_read_back(value: Any, protocol: int) -> None:
    assert read_inert(pickle.dumps(value, protocol)) == value


@given(content=st.binary(max_size=200))
def test_anything_else_is_refused_in_words(content: bytes) -> None:
    with contextlib.suppress(NotInertError):
        read_inert(content)


class Evil:
    """Would make a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_nothing_is_called(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps(Evil(tmp_path / "made"), protocol)
    read = read_inert(content)
    assert isinstance(read, Inert)
    assert read.name.endswith("mkdir")
    assert read.arguments == (str(tmp_path / "made"),)
    assert not (tmp_path / "made").exists()
    pickle.loads(content)
    assert (tmp_path / "made").exists()


def test_an_array_keeps_its_state() -> None:
    read = read_inert(pickle.dumps(np.arange(6, dtype=np.uint8).reshape(2, 3), 3))
    assert read.state[1] == (2, 3)
    assert read.state[4] == bytes(range(6))


def test_bytes_of_python_2() -> None:
    assert read_inert(b"U\x03\x00\x80\xffq\x01.") == "\x00\x80\xff"


def test_a_name_is_text() -> None:
    """Names of names double their quotes each time: thirty of them took gigabytes."""
    content = b"\x80\x04\x8c\x01a" + b"\x8c\x01b\x93" * 30 + b"."
    with pytest.raises(NotInertError, match="by what is no text"):
        read_inert(content)


@pytest.mark.parametrize(
    "content",
    [pickle.dumps({(1,): 2}, 2), pickle.dumps({(1,): 2, (2,): 3}, 2), b"((I1\ntI2\nd."],
    ids=["one item", "two items", "a whole dict"],
)
def test_a_key_is_plain(content: bytes) -> None:
    """The hash of a tuple of twice the same tuple, forty deep, would take hours."""
    assert isinstance(pickle.loads(content), dict)
    with pytest.raises(NotInertError, match="a tuple as a key of a dict"):
        read_inert(content)
