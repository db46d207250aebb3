"""Small archives in the official forms, read through torchvision."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from bench.api.dataset import DataFolders
from bench.data.torchvision_sets import (
    DTD,
    EMNIST,
    GTSRB,
    KMNIST,
    EuroSAT,
    FGVCAircraft,
    Flowers102,
    TorchvisionSet,
)
from bench.data.torchvision_shim import torchvision_datasets
from bench.errors import BenchError

SETS = [KMNIST, EMNIST, Flowers102, DTD, GTSRB, EuroSAT, FGVCAircraft]


def write_idx(path: Path, array: np.ndarray) -> None:
    """The form of LeCun's MNIST."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def characters(folder: Path, names: dict[str, str]) -> None:
    """Images with a bright first row; the label of an image is its number modulo 3."""
    for part, prefix in names.items():
        count = 7 if part == "train" else 4
        images = np.zeros((count, 28, 28))
        images[:, 0] = 200
        images[:, 5, 5] = np.arange(count) + (0 if part == "train" else 100)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(count) % 3)


def photograph(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (grey, 2 * grey, 0)).save(path)


# -- as torchvision would have extracted them: two classes of three photographs -------------------


def write_kmnist(root: Path) -> None:
    raw = root / "KMNIST" / "raw"
    characters(raw, {"train": "train", "test": "t10k"})


def write_emnist(root: Path) -> None:
    raw = root / "EMNIST" / "raw"
    characters(raw, {p: f"emnist-balanced-{p}" for p in ("train", "test")})


def write_flowers102(root: Path) -> None:
    base = root / "flowers-102"
    for number in range(1, 7):
        photograph(base / "jpg" / f"image_{number:05d}.jpg", 10 * number)
    savemat(base / "imagelabels.mat", {"labels": np.array([[1, 2, 1, 2, 1, 2]])})
    ids = {"trnid": [[1, 2]], "valid": [[3, 4]], "tstid": [[5, 6]]}
    savemat(base / "setid.mat", {key: np.array(value) for key, value in ids.items()})


def write_dtd(root: Path) -> None:
    base = root / "dtd" / "dtd"
    (base / "labels").mkdir(parents=True)
    for part, which in (("train", 1), ("val", 2), ("test", 3)):
        lines = []
        for texture in ("banded", "woven"):
            photograph(base / "images" / texture / f"{texture}_{which}.jpg", 20 * which)
            lines.append(f"{texture}/{texture}_{which}.jpg")
        (base / "labels" / f"{part}1.txt").write_text("\n".join(lines) + "\n")


def write_gtsrb(root: Path) -> None:
    base = root / "gtsrb"
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for label in range(2):
        for which in range(2):
            path = base / "GTSRB/Training" / f"{label:05d}" / f"{which:05d}.ppm"
            photograph(path, 30 + label)
        photograph(base / "GTSRB/Final_Test/Images" / f"{label:05d}.ppm", 90 + label)
        rows.append(f"{label:05d}.ppm;40;30;1;1;2;2;{label}")
    (base / "GT-final_test.csv").write_text("\n".join(rows) + "\n")


def write_eurosat(root: Path) -> None:
    for land in ("Forest", "River"):
        for which in range(3):
            photograph(root / "eurosat/2750" / land / f"{land}_{which}.jpg", 40 + which)


def write_fgvc_aircraft(root: Path) -> None:
    base = root / "fgvc-aircraft-2013b" / "data"
    for part, ids in (("trainval", (1, 2, 3, 4)), ("test", (5, 6))):
        lines = [f"{number:07d} {('707-320', 'A300 B4')[number % 2]}" for number in ids]
        for number in ids:
            photograph(base / "images" / f"{number:07d}.jpg", 5 * number)
        (base / f"images_variant_{part}.txt").write_text("\n".join(lines) + "\n")
    (base / "variants.txt").write_text("707-320\nA300 B4\n")


WRITERS = {
    "kmnist": write_kmnist,
    "emnist": write_emnist,
    "flowers102": write_flowers102,
    "dtd": write_dtd,
    "gtsrb": write_gtsrb,
    "eurosat": write_eurosat,
    "fgvc-aircraft": write_fgvc_aircraft,
}


def write(name: str, root: Path) -> None:
    """A small dataset of that name."""
    WRITERS[name](root)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Flowers-102 has checksums of its lists of labels, which small ones do not meet."""
    original = torchvision_datasets().Flowers102
    for key in ("label", "setid"):
        monkeypatch.setitem(original._file_dict, key, (original._file_dict[key][0], None))
    return DataFolders(tmp_path / "data", tmp_path / "cache")


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("place", ["named", "beside", "cache"])
def test_it_is_read_from_each_place_with_all_its_parts(kind, place, folders):
    source: TorchvisionSet = kind()
    assert source.missing(folders) is not None
    data = folders.data
    root = {"named": data / kind.name, "beside": data, "cache": folders.cache / kind.name}[place]
    write(kind.name, root)
    assert source.missing(folders) is None
    loaded = source.load(28, folders, print)
    grey = kind in (KMNIST, EMNIST)
    assert loaded.images.shape[1:] == (1 if grey else 3, 28, 28)
    assert loaded.counts.tolist() == ([5, 3, 3] if grey else [3, 3])
    again = source.load(28, folders, print)
    assert (again.images == loaded.images).all()
    assert again.content == loaded.content
    assert loaded.content in source.verify(folders, print)


def test_emnist_is_turned_upright_and_kmnist_is_left(folders):
    for kind in (KMNIST, EMNIST):
        write(kind.name, folders.data)
        first = kind().load(28, folders, print).images[0, 0]
        along, across = (
            (first[0, 6:], first[6:, 0]) if kind is KMNIST else (first[6:, 0], first[0, 6:])
        )
        assert (along == 200).all()
        assert (across == 0).all()


def test_images_are_with_their_class(folders):
    """Both parts of KMNIST: images 0, 3, 6 and 100, 103 are of class 0."""
    write("kmnist", folders.data)
    loaded = KMNIST().load(28, folders, print)
    marks = loaded.images[:, 0, 5, 5].numpy()
    assert marks[:5].tolist() == [0, 3, 6, 100, 103]
    assert loaded.class_names[:2] == ("o", "ki")


def test_names_of_classes_and_pixels_of_photographs(folders):
    write("fgvc-aircraft", folders.data)
    loaded = FGVCAircraft().load(28, folders, print)
    assert loaded.class_names == ("707-320", "A300 B4")
    greys = loaded.images[:, 0, 14, 14].float()
    assert greys.tolist() == pytest.approx([10, 20, 30, 5, 15, 25], abs=2)  # JPEG


def test_a_changed_file_is_seen(folders):
    write("eurosat", folders.data)
    before = EuroSAT().load(28, folders, print)
    photograph(folders.data / "eurosat/2750/River/River_3.jpg", 99)
    after = EuroSAT().load(28, folders, print)
    assert after.counts.tolist() == [3, 4]
    assert after.content != before.content


def test_damaged_files_are_told(folders):
    write("kmnist", folders.data)
    (folders.data / "KMNIST/raw/t10k-labels-idx1-ubyte").write_bytes(b"\0\0\10\1\0\0\0\1")
    with pytest.raises(BenchError, match="kmnist cannot be read"):
        KMNIST().load(28, folders, print)
    write("eurosat", folders.data)
    (folders.data / "eurosat/2750/River/River_0.jpg").write_bytes(b"no image")
    with pytest.raises(BenchError, match=r"River_0\.jpg"):
        EuroSAT().load(28, folders, print)


def test_it_has_no_split(folders):
    write("dtd", folders.data)
    source = DTD()
    with pytest.raises(BenchError, match="dtd is to test on"):
        source.split("all", source.load(28, folders, print))


def test_a_download_that_fails_is_told(folders, monkeypatch):
    def fail(self, root, download=False, **part):
        raise RuntimeError("no network" if download else "Dataset not found.")

    monkeypatch.setattr(torchvision_datasets().GTSRB, "__init__", fail)
    with pytest.raises(BenchError, match="the download of gtsrb failed: no network"):
        GTSRB().fetch(folders, print)
    with pytest.raises(BenchError, match="bench data fetch gtsrb"):
        GTSRB().load(28, folders, print)


def test_flowers_of_all_parts(folders):
    write("flowers102", folders.data)
    loaded = Flowers102().load(28, folders, print)
    assert loaded.counts.tolist() == [3, 3]
    assert loaded.class_names[0] == "canterbury bells" or len(loaded.class_names) == 2
