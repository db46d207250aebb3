"""Where data is looked for and where it is cached: options, environment variables, defaults."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bench.api.dataset import DataFolders
from bench.errors import BenchError


def data_folders(data_dir: str | Path | None = None) -> DataFolders:
    """Resolves the data and the cache folder.

    Data: `data_dir` (``--data-dir``), else ``$BENCH_DATA_DIR``, else none. Cache:
    ``$BENCH_CACHE_DIR``, else ``$XDG_CACHE_HOME/bench``, else ``~/.cache/bench``; it is created
    when something is stored. An empty variable counts as unset.

    Raises:
        BenchError: when the data folder that was named does not exist, or there is no home.
    """
    named = data_dir or os.environ.get("BENCH_DATA_DIR")
    origin = "--data-dir" if data_dir else "$BENCH_DATA_DIR"
    data = named_path(named, f"the data folder ({origin})") if named else None
    if data is not None and not data.is_dir():
        raise BenchError(
            f"the data folder {data} ({origin}) is not a folder; name the one that holds the "
            "dataset, or leave it out and use the embedded characters: --suite glyphs-5way"
        )
    if own := os.environ.get("BENCH_CACHE_DIR"):
        cache = named_path(own, "the cache folder ($BENCH_CACHE_DIR)")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        cache = named_path(f"{home}/bench", "the cache folder (set $BENCH_CACHE_DIR to another)")
    return DataFolders(data, cache)


def named_path(text: str | Path, what: str, home: bool = True) -> Path:
    """A path as a person names it, made absolute; it need not be there.

    Args:
        text: the path.
        what: what it is the path of, for the message.
        home: whether ``~`` is a home; else it is a name like others.

    Raises:
        BenchError: no file can have this path: a home that nobody has, a name that is too long.
    """
    try:
        path = (Path(text).expanduser() if home else Path(text)).absolute()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.lstat()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BenchError(f"{what} cannot be {_short(str(text))!r}: {why}") from error
    return path


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:80]}...{text[-17:]}"
