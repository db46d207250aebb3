"""Small archives in the official forms, read through torchvision."""

from __future__ import annotations

import pytest

from bench.data.torchvision_forms import TorchvisionSet
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


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("place", ["named", "beside", "cache"])
def test_it_is_read_from_each_place_with_all_its_parts(kind, place, small):
    source: TorchvisionSet = kind()
    assert source.missing(small) is not None
    data = small.data
    root = {"named": data / kind.name, "beside": data, "cache": small.cache / kind.name}[place]
    write(kind.name, root)
    assert source.missing(small) is None
    loaded = source.load(28, small, print)
    grey = kind in (KMNIST, EMNIST)
    assert loaded.images.shape[1:] == (1 if grey else 3, 28, 28)
    assert loaded.counts.tolist() == ([5, 3, 3] if grey else [3, 3])
    again = source.load(28, small, print)
    assert (again.images == loaded.images).all()
    assert again.content == loaded.content
    assert loaded.content in source.verify(small, print)


def test_emnist_is_turned_upright_and_kmnist_is_left(small):
    for kind in (KMNIST, EMNIST):
        write(kind.name, small.data)
        first = kind().load(28, small, print).images[0, 0]
        along, across = (
            (first[0, 6:], first[6:, 0]) if kind is KMNIST else (first[6:, 0], first[0, 6:])
        )
        assert (along == 200).all()
        assert (across == 0).all()


def test_images_are_with_their_class(small):
    """Both parts of KMNIST: images 0, 3, 6 and 100, 103 are of class 0."""
    write("kmnist", small.data)
    loaded = KMNIST().load(28, small, print)
    marks = loaded.images[:, 0, 5, 5].numpy()
    assert marks[:5].tolist() == [0, 3, 6, 100, 103]
    assert loaded.class_names[:2] == ("o", "ki")


def test_names_of_classes_and_pixels_of_photographs(small):
    write("fgvc-aircraft", small.data)
    loaded = FGVCAircraft().load(28, small, print)
    assert loaded.class_names == ("707-320", "A300 B4")
    greys = loaded.images[:, 0, 14, 14].float()
    assert greys.tolist() == pytest.approx([10, 20, 30, 5, 15, 25], abs=2)  # JPEG


def test_a_changed_file_is_seen(small, monkeypatch):
    write("eurosat", small.data)
    before = EuroSAT().load(28, small, print)
    photograph(small.data / "eurosat/2750/River/River_3.jpg", 99)
    monkeypatch.setattr(EuroSAT, "known_images", 7)
    after = EuroSAT().load(28, small, print)
    assert after.counts.tolist() == [3, 4]
    assert after.content != before.content


def test_damaged_files_are_told(small):
    write("kmnist", small.data)
    (small.data / "KMNIST/raw/t10k-labels-idx1-ubyte").write_bytes(b"\0\0\10\1\0\0\0\1")
    with pytest.raises(BenchError, match="kmnist cannot be read"):
        KMNIST().load(28, small, print)
    write("eurosat", small.data)
    (small.data / "eurosat/2750/River/River_0.jpg").write_bytes(b"no image")
    with pytest.raises(BenchError, match=r"River_0\.jpg"):
        EuroSAT().load(28, small, print)


def test_it_has_no_split(small):
    write("dtd", small.data)
    source = DTD()
    with pytest.raises(BenchError, match="dtd is to test on"):
        source.split("all", source.load(28, small, print))


def test_a_download_that_fails_is_told(small, monkeypatch):
    def fail(self, root, download=False, **part):
        raise RuntimeError("no network" if download else "Dataset not found.")

    monkeypatch.setattr(torchvision_datasets().GTSRB, "__init__", fail)
    with pytest.raises(BenchError, match="the download of gtsrb failed: no network"):
        GTSRB().fetch(small, print)
    with pytest.raises(BenchError, match="bench data fetch gtsrb"):
        GTSRB().load(28, small, print)


def test_flowers_of_all_parts(small):
    write("flowers102", small.data)
    loaded = Flowers102().load(28, small, print)
    assert loaded.counts.tolist() == [3, 3]
    assert loaded.class_names[0] == "canterbury bells" or len(loaded.class_names) == 2
