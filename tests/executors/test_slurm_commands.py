"""What Slurm's commands print, and what is done while its controller is away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.executors import slurm_commands
from bench.executors.slurm_commands import (
    AwayError,
    Task,
    call,
    most_tasks,
    patiently,
    queue,
    read_queue,
    task_numbers,
)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Puts a shell script on the path, under a name."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(name: str, script: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3", [3]),
        ("0-2", [0, 1, 2]),
        ("1-2,7%64", [1, 2, 7]),
        ("0-8:4", [0, 4, 8]),
        ("N/A", []),
        ("", []),
        ("1-2,...", []),
    ],
)
def test_tasks_of_an_array(text, numbers):
    assert list(task_numbers(text)) == numbers


def test_a_queue_is_read():
    told = "7|1-2%4|PENDING|Priority|bench-a\n7|0|RUNNING|None|bench-a\n9|N/A|RUNNING||x\n\n"
    assert list(read_queue(told)) == [
        Task("7", 1, "PENDING", "Priority", "bench-a"),
        Task("7", 2, "PENDING", "Priority", "bench-a"),
        Task("7", 0, "RUNNING", "None", "bench-a"),
    ]


def test_the_surroundings_of_a_job_do_not_become_those_of_another(command, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/own.conf")
    command("squeue", "env | grep ^SLURM_ | sort | tr '\\n' ' '")
    assert call("squeue") == "SLURM_BITSTR_LEN=0 SLURM_CONF=/etc/own.conf "


@pytest.mark.parametrize(
    "words",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
    ],
)
def test_a_controller_that_is_away(command, words):
    command("squeue", f"echo '{words}' >&2; exit 1")
    with pytest.raises(AwayError):
        queue()


def test_a_refusal_is_told_with_slurm_s_words(command):
    command("sbatch", "echo 'sbatch: error: invalid partition specified: gpus' >&2; exit 1")
    with pytest.raises(BenchError, match=r"sbatch: .*invalid partition specified: gpus") as refused:
        call("sbatch")
    assert not isinstance(refused.value, AwayError)


def test_no_slurm_at_all(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchError, match=r"no command squeue on this machine; .* login node"):
        queue()


def test_it_is_asked_again_and_what_it_did_is_not_done_twice(monkeypatch):
    monkeypatch.setattr(slurm_commands, "RETRY_SECONDS", 0.0)
    asked, told = [], []

    def ask() -> str:
        asked.append("ask")
        if len(asked) < 3:
            raise AwayError("sbatch: timed out")
        return "12"

    assert patiently(ask, told.append, lambda: None) == "12"
    assert len(asked) == 3
    assert len(told) == 1
    assert "does not answer, and is waited for" in told[0]
    asked.clear()
    assert patiently(ask, told.append, lambda: "11") == "11", "it had been submitted"
    assert len(asked) == 1


def test_the_largest_array(command):
    command("scontrol", "echo 'MaxArraySize            = 1001'")
    assert most_tasks() == 1001
    command("scontrol", "echo nothing")
    assert most_tasks() == 1001
