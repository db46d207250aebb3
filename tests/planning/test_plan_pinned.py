"""Identities, bank digests and source hashes of a fixed plan: a tidy-up changes none of them.

Where they are changed on purpose, write them anew and look at the difference::

    python -m tests.planning.test_plan_pinned
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.registry.installed import installed_sources
from bench.running.prepare import prepare
from bench.running.request import Request

FILE = Path(__file__).with_name("pinned.json")

ASKED: dict[str, dict[str, Any]] = {
    "standard": {"suites": ["glyphs-5way", "glyphs-online", "copy", "associative-recall"]},
    "paper": {"suites": ["glyphs-5way"], "seeds": [3], "precision": "bf16", "budget": "paper"},
}
LEARNERS = [
    "pixel-nearest-neighbour", "prototypical", "matching", "siamese", "baseline", "maml", "fomaml",
    "anil", "reptile", "mann", "metanet", "ntm", "lstm", "feedforward", "snail", "memory-network",
]  # fmt: skip
"""Those of this repository that need no other package."""


def planned(name: str, results: Path) -> dict[str, dict[str, Any]]:
    """By suite and setting the digest of the bank, and by learner the ids of training and cell."""
    content: dict[str, dict[str, Any]] = {}
    for cell in prepare(Request(learners=LEARNERS, results=results, **ASKED[name])).plan.cells:
        setting = content.setdefault(f"{cell.suite} {cell.setting}", {"bank": {}, "ids": {}})
        setting["bank"][str(cell.episodes)] = cell.bank[:16]
        setting["ids"][cell.training.learner] = f"{cell.training.id} {cell.id}"
    return content


def sources() -> dict[str, str]:
    """The hash of each learner's code."""
    return {name: hash_ for name, hash_ in installed_sources(LEARNERS).items() if name in LEARNERS}


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    return json.loads(FILE.read_text("utf-8"))


@pytest.mark.parametrize("name", ASKED)
def test_identities_and_banks_are_pinned(pinned, name, tmp_path):
    assert planned(name, tmp_path) == pinned[name]


def test_hashes_of_the_learners_code_are_pinned(pinned):
    assert sources() == pinned["sources"]


if __name__ == "__main__":
    FILE.write_text(
        json.dumps(
            {"sources": sources(), **{name: planned(name, Path()) for name in ASKED}}, indent=1
        )
        + "\n",
        "utf-8",
    )
