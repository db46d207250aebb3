"""Small datasets in the official forms, as torchvision would have extracted them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


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
