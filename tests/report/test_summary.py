"""Sentences about a board."""

from __future__ import annotations

from pathlib import Path

from bench.report.summary import sentences
from bench.results.boards import boards
from bench.results.reading import read_results
from tests.helpers.synthetic import write_probe


def said(root: Path, wrong: dict[str, float]) -> str:
    for learner, bits in wrong.items():
        write_probe(root, learner, wrong=bits)
    (sentence,) = sentences(boards(read_results(root).rows))
    return sentence.removeprefix("copy, length20, budget standard: ")


def test_equal_bests_share_their_place(tmp_path: Path) -> None:
    told = said(tmp_path, {"lstm": 0.0, "ntm": 0.0, "mann": 3.0})
    assert told == "lstm, ntm share the lowest, 0.000 wrong bits."


def test_all_that_come_second_are_named(tmp_path: Path) -> None:
    """The same sequences are wrong in the same way: equal scores."""
    alone = said(tmp_path / "one", {"ntm": 0.0, "lstm": 3.0, "mann": 9.0})
    assert alone.startswith("ntm 0.000 wrong bits is the lowest, then lstm ")
    both = said(tmp_path / "two", {"ntm": 0.0, "lstm": 3.0, "mann": 3.0, "mlp": 9.0})
    figure = alone.partition("then lstm ")[2].partition(" ")[0]
    assert both.endswith(f"is the lowest, then lstm, mann with {figure} wrong bits each.")
