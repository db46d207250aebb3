"""Scores that cannot be read are damaged, whatever stands there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.store import layout
from bench.store.files import metric_scores

DAMAGED = {
    "a number too large for a float": [0.5, 10**400],
    "one such number": 10**400,
    "text": ["a"],
    "lists of several lengths": [[1], [1, 2]],
    "a dict": {"a": 1},
}


@pytest.mark.parametrize("scores", DAMAGED)
@pytest.mark.parametrize("place", ["accuracy", "scores"])
def test_what_is_no_score(place: str, scores: str, tmp_path: Path) -> None:
    content = DAMAGED[scores]
    stored = {"bank": "b", place: content if place == "accuracy" else {"accuracy": content}}
    (tmp_path / layout.EPISODES).write_text(json.dumps(stored))
    with pytest.raises(BenchError, match="compute the cell again"):
        metric_scores(tmp_path, "accuracy")


def test_scores(tmp_path: Path) -> None:
    (tmp_path / layout.EPISODES).write_text('{"bank": "b", "accuracy": [0.5, 1]}')
    bank, scores = metric_scores(tmp_path, "accuracy")
    assert (bank, scores.tolist()) == ("b", [0.5, 1.0])
