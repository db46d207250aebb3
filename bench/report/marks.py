"""What has to be known of a figure before it is compared, as a mark beside it."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report import audits
from bench.results.boards import Entry

OTHER_CODE, TRANSDUCTIVE, FAILED_AUDIT = "†", "‡", "§"


MARKS = {
    OTHER_CODE: "measured with other code of this learner than is installed now",
    TRANSDUCTIVE: "transductive: the answer to a query depends on the other queries",
    FAILED_AUDIT: "failed an audit of its trained weights: see the audits",
}


def marks_of(entry: Entry) -> str:
    """The marks of a learner on a board; empty where nothing has to be known."""
    return (
        OTHER_CODE * entry.other_code
        + TRANSDUCTIVE * entry.transductive
        + FAILED_AUDIT * audits.failed(entry)
    )


def legend(marks: Iterable[str]) -> list[str]:
    """What these marks mean, each once."""
    used = set().union(*marks)
    return [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]
