"""Fetches Omniglot's archives, from the addresses and with the checksums that torchvision knows."""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.api.cache import unwritable
from bench.api.dataset import Notify
from bench.errors import BenchError

TIMEOUT = 15.0
"""Seconds without an answer from the server after which a download is given up."""


def download(archives: Iterable[str], folder: Path, notify: Notify) -> None:
    """Downloads archives into `folder`; each appears there whole and verified, or not at all.

    Args:
        archives: names without ending, of ``torchvision.datasets.Omniglot.zips_md5``.
        folder: made when missing.
        notify: told before each download.

    Raises:
        BenchError: for a folder that cannot be written, no network, a wrong checksum.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(
            prefix=".building-", dir=folder, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise unwritable(folder, error) from error
    with scratch as temporary:
        for archive in archives:
            notify(f"downloading {archive}.zip to {folder}")
            _fetch(archive, Path(temporary))
            (Path(temporary) / f"{archive}.zip").replace(folder / f"{archive}.zip")


def _fetch(archive: str, folder: Path) -> None:
    from bench.data.torchvision_shim import torchvision_datasets

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none: a silent server would hang us
    try:
        datasets = torchvision_datasets()
        source = datasets.Omniglot
        url = f"{source.download_url_prefix}/{archive}.zip"
        datasets.utils.download_url(url, folder, f"{archive}.zip", source.zips_md5[archive])
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise unwritable(folder.parent, error) from error
        raise BenchError(f"the download of {archive}.zip failed: {error}") from error
    except (ImportError, RuntimeError) as error:  # RuntimeError: a wrong checksum
        raise BenchError(f"the download of {archive}.zip failed: {error}") from error
    finally:
        socket.setdefaulttimeout(before)
