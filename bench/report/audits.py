"""Audits of trained weights: which checks a learner's trainings pass, and what is measured where
nothing is promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench.results.boards import Board, Entry
from bench.results.formats import MISSING
from bench.store.files import Json, Problem, audit_records

INAPPLICABLE = "n. a."
MEANINGS = {
    "query-labels": "labels that loss was given change no answer",
    "query-independence": "a query is answered alike alone and among others",
    "episode-independence": "an episode is answered alike alone and among others",
    "causality": "no answer depends on its own label or on what comes later",
    "first-presentation": "no better than guessing among the labels not yet seen",
    "two-views": "unroll answers as adapt and predict do",
    "state-reset": "nothing is left of the episodes before",
    "support-order": "the support set is read backwards",
    "label-order": "the classes exchange their labels",
}
"""What the notes of a table say of the checks in it."""


def with_audits(frame: pd.DataFrame, root: Path, problems: list[Problem]) -> pd.DataFrame:
    """The table of cells with what is stored of their trainings' audits.

    Args:
        frame: what `bench.results.table.load_results` returned, or some of its rows.
        root: the results folder.
        problems: damaged files are added to it.

    Returns:
        The table with two more columns: ``audits``, the `bench.store.records.Audit` of the training
        as stored, None where it has none; ``audit_failure``, a `bench.store.records.Failure` or
        None.
    """
    known = {
        training: audit_records(root, training, problems)
        for training in frame["training"].dropna().unique()
    }
    found = [known.get(training, (None, None)) for training in frame["training"]]
    columns = {"audits": [one[0] for one in found], "audit_failure": [one[1] for one in found]}
    return frame.assign(
        **{name: pd.Series(own, frame.index, object) for name, own in columns.items()}
    )


def audits_by_training(entry: Entry) -> dict[str, list[Json] | None]:
    """Of each training of an entry; None where it was not audited."""
    return {cell["training"]: cell.get("audits") for cell in entry.cells}


def failed_audits(audits: list[Json] | None) -> Iterator[Json]:
    """Those that failed."""
    return (audit for audit in audits or [] if audit.get("outcome") == "failed")


def failed(entry: Entry) -> bool:
    """Whether any audit of any of its trainings did."""
    return any(any(failed_audits(own)) for own in audits_by_training(entry).values())


def audit_names(board: Board) -> list[str]:
    """The audits that say something of a learner of the board, in the order they are stored in."""
    told: dict[str, bool] = {}
    for entry in board.entries:
        for own in audits_by_training(entry).values():
            for audit in own or []:
                name = str(audit.get("name"))
                told[name] = told.get(name, False) or audit.get("outcome") != "not applicable"
    return [name for name, says in told.items() if says]


def outcome(entry: Entry, name: str) -> str | float | None:
    """What an audit found in an entry's trainings together: ``passed``, ``failed``, the mean of
    what was measured, or ``n. a.``; None where none of them was audited."""
    trainings = audits_by_training(entry)
    found = [a for own in trainings.values() for a in own or [] if a.get("name") == name]
    outcomes = [audit.get("outcome") for audit in found]
    if not found:
        return None
    if "failed" in outcomes:
        return _counted("failed", outcomes.count("failed"), len(trainings))
    if "measured" in outcomes:
        values = [audit.get("value") or 0.0 for audit in found]
        return sum(values) / len(values)
    if "passed" in outcomes:
        return _counted("passed", outcomes.count("passed"), len(trainings))
    return INAPPLICABLE


def _counted(word: str, count: int, of: int) -> str:
    return word if count == of else f"{word} {count} of {of}"


def outcome_text(entry: Entry, name: str) -> str:
    """The same as it is shown."""
    told = outcome(entry, name)
    if told is None:
        return MISSING
    return told if isinstance(told, str) else f"{100 * told:.1f} %"


def notes(board: Board, names: list[str]) -> list[str]:
    """What the words, the figures and the columns mean."""
    told = [
        "the checks of bench check, repeated on the trained weights, on a few episodes of the "
        "meta-validation classes"
    ]
    texts = [outcome_text(entry, name) for entry in board.entries for name in names]
    if any("%" in text for text in texts):
        told += ["%: nothing is promised, and so many of the answers change"]
    told += [f"{INAPPLICABLE}: not applicable"] if INAPPLICABLE in texts else []
    told += [f"{MISSING}: not audited"] if MISSING in texts else []
    return told + [f"{title(name)}: {MEANINGS[name]}" for name in names if name in MEANINGS]


def title(name: str) -> str:
    """Of a column."""
    return name.replace("-", " ")
