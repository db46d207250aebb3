"""Nothing that arrives on the pipe can do more than fail the one that wrote it."""

from __future__ import annotations

import contextlib
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.processes.messages import FOREIGN, MOST_LINE, MOST_TEXT, Failure, Reader, Sender, parse

WELL = b'{"progress": {"fraction": 0.5}}\n'


def read(content: bytes) -> list:
    return list(Reader().take(content))


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_what_is_sent_is_read(pipe):
    sender = Sender(pipe[1])
    sender.progress({"fraction": 0.5, "loss": math.nan, "updates": 3, "note": "é"})
    sender.failure("ValueError: \n caf\udce9", "Traceback\n ...")
    progress, failure = read(os.read(pipe[0], 2**16))
    assert math.isnan(progress.pop("loss"))
    assert progress == {"fraction": 0.5, "updates": 3, "note": "é"}
    assert failure == Failure("ValueError: \n caf\udce9", "Traceback\n ...")


@pytest.mark.parametrize("kind", ["error", "memory", "refused", "lost", "timeout", "exit"])
def test_what_a_worker_may_say_of_its_end_is_read_back(kind, pipe):
    Sender(pipe[1]).failure("reason", "traceback", kind)
    (failure,) = read(os.read(pipe[0], 2**16))
    own = kind in {"error", "memory", "refused"}  # of the others nobody but bench knows
    assert failure == (Failure("reason", "traceback", kind) if own else FOREIGN)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"nonsense", b"\xff\xfe\x00", b"null", b"[]", b"{}", b'{"progress": 3}',
        b'{"failure": ["a"]}', b'{"failure": [1, 2, "error"]}', b'{"failure": ["a", "b"]}',
        b'{"failure": ["a", "b", "lost"]}',
        b'{"other": {}}', b"[" * 100_000, b'{"progress": ' + b"9" * 5_000 + b"}",
        json.dumps({"progress": {str(key): key for key in range(100)}}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_message(line):
    assert parse(line) == FOREIGN
    assert read(line + b"\n" + WELL) == [FOREIGN, {"fraction": 0.5}]


def test_of_a_progress_numbers_and_short_texts_are_kept():
    event = {"a": 1, "b": "x", "c": "x" * (MOST_TEXT + 1), "d": [1], "e": 10**30, "f": None}
    assert parse(json.dumps({"progress": event}).encode()) == {"a": 1, "b": "x", "f": None}


def test_a_line_without_end_takes_no_memory():
    reader = Reader()
    for _ in range(200):
        assert list(reader.take(b"x" * (MOST_LINE // 10))) == []
        assert len(reader._line) <= MOST_LINE
    assert list(reader.take(b"\n" + WELL)) == [FOREIGN, {"fraction": 0.5}]


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(WELL), st.just(b"\n"))), st.data())
def test_how_it_is_cut_into_parts_does_not_matter(pieces, data):
    content = b"".join(pieces)
    reader, found, rest = Reader(), [], content
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += reader.take(rest[:size])
        rest = rest[size:]
    assert found == read(content)


def test_a_sender_whose_descriptor_is_closed_or_somebody_else_s_says_nothing(pipe, tmp_path):
    sender = Sender(pipe[1])
    os.close(pipe[1])
    sender.progress({"fraction": 0.5})
    with (tmp_path / "own").open("wb") as own:
        os.dup2(own.fileno(), pipe[1])
        sender.progress({"fraction": 0.5})
    assert (tmp_path / "own").read_bytes() == b""


def test_a_sender_that_nobody_hears_says_nothing(pipe):
    os.close(pipe[0])
    Sender(pipe[1]).failure("reason", "traceback")


def test_a_learner_that_replaces_what_json_offers_changes_nothing(pipe, monkeypatch):
    sender = Sender(pipe[1])
    monkeypatch.setattr("json.dumps", lambda *_: "nonsense")
    sender.progress({"fraction": 0.5})
    assert os.read(pipe[0], 100) == WELL
