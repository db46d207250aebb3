"""Errors that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """Something that the user can put right: what was wrong, what was expected, what to do next.

    The command line prints the message without a traceback and exits with code 2.
    """


class WrongValueError(BenchError, ValueError):
    """A value of the wrong type or range, given to what both people and learners build."""


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str = "") -> BenchError:
    """An error for a name that does not exist, with the nearest names that do.

    Args:
        kind: what the name should have been, for instance ``"suite"``.
        name: what was given.
        known: the valid names.
        hint: what to do next, a sentence.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        advice = "did you mean " + " or ".join(repr(word) for word in near) + "?"
    elif names:
        advice = "known: " + ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    else:
        advice = "none is known"
    return BenchError(f"no {kind} is called {name!r}; {advice}" + (f"\n{hint}" if hint else ""))
