"""What a learner answered, query by query, where a run was asked to keep it.

``answers.npz`` holds arrays: ``label``, ``choice``, ``confidence`` (E, Q), ``classes`` (E, N), the
names of the classes, and the images of the first episodes. Of a protocol whose answers are no
classes it is empty.

Letters in shapes: ``E`` episodes of the bank, ``Q`` queries (online: steps), ``N`` ways, ``F``
first episodes, ``S`` support images, ``C`` channels, ``H`` by ``W`` pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.store import layout
from bench.store.arrays import read_arrays
from bench.store.atomic import save_arrays
from bench.store.checked import missing

SHOWN = 8
"""Episodes whose images are stored."""
MOST_BYTES = 2**30
"""That such a file may unpack to."""

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class StoredAnswers:
    """What one cell answered."""

    label: IntArray
    """(E, Q) the right class, in [0, N)."""
    choice: IntArray
    """(E, Q) the answer."""
    confidence: NDArray[np.floating[Any]]
    """(E, Q) the probability that it was given."""
    classes: IntArray
    """(E, N) the dataset's class behind each label, by its place in `names`."""
    names: list[str]
    support_x: NDArray[np.uint8] = field(repr=False)
    """(F, S, C, H, W); S is 0 where a protocol shows no support set."""
    support_y: IntArray = field(repr=False)
    """(F, S)"""
    query_x: NDArray[np.uint8] = field(repr=False)
    """(F, Q, C, H, W)"""

    @property
    def episodes(self) -> int:
        """How many were answered."""
        return len(self.label)

    def shown(self, episode: int) -> bool:
        """Whether the images of an episode are stored."""
        return episode < len(self.query_x)

    def name(self, episode: int, label: int) -> str:
        """The dataset's name of a class of an episode."""
        number = int(self.classes[episode, label])
        return self.names[number] if number < len(self.names) else f"class {number}"


def keep_answers(cell: Path, arrays: dict[str, NDArray[Any]], names: list[str]) -> None:
    """Stores the arrays that are fields of `StoredAnswers`; none of them: an empty file.

    Raises:
        CannotWriteError: it cannot be written.
    """
    stored = arrays | {"names": np.array(names, dtype=np.str_)} if arrays else {}
    save_arrays(cell / layout.ANSWERS, stored)


def stored_answers(cell: str | Path) -> StoredAnswers | None:
    """What a cell answered; None where that was not kept, or there is nothing to keep.

    Args:
        cell: its folder, the column ``path`` of `load_results`.

    Raises:
        BenchError: the file is damaged.
    """
    path = Path(cell) / layout.ANSWERS
    if missing(path):
        return None
    try:
        arrays = read_arrays(path, MOST_BYTES)
        return _checked(arrays) if arrays else None
    except Exception as error:  # see `read_arrays`
        raise BenchError(f"{path} is damaged ({error})") from error


def _checked(arrays: dict[str, NDArray[Any]]) -> StoredAnswers:
    names = [str(name) for name in arrays.pop("names").tolist()]
    found = StoredAnswers(names=names, **arrays)
    episodes, queries = found.label.shape
    fits = (
        found.choice.shape == found.confidence.shape == (episodes, queries)
        and found.classes.shape[0] == episodes
        and found.query_x.ndim == 5
        and found.query_x.shape[1] in (queries, 0)
        and found.support_x.shape[:2] == found.support_y.shape
        and len(found.support_x) == len(found.query_x)
    )
    ways = found.classes.shape[1]
    if not fits or max(found.label.max(), found.choice.max()) >= ways:
        raise ValueError("its arrays do not fit together")
    return found
