"""`bench check` for datasets: the named checks of `bench.testing.datasets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bench.api.dataset import DataFolders, Notify


def check_dataset(
    text: str,
    image_size: int,
    folders: DataFolders,
    fmt: Literal["table", "json"],
    tell: Notify,
) -> tuple[str, bool]:
    """What the checks of a dataset say, as text; whether all passed.

    Args:
        text: an installed dataset or probe, or ``folder:PATH``.
        image_size: height and width that it is loaded at.
        folders: where the data is.
        fmt: a table for people, or JSON.
        tell: told what takes long.

    Raises:
        BenchError: there is no such dataset.
    """
    from bench.cli.check_text import describe
    from bench.planning.data import named_source
    from bench.testing.datasets import check_dataset as run_checks

    source = named_source(text)
    results = run_checks(source, image_size, folders, tell)
    if fmt == "json":
        shown = json.dumps([{"dataset": text, **vars(result)} for result in results], indent=2)
    else:
        shown = describe(text, results)
    return shown, all(result.status != "fail" for result in results)
