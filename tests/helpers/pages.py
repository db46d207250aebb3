"""What tests read on Markdown pages, and what pages say held against what is stored."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import click

from bench.cli import cli

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def fences(page: str) -> list[tuple[str, str]]:
    """(language, text) of each fenced block."""
    return FENCE.findall(page)


def commands(page: str) -> list[str]:
    """Every ``bench`` command: in blocks without a language or for consoles, and in the text."""
    lines = [
        line for word, text in fences(page) if word in ("", "console") for line in lines_of(text)
    ]
    last = [line.rpartition("&& ")[2] for line in lines]
    prose = FENCE.sub("", page)
    return sorted(
        {line for line in last if line.startswith("bench ")}
        | {" ".join(span.split()) for span in re.findall(r"`(bench\s\w[\w-]*\s[^`]+)`", prose)}
    )


def lines_of(block: str) -> list[str]:
    """Of a block of commands, without prompts and comments."""
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in block.splitlines()]


def parse(line: str) -> click.Context:
    """What a command line means; raises a click exception for a wrong one."""
    _, *words = shlex.split(line, comments=True)
    command: click.Command = cli
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(click.Context(command), words)
    return command.make_context(line, words)


def rows_below(page: str, sentence: str) -> list[list[str]]:
    """The cells of the table that follows a sentence."""
    table = page[page.index(sentence) :].split("\n\n")[1]
    return [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]


def name_in(text: str) -> str:
    """The first thing between backticks."""
    return text.split("`")[1]


def reference_cells(suite: str = "*", setting: str = "*") -> list[dict[str, Any]]:
    """Reference results, whatever their budget."""
    paths = (ROOT / "results" / "reference" / "cells").glob(f"{suite}/{setting}/*/result.json")
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(paths)]


@cache
def reference_training(name: str) -> dict[str, Any]:
    """The result of one of the reference trainings."""
    path = ROOT / "results" / "reference" / "trainings" / name / "result.json"
    training: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return training


def reference_task(name: str) -> dict[str, Any]:
    """What one of them was asked for: dataset, split, task, budget."""
    path = ROOT / "results" / "reference" / "trainings" / name / "training.json"
    asked: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return asked


def stored(suite: str, setting: str, learner: str) -> list[dict[str, Any]]:
    """Those of a learner, which is called as results call it."""
    return [cell for cell in reference_cells(suite, setting) if cell["learner"] == learner]


def reference_commands() -> list[str]:
    """The commands that made the reference results: each is stated once, in results/README.md."""
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    return [
        line for _, text in fences(page) for line in lines_of(text) if line.startswith("bench run")
    ]
