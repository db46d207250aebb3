"""Items that nobody has labelled, which would be a class of their own that mixes all classes.

Datasets say -1 of such an item (the parts for tests on the Hugging Face Hub), or -100, or None. The
"class" of them would have items of every class, those of the meta-test too, and be trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from bench.errors import BenchError


def check_labelled(where: str, labels: NDArray[Any], advice: str) -> None:
    """Refuses whole numbers below 0; names of classes may be any.

    Args:
        where: what has the labels, as the message begins.
        labels: (M,) integers or texts.
        advice: how the items are left out.

    Raises:
        BenchError: how many have no label, and which is the first.
    """
    if labels.dtype.kind == "i":
        refuse_unlabelled(where, labels.tolist(), (labels >= 0).tolist(), "numbered from 0", advice)


def refuse_unlabelled(
    where: str, labels: Sequence[Any], known: Sequence[bool], of: str, advice: str
) -> None:
    """Raises BenchError unless every label is known, which `known` says by item; `of` says what
    they could have been, `advice` how the others are left out."""
    if not all(known):
        first = known.index(False)
        raise BenchError(
            f"{where}: {known.count(False):,} of {len(labels):,} items have no label of the "
            f"classes {of}, the first is item {first} with {labels[first]!r}; leave them out: "
            f"{advice}"
        )
