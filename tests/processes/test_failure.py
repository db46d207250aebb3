"""Words for how a process failed, whatever a learner raised."""

from __future__ import annotations

import errno
import signal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.api.executor import MOST_REASON, MOST_TRACEBACK, Ended
from bench.processes.failure import failure_of, how_it_ended, signal_name
from bench.running.runner import TRIED_AGAIN
from bench.store.atomic import CannotWriteError


class NoTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raised(error: BaseException) -> Ended:
    try:
        raise error
    except BaseException as caught:
        return failure_of(caught)


def test_name_text_and_traceback():
    ended = raised(ValueError(" wrong "))
    assert ended.reason == "ValueError: wrong"
    assert ended.traceback is not None
    assert "test_failure.py" in ended.traceback
    assert raised(KeyboardInterrupt()).reason == "KeyboardInterrupt"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 540.00 MiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_no_memory_left(error):
    ended = raised(error)
    assert ended.kind == "memory"
    assert ended.traceback is not None


def test_the_machine_s_memory_is_asked_for_in_vain():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert failure_of(caught.value).kind == "memory"
    assert raised(ValueError("out of memory is only a word here")).kind == "error"


def test_an_exception_without_a_text_of_its_own():
    assert raised(NoTextError()).reason == "NoTextError: (its text cannot be made)"


def test_a_long_one_is_cut_and_says_so():
    ended = raised(ValueError("begin " + "x" * 1_000_000 + " end"))
    assert ended.reason.startswith("ValueError: begin xx")
    assert ended.reason.endswith("xx end")
    # "ValueError: begin ", a million and " end" are 1,000,022 characters
    assert f"{1_000_022 - MOST_REASON:,} characters left out" in ended.reason
    assert len(ended.reason) < MOST_REASON + 50
    assert ended.traceback is not None
    assert len(ended.traceback) < MOST_TRACEBACK + 50


def test_what_no_file_may_hold_is_escaped():
    assert raised(ValueError("caf\udce9.png \0")).reason == "ValueError: caf\\udce9.png \\x00"


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_any_text_can_be_stored(reason, traceback):
    ended = Ended("error", reason, traceback)
    for text in (ended.reason, ended.traceback):
        assert text is not None
        assert text.encode().decode() == text


@pytest.mark.parametrize("number", range(1, 80))
def test_every_signal_has_a_name(number):
    assert signal_name(number).startswith(("SIG", "signal "))
    assert signal_name(number) in how_it_ended(-number, None)


def test_names_of_signals():
    assert signal_name(signal.SIGSEGV) == "SIGSEGV"
    assert signal_name(signal.SIGRTMIN + 6) == "SIGRTMIN+6"
    assert signal_name(1000) == "SIGRTMIN+966" if signal.SIGRTMIN == 34 else True


def test_how_it_ended():
    assert how_it_ended(3, None) == "the process ended the interpreter with exit code 3"
    assert "want of memory" in how_it_ended(-signal.SIGKILL, None)
    assert how_it_ended(1, "words").endswith("; last line of its log: words")
    assert "is gone" in how_it_ended(None, None)


def test_a_full_disk_is_no_failure_of_the_learner():
    full = CannotWriteError("best.pt", OSError(errno.ENOSPC, "No space left on device"))
    ended = raised(full)
    assert ended.kind in TRIED_AGAIN
    assert ended.reason.startswith("cannot write best.pt (No space left on device)")
