"""Data of the user's own is what its prefix says, whatever its ending."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.array_file import ArrayFile
from bench.errors import BenchError
from bench.planning.data import named_source
from bench.planning.own_data import own_classes
from bench.suites.schema import read_suite
from tests.helpers.coloured_shapes import SUITE


@pytest.fixture
def arrays(tmp_path):
    """Nine classes in a file of arrays whose ending is in capitals."""
    path = tmp_path / "set.NPZ"
    with path.open("wb") as file:
        labels = np.repeat(np.arange(9), 2)
        np.savez(file, images=np.zeros((18, 4, 4), np.uint8), labels=labels)
    return path


def test_arrays_are_arrays_whatever_their_ending(arrays):
    assert isinstance(named_source(f"arrays:{arrays}"), ArrayFile)
    suite = arrays.with_name("suite.toml")
    suite.write_text(SUITE.replace("folder:./images", "arrays:./set.NPZ"))
    found = own_classes(read_suite(suite))
    assert found.classes.arrays
    assert sum(len(getattr(found.classes, phase)) for phase in ("train", "val", "test")) == 9


def test_a_folder_is_no_file_of_arrays(arrays):
    path = arrays.rename(arrays.with_name("set.npz"))
    with pytest.raises(BenchError, match=r"set.npz .* is no folder; write arrays:.*set.npz"):
        named_source(f"folder:{path}")


def test_a_single_array_is_told_what_is_wanted(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((18, 4, 4), np.uint8))
    with pytest.raises(BenchError, match=r"x.npy is a single array \(.npy\); an .npz file with"):
        named_source(f"arrays:{tmp_path / 'x.npy'}")
