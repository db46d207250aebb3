"""A file of arrays becomes a dataset: images by size, features as they are, nothing unpickled."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import TaskSpec
from bench.api.cache import checked_files
from bench.api.dataset import DataFolders
from bench.data.array_file import ArrayFile
from bench.data.class_folder import ClassFolder
from bench.data.own_data import own_source
from bench.episodes.banks import training_batch
from bench.episodes.classes import class_pool
from bench.errors import BenchError
from bench.protocols.kshot import EpisodePool
from tests.helpers.coloured_shapes import SUITE

LABELS = np.array([2, 0, 2, 0, 10, 10])
BYTES = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2)


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "set.npz"


def source(file: Path, **arrays: object) -> ArrayFile:
    np.savez(file, **arrays)
    found = own_source(ClassFolder(path=str(file)))
    assert isinstance(found, ArrayFile)
    return found


@pytest.mark.parametrize(
    "images", [BYTES, BYTES[..., None], BYTES[:, None]], ids=["grey", "channel last", "first"]
)
def test_images_are_ordered_by_class(file, folders, images):
    data = source(file, images=images, labels=LABELS).load(2, folders, print)
    assert data.class_names == ("0", "2", "10")
    assert (data.starts.tolist(), data.counts.tolist()) == ([0, 2, 4], [2, 2, 2])
    assert data.images.tolist() == [[BYTES[n].tolist()] for n in (1, 3, 0, 2, 4, 5)]


def test_images_in_colour_are_resized(file, folders):
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    images[..., 1] = 8
    data = source(file, images=images, labels=np.array(["b", "a"])).load(2, folders, print)
    assert data.images.shape == (2, 3, 2, 2)
    assert data.images[0].flatten(1).tolist() == [[0] * 4, [8] * 4, [0] * 4]


def test_features_reach_learners_as_they_are(file, folders):
    features = np.random.default_rng(0).normal(size=(6, 5)) * 300 - 7
    found = source(file, features=features, labels=LABELS)
    for data in (
        found.load(28, folders, print),
        found.load(28, folders, print),
    ):  # the second: mapped
        assert data.images.dtype == torch.float32
        pool = class_pool(data, np.arange(3), False, EpisodePool)
        batch = training_batch(pool, TaskSpec((5,), 3, 1, 1, episodes_per_update=2), 0, 0)
        given = {tuple(row) for row in batch.support_x.flatten(0, 1).tolist()}
        assert given <= {tuple(row) for row in features.astype(np.float32).tolist()}
    with pytest.raises(BenchError, match=r"inputs of shape \(5,\) cannot be turned"):
        class_pool(data, np.arange(3), True, EpisodePool)


def test_maps_of_features_are_not_turned(file, folders):
    found = source(file, features=np.zeros((6, 3, 8, 6)), labels=LABELS)
    with pytest.raises(BenchError, match=r"inputs of shape \(3, 8, 6\) cannot be turned"):
        class_pool(found.load(28, folders, print), np.arange(3), True, EpisodePool)


def test_what_was_compared_once_is_not_compared_again(file, folders, monkeypatch):
    found = source(file, features=np.ones((6, 5)), labels=LABELS)
    found.load(28, folders, print)
    told = DataFolders(folders.data, folders.cache, checked_files())
    monkeypatch.setattr("bench.api.cache._compared", set())
    monkeypatch.setattr("zlib.crc32", lambda data: pytest.fail("compared again"))
    found.load(28, told, print)


def test_one_that_was_replaced_is_read_again(file, folders):
    """Of the same size, and of the same age as far as who copied it says."""
    arrays = {"features": np.ones((6, 5)), "labels": LABELS}
    before, stat = source(file, **arrays).load(28, folders, print), file.stat()
    arrays["features"][2] = 7
    after = source(file, **arrays)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert after.load(28, folders, print).content != before.content


def test_a_suite_on_features(file, tmp_path, folders):
    from bench.planning.data import load_suite_data
    from bench.suites.schema import read_suite

    labels = np.repeat(np.arange(30), 6)
    np.savez(file, features=np.random.default_rng(0).normal(size=(180, 4)), labels=labels)
    path = tmp_path / "suite.toml"
    path.write_text(SUITE.replace("folder:./images", "arrays:./set.npz"))
    pools = load_suite_data(read_suite(path), folders, print)
    assert pools.dataset == f"arrays:set.npz ({pools.content[:8]})"
    assert [len(pool) for pool in (pools.train, pools.val, pools.test)] == [18, 6, 6]
    assert pools.test.input_shape == (4,)


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


CLAIM = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}")
MISTAKES = {
    "no labels": ({"images": BYTES}, "is to have the arrays images .* and labels, and has images"),
    "both": ({"images": BYTES, "features": BYTES, "labels": LABELS}, "is to have the arrays"),
    "too few labels": ({"images": BYTES, "labels": LABELS[:4]}, "has 6 images, 4 labels"),
    "labels of floats": ({"images": BYTES, "labels": LABELS / 2}, "labels are to be integers"),
    "integers": ({"images": BYTES.astype(int), "labels": LABELS}, "has int64 of shape"),
    "two channels": (
        {"images": np.zeros((6, 2, 4, 4), np.uint8), "labels": LABELS}, "1 or 3 channels",
    ),
    "items without a label": (
        {"images": BYTES, "labels": np.array([0, -1, 1, -1, 0, 1], np.int8)},
        r"set.npz: 2 of 6 items have no label .* item 1 with -1; leave them out: .*labels\[kept\]",
    ),
    "not finite": ({"features": np.full((6, 2), np.nan), "labels": LABELS}, "are not finite"),
    "nothing in them": ({"features": np.empty((6, 0)), "labels": LABELS}, r"shape \(6, 0\)"),
    "a label that is no text": (
        {"images": BYTES, "labels": np.array(["a", "b", "\udc80"] * 2)}, "is no text in UTF-8",
    ),
    "objects": ({"images": np.array([{}] * 6), "labels": LABELS}, "holds objects"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_other_arrays_are_refused(file, folders, mistake):
    arrays, said = MISTAKES[mistake]
    with pytest.raises(BenchError, match=said):
        source(file, **arrays).load(28, folders, print)


def test_the_classes_of_a_file_with_items_without_a_label_are_not_listed(file):
    found = source(file, features=np.ones((6, 5)), labels=LABELS - 1)
    with pytest.raises(BenchError, match="2 of 6 items have no label"):
        found.class_counts()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no archive", "no .npz file"), (b"", "no .npz file"), (CLAIM, "claims 8,000,000,000,000")],
)
def test_damaged_files_are_refused(file, folders, content, said):
    if content == CLAIM:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("images.npy", content)
        content = packed.getvalue()
    file.write_bytes(content)
    with pytest.raises(BenchError, match=said):
        ArrayFile(ClassFolder(path=str(file))).load(28, folders, print)
    with pytest.raises(BenchError, match="No such file"):
        ArrayFile(ClassFolder(path=str(file.with_name("no.npz")))).load(28, folders, print)
