"""Which classes of a folder of images belong to which phase: by seeded fractions, or by a list."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from bench.api.dataset import Split
from bench.data.split_files import composed, csv_rows
from bench.episodes.words import seeded_order
from bench.errors import BenchError, unknown_name


def split_by_fraction(
    names: Sequence[str], train: float, val: float, seed: int
) -> dict[str, list[str]]:
    """Draws the classes of each phase; what train and val leave is test.

    The classes are put in a random order that only their names and the seed decide, and cut at
    ``round(train * n)`` and ``round((train + val) * n)``.
    """
    order = seeded_order(str(seed), names)
    first, second = round(train * len(order)), round((train + val) * len(order))
    return {"train": order[:first], "val": order[first:second], "test": order[second:]}


def split_by_list(names: Sequence[str], path: Path) -> dict[str, list[str]]:
    """Reads the classes of each phase from a CSV file with the header ``class,split``.

    Classes that it does not list are not used.

    Raises:
        BenchError: with the line that is wrong: an unknown class or phase, or a class for the
            second time.
    """
    rows = csv_rows(path)
    if not rows or [cell.strip() for cell in rows[0]] != ["class", "split"]:
        raise BenchError(
            f"{path}, line 1: the header is to be class,split; or filename,label in a list of the "
            "images of one phase, called train.csv, val.csv or test.csv"
        )
    known, seen = composed(names), dict[str, tuple[int, str]]()
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != 2:
            raise BenchError(f"{path}, line {line}: two columns are wanted, got {len(row)}")
        given, phase = (cell.strip() for cell in row)
        name = known.get(unicodedata.normalize("NFC", given))
        if name is None:
            raise BenchError(f"{path}, line {line}: {unknown_name('class', given, names)}")
        if phase not in Split._fields:
            told = unknown_name("split", phase, Split._fields)
            raise BenchError(f"{path}, line {line}: {told}")
        if name in seen:
            first, other = seen[name]
            raise BenchError(
                f"{path}, line {line}: the class {name!r} is in {phase}, and by line {first} in "
                f"{other}; a class is listed once"
            )
        seen[name] = line, phase
    return {
        phase: [name for name, (_, given) in seen.items() if given == phase]
        for phase in Split._fields
    }
