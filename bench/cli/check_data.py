"""`bench check` of a suite or a dataset."""

from __future__ import annotations

from typing import Literal

from bench.api.dataset import DataFolders, Notify
from bench.cli.check_dataset import check_dataset
from bench.cli.check_suite import check_suite
from bench.cli.kinds import Kind


def check_data(
    thing: str,
    kind: Kind,
    image_size: int,
    folders: DataFolders,
    fmt: Literal["table", "json"],
    tell: Notify,
) -> tuple[str, bool]:
    """What is found about a suite or a dataset, as text; whether it passed."""
    if kind == "suite":
        return check_suite(thing, folders, fmt, tell)
    return check_dataset(thing, image_size, folders, fmt, tell)
