"""Fetches datasets' archives, from the addresses and with the checksums that torchvision knows."""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from bench.api.cache import unwritable
from bench.api.dataset import Notify
from bench.errors import BenchError

TIMEOUT = 15.0
"""Seconds without an answer from the server after which a download is given up."""


class RemoteFile(NamedTuple):
    """An archive on a server."""

    name: str
    url: str
    md5: str


def download(
    archives: Callable[[ModuleType], Sequence[RemoteFile]], folder: Path, notify: Notify
) -> None:
    """Downloads archives into `folder`; each appears there whole and verified, or not at all.

    Args:
        archives: given ``torchvision.datasets``, says which.
        folder: made when missing.
        notify: told before each download.

    Raises:
        BenchError: for a folder that cannot be written, no network, a wrong checksum, or a missing
            torchvision.
    """
    from bench.data.torchvision_shim import torchvision_datasets

    try:
        datasets = torchvision_datasets()
    except ImportError as error:
        raise BenchError(f"nothing can be downloaded without torchvision: {error}") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(
            prefix=".building-", dir=folder, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise unwritable(folder, error) from error
    with scratch as temporary:
        for file in archives(datasets):
            notify(f"downloading {file.name} to {folder}")
            _fetch(datasets, file, Path(temporary))
            (Path(temporary) / file.name).replace(folder / file.name)


def _fetch(datasets: ModuleType, file: RemoteFile, folder: Path) -> None:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none: a silent server would hang us
    try:
        datasets.utils.download_url(file.url, folder, file.name, file.md5)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise unwritable(folder.parent, error) from error
        raise BenchError(f"the download of {file.name} failed: {error}") from error
    except RuntimeError as error:  # a wrong checksum
        raise BenchError(f"the download of {file.name} failed: {error}") from error
    finally:
        socket.setdefaulttimeout(before)
