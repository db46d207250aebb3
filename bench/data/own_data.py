"""Data of the user's own, as suites name it: which class reads it."""

from __future__ import annotations

from pathlib import Path

from bench.data.array_file import ArrayFile
from bench.data.class_folder import ClassFolder
from bench.data.image_folder import ImageFolder

OwnData = ImageFolder | ArrayFile


def own_source(classes: ClassFolder) -> OwnData:
    """The dataset at a path: a file's arrays or a folder of images, as it was asked for. The ending
    decides where that is not said, in what an older version has written."""
    arrays = classes.arrays
    if arrays is None:
        arrays = Path(classes.path).suffix == ".npz"
    return (ArrayFile if arrays else ImageFolder)(classes)
