"""A few seconds of fuzzing, and everything that it has once found; see `tests.fuzz`."""

from __future__ import annotations

import signal
import time
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from tests.fuzz import file_targets, targets
from tests.fuzz.__main__ import ALL, main
from tests.fuzz.mutations import mutate_bytes, mutate_tree
from tests.fuzz.target import CORPUS, Target, at_most, place_of

SECONDS = 4
"""For each target: all of them take 40 s and their imports."""

KEPT = [(name, kept) for name, target in ALL.items() for kept in target.corpus]


@pytest.mark.parametrize("name", ALL)
def test_no_input_raises_what_is_no_message(name):
    """Mutated inputs, and, of what is text, any at all."""
    target, started = ALL[name], time.monotonic()

    @settings(
        max_examples=600, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(st.one_of(st.integers(0, 2**63).map(target.case), st.binary(max_size=60)))
    def read(content: bytes) -> None:
        if time.monotonic() - started < SECONDS:
            error = target.finding(content)
            assert error is None, f"{place_of(error)} of {content[:2000]!r}"

    read()


@pytest.mark.parametrize(("name", "kept"), KEPT, ids=[f"{name}/{kept}" for name, kept in KEPT])
def test_what_was_found_once_stays_mended(name, kept):
    target = ALL[name]
    error = target.finding(target.corpus[kept])
    assert error is None, place_of(error)


@pytest.mark.parametrize("name", ALL)
def test_seeds_are_read_and_most_mutations_differ(name):
    """Otherwise nothing deeper than the first check would be reached."""
    target = ALL[name]
    assert all(target.finding(seed) is None for seed in target.seeds)
    readable = 0
    for seed in target.seeds:
        try:
            target.read(seed)
            readable += 1
        except BenchError:
            pass
    assert readable >= len(target.seeds) / 2
    made = {target.case(number) for number in range(50)}
    assert len(made) > 25
    assert target.case(7) == target.case(7)


def test_the_corpus_has_only_folders_of_targets():
    assert {path.name for path in CORPUS.iterdir()} <= set(ALL)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < 200_000


# -- that something would be found ----------------------------------------------------------------


def planted(content: bytes) -> None:
    """Refuses what is no number, and breaks at 0."""
    try:
        number = int(content)
    except ValueError as error:
        raise BenchError("no number") from error
    _ = 1 // number


def test_a_planted_bug_is_found_kept_and_counted(tmp_path, monkeypatch, capsys):
    target = Target("planted", planted, lambda c, r: str(r.randrange(5)).encode(), [b"1"], 2)
    monkeypatch.setitem(ALL, "planted", target)
    asked = ["--executions", "100", "--state", str(tmp_path), "--target", "planted"]
    with pytest.raises(SystemExit, match="True"):
        main(asked, standalone_mode=False)
    assert "120 executions, 1 findings" in capsys.readouterr().out
    (found,) = (tmp_path / "findings" / "planted").glob("*.input")
    assert found.read_bytes() == b"0"
    assert "ZeroDivisionError" in found.with_suffix(".txt").read_text()
    before = (tmp_path / "counts.json").read_text()
    with pytest.raises(SystemExit):
        main(asked, standalone_mode=False)  # goes on: there is nothing left to do
    assert (tmp_path / "counts.json").read_text() == before


def test_what_has_no_end_is_a_finding():
    def forever(_: bytes) -> None:
        while True:
            pass

    with pytest.raises(TimeoutError), at_most(1):
        forever(b"")
    assert signal.getsignal(signal.SIGALRM) is not None


def test_mutations_leave_what_they_are_given():
    tree = {"a": [1, {"b": 2}]}
    for number in range(200):
        mutate_tree(tree, Random(number))
    assert tree == {"a": [1, {"b": 2}]}
    assert mutate_bytes(b"abc", Random(1)) == mutate_bytes(b"abc", Random(1))


def test_every_reader_of_the_command_line_is_fuzzed():
    """All types of options that bench reads itself have a value among the seeds."""
    names = {value.split(b" ")[0].decode() for value in targets.VALUES}
    assert names == set(targets.READERS)
    assert {target.name for target in file_targets.TARGETS} >= {"results", "images", "archives"}
