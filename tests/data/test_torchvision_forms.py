"""Datasets of torchvision that were fetched in part, cut off or changed."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from bench.data.torchvision_sets import (
    DTD,
    EMNIST,
    GTSRB,
    KMNIST,
    EuroSAT,
    FGVCAircraft,
    Flowers102,
)
from bench.data.torchvision_shim import torchvision_datasets
from bench.errors import BenchError
from tests.helpers.torchvision_files import photograph, write

SETS = [KMNIST, EMNIST, Flowers102, DTD, GTSRB, EuroSAT, FGVCAircraft]


def refused(source, small) -> str:
    """What load, verify and fetch say of the cache, which is the same."""
    told = set()
    for ask in (lambda: source.load(28, small, print), lambda: source.verify(small, print)):
        with pytest.raises(BenchError) as caught:
            ask()
        told.add(str(caught.value))
    with pytest.raises(BenchError) as caught:
        source.fetch(small, print)
    told.add(str(caught.value))
    assert len(told) == 1
    assert source.missing(small) in told
    return told.pop()


@pytest.mark.parametrize("kind", SETS)
def test_other_counts_than_the_official_ones_are_refused_until_the_folder_is_removed(
    kind, small, monkeypatch
):
    for known, told in (("known_images", "27,000 images of "), ("known_classes", " 27000 classes")):
        with monkeypatch.context() as changed:
            changed.setattr(kind, known, 27_000)
            root = small.cache / kind.name
            write(kind.name, root)
            said = refused(kind(), small)
            assert "images of " in said
            assert told in said.partition("expected")[2]
            assert f"Remove {root / kind.folder}, then run `bench data fetch {kind.name}`" in said
            shutil.rmtree(root / kind.folder)
            assert "is not here" in kind().missing(small)
    write(kind.name, small.cache / kind.name)
    assert kind().missing(small) is None


def test_more_than_the_official_ones_is_told_too(small):
    root = small.cache / "eurosat"
    write("eurosat", root)
    photograph(root / "eurosat/2750/River/River_9.jpg", 50)
    assert "7 images of 2 classes are there, expected 6 images of 2 classes" in refused(
        EuroSAT(), small
    )


def test_a_part_that_lacks_a_class_is_told(small, monkeypatch):
    """Numbers of classes are those of folders in their order: all after it would be wrong."""
    root = small.cache / "gtsrb"
    write("gtsrb", root)
    monkeypatch.setattr(GTSRB, "known_images", None)
    shutil.rmtree(root / "gtsrb/GTSRB/Training/00000")
    assert "4 images of 1 to 2 classes are there, expected 2 classes" in refused(GTSRB(), small)


@pytest.mark.parametrize("kind", [Flowers102, DTD, FGVCAircraft, GTSRB])
def test_listed_images_that_are_not_there_are_told(kind, small):
    root = small.cache / kind.name
    write(kind.name, root)
    files = [path for ending in ("jpg", "ppm") for path in root.rglob(f"*.{ending}")]
    last = next(path for path in sorted(files) if "Training" not in str(path))
    last.unlink()
    said = refused(kind(), small)
    assert f"1 of 6 images are not there, as {last}" in said


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\10\3", b"\0\0\10\3\0\0\0\7\0\0\0\34\0\0\0\34\1\2", bytes(range(200)) * 9],
    ids=["empty", "head", "cut", "noise"],
)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_a_file_that_is_cut_off_is_damaged_and_not_missing(name, content, small):
    root = small.cache / "kmnist"
    write("kmnist", root)
    (root / "KMNIST/raw" / name).write_bytes(content)
    said = refused(KMNIST(), small)
    assert f"kmnist cannot be read in {root / 'KMNIST'}: " in said
    assert f"Remove {root / 'KMNIST'}, then run `bench data fetch kmnist`" in said


def test_an_image_that_is_cut_off_is_told_with_the_way_out(small):
    root = small.cache / "eurosat"
    write("eurosat", root)
    (root / "eurosat/2750/River/River_0.jpg").write_bytes(b"no image")
    with pytest.raises(BenchError, match=r"River_0\.jpg") as caught:
        EuroSAT().verify(small, print)
    assert f"Remove {root / 'eurosat'}, then run" in str(caught.value)


def test_files_of_an_old_torchvision_alone_are_refused_in_words(small):
    root = small.cache / "kmnist"
    processed = root / "KMNIST/processed"
    processed.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(3, 28, 28, dtype=torch.uint8), torch.arange(3)), processed / name)
    said = refused(KMNIST(), small)
    assert "only processed/*.pt of an old torchvision are there" in said
    assert f"expected the files of KMNIST in {root / 'KMNIST' / 'raw'}" in said


def test_a_part_of_it_is_told_and_another_place_is_used(small):
    write("kmnist", small.data)
    (small.data / "KMNIST/raw/t10k-labels-idx1-ubyte").unlink()
    said = KMNIST().missing(small)
    assert "kmnist is not here" in said
    assert f"Remove {small.data / 'KMNIST'}, then run" in said
    write("kmnist", small.cache / "kmnist")
    assert KMNIST().missing(small) is None


def test_an_archive_that_is_cut_off_is_named(small):
    """torchvision has no checksum of it, and takes it for whole at each try."""
    archive = small.cache / "fgvc-aircraft/fgvc-aircraft-2013b.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"\x1f\x8b\x08\0cut off")
    with pytest.raises(BenchError, match="the download of fgvc-aircraft failed") as caught:
        FGVCAircraft().fetch(small, print)
    assert f"Remove {archive}, then run `bench data fetch fgvc-aircraft`" in str(caught.value)


def test_a_file_that_was_exchanged_is_seen_though_size_and_time_are_the_same(small):
    write("kmnist", small.data)
    before = KMNIST().load(28, small, print)
    path = small.data / "KMNIST/raw/train-images-idx3-ubyte"
    told = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert KMNIST().load(28, small, print).content != before.content


@pytest.mark.parametrize("kind", SETS)
def test_archives_are_compared_with_checksums_and_stay_in_the_cache(kind, folders, monkeypatch):
    asked = []

    def download(url, download_root=None, filename=None, md5=None):
        asked.append((Path(download_root), md5))

    original = getattr(torchvision_datasets(), kind.original)
    module = sys.modules[original.__module__]
    monkeypatch.setattr(module, "download_and_extract_archive", download)
    monkeypatch.setattr(module, "download_url", download, raising=False)
    with pytest.raises(BenchError, match=f"the download of {kind.name} failed"):
        kind().fetch(folders, print)
    assert asked
    for root, md5 in asked:
        assert root.is_relative_to(folders.cache / kind.name)
        assert (md5 is None) == (kind is FGVCAircraft)


def test_a_hostile_archive_writes_nothing_outside(folders, monkeypatch):
    """The archive of `fgvc-aircraft` has no checksum."""
    before = tarfile.TarFile.extraction_filter
    original = torchvision_datasets().FGVCAircraft
    module = sys.modules[original.__module__]

    def download(url, root, **options):
        Path(root).mkdir(parents=True, exist_ok=True)
        archive = Path(root) / "set.tar.gz"
        with tarfile.open(archive, "w:gz") as file:
            told = tarfile.TarInfo("../../../outside.txt")
            told.size = 4
            file.addfile(told, io.BytesIO(b"evil"))
        with tarfile.open(archive) as file:
            file.extractall(root)

    monkeypatch.setattr(module, "download_and_extract_archive", download)
    with pytest.raises(BenchError, match=r"the download of fgvc-aircraft failed: .*outside\.txt"):
        FGVCAircraft().fetch(folders, print)
    assert not list(folders.cache.parent.rglob("outside.txt"))
    assert tarfile.TarFile.extraction_filter is before
