"""Data of the user's own, as suites name it: which class reads it."""

from __future__ import annotations

from pathlib import Path

from bench.data.array_file import ArrayFile
from bench.data.class_folder import ClassFolder
from bench.data.image_folder import ImageFolder

OwnData = ImageFolder | ArrayFile


def own_source(classes: ClassFolder) -> OwnData:
    """The dataset at a path: of an ``.npz`` file its arrays, else a folder of images."""
    return (ArrayFile if Path(classes.path).suffix == ".npz" else ImageFolder)(classes)
