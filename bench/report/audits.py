"""Audits of trained weights: which checks a learner's trainings pass, and what is measured where
nothing is promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.results.boards import Board, Entry
from bench.results.formats import MISSING
from bench.results.rows import AuditFound, CellRow, Failed
from bench.results.stored_rows import audit_of, failed_of
from bench.store.checked import Problem
from bench.store.files import audit_records

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


def read_audits(
    root: Path, training: str, problems: list[Problem] | None = None
) -> tuple[list[AuditFound] | None, Failed | None]:
    """The audits of a training, and why they could not be made; None for what is not there.

    Args:
        root: the results folder.
        training: its folder name.
        problems: damaged files are added to it.
    """
    audits, failure = audit_records(root, training, problems)
    found = [audit_of(audit) for audit in audits] if audits else None
    return found, failed_of(failure)


def with_audits(rows: Sequence[CellRow], root: Path, problems: list[Problem]) -> list[CellRow]:
    """The cells with what is stored of their trainings' audits.

    Args:
        rows: of `bench.results.reading.read_results`.
        root: the results folder.
        problems: damaged files are added to it.
    """
    trainings = dict.fromkeys(row.training for row in rows if row.training)
    known = {training: read_audits(root, training, problems) for training in trainings}
    found = [known.get(row.training or "", (None, None)) for row in rows]
    return [
        replace(row, audits=audits, audit_failure=failure) if audits or failure else row
        for row, (audits, failure) in zip(rows, found, strict=True)
    ]


def audits_by_training(entry: Entry) -> dict[str | None, Sequence[AuditFound] | None]:
    """Of each training of an entry; None where it was not audited."""
    return {row.training: row.audits for row in entry.cells}


def failed_audits(audits: Sequence[AuditFound] | None) -> Iterator[AuditFound]:
    """Those that failed."""
    return (audit for audit in audits or [] if audit.outcome == "failed")


def failed(entry: Entry) -> bool:
    """Whether any audit of any of its trainings did."""
    return any(any(failed_audits(own)) for own in audits_by_training(entry).values())


def audit_names(board: Board) -> list[str]:
    """The audits that say something of a learner of the board, in the order they are stored in."""
    says: dict[str, bool] = {}
    for entry in board.entries:
        for own in audits_by_training(entry).values():
            for audit in own or []:
                applies = audit.outcome != "not applicable"
                says[audit.name] = says.get(audit.name, False) or applies
    return [name for name, something in says.items() if something]


def outcome(entry: Entry, name: str) -> str | float | None:
    """What an audit found in an entry's trainings together: ``passed``, ``failed``, the mean of
    what was measured, or ``n. a.``; None where none of them was audited."""
    trainings = audits_by_training(entry)
    found = [a for own in trainings.values() for a in own or [] if a.name == name]
    outcomes = [audit.outcome for audit in found]
    if not found:
        return None
    if "failed" in outcomes:
        return _counted("failed", outcomes.count("failed"), len(trainings))
    if "measured" in outcomes:
        values = [audit.value or 0.0 for audit in found]
        return sum(values) / len(values)
    if "passed" in outcomes:
        return _counted("passed", outcomes.count("passed"), len(trainings))
    return INAPPLICABLE


def _counted(word: str, count: int, of: int) -> str:
    return word if count == of else f"{word} {count} of {of}"


def outcome_text(entry: Entry, name: str) -> str:
    """The same as it is shown."""
    found = outcome(entry, name)
    if found is None:
        return MISSING
    return found if isinstance(found, str) else f"{100 * found:.1f} %"


def notes(board: Board, names: list[str]) -> list[str]:
    """What the words, the figures and the columns mean."""
    lines = [
        "the checks of bench check, repeated on the trained weights, on a few episodes of the "
        "meta-validation classes"
    ]
    texts = [outcome_text(entry, name) for entry in board.entries for name in names]
    if any("%" in text for text in texts):
        lines += ["%: nothing is promised, and so many of the answers change"]
    lines += [f"{INAPPLICABLE}: not applicable"] if INAPPLICABLE in texts else []
    lines += [f"{MISSING}: not audited"] if MISSING in texts else []
    return lines + [f"{title(name)}: {MEANINGS[name]}" for name in names if name in MEANINGS]


def title(name: str) -> str:
    """Of a column."""
    return name.replace("-", " ")
