"""Where data is looked for and where it is cached: options, environment variables, defaults."""

from __future__ import annotations

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
        BenchError: when the data folder that was named does not exist.
    """
    named = data_dir or os.environ.get("BENCH_DATA_DIR")
    data = Path(named).expanduser().absolute() if named else None
    if data is not None and not data.is_dir():
        origin = "--data-dir" if data_dir else "$BENCH_DATA_DIR"
        raise BenchError(
            f"the data folder {data} ({origin}) is not a folder; name the one that holds the "
            "dataset, or leave it out and use the embedded characters: --suite glyphs-5way"
        )
    if own := os.environ.get("BENCH_CACHE_DIR"):
        cache = Path(own)
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "bench"
    return DataFolders(data, cache.expanduser().absolute())
