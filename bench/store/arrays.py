"""Arrays in an ``.npz`` file of a results folder, which may be anybody's."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api.files import read_regular


def read_arrays(path: Path, most: int) -> dict[str, NDArray[Any]]:
    """All arrays of a file, by name; nothing in it is run.

    Args:
        path: the file.
        most: bytes that it may unpack to.

    Raises:
        ValueError: it unpacks to more.
        Exception: it is damaged: numpy, zipfile and zlib raise many kinds.
    """
    content = io.BytesIO(read_regular(path))
    with zipfile.ZipFile(content) as archive:
        if sum(member.file_size for member in archive.infolist()) > most:
            raise ValueError(f"it unpacks to more than {most / 2**20:,.0f} MiB")
    with np.load(content, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
