"""A results folder with trained learners, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import bench
from tests.conftest import FIXTURES, forget_plugins


@pytest.fixture(scope="session")
def trained_results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """``nearest-code`` with two seeds and ``untrained`` on the tiny suite, in this process."""
    results = tmp_path_factory.mktemp("trained") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FIXTURES / "tiny_plugins")
        patch.setenv("BENCH_CACHE_DIR", str(results.parent / "cache"))
        forget_plugins()
        for suite, learners, seeds in (
            ("tiny_suite", ["nearest-code", "untrained"], [0, 1]),
            ("tiny_probe", ["recurrent"], [0]),
        ):
            bench.run(
                [FIXTURES / f"{suite}.toml"], learners, seeds=seeds, budget="smoke",
                results=results, executor="inline", threads=1, devices=["cpu/1"],
            )  # fmt: skip
    forget_plugins()
    return results
