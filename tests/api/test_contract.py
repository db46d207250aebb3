"""What authors import: all of it from `bench.api`, and torch only with what needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bench.api
from bench.errors import BenchError


def test_every_public_name_is_there():
    for name in bench.api.__all__:
        assert getattr(bench.api, name) is not None
    assert set(bench.api.__all__) <= set(dir(bench.api))
    assert len(set(bench.api.__all__)) == len(bench.api.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Lerner'"):
        _ = bench.api.Lerner


def test_the_harness_raises_the_error_that_authors_raise():
    assert bench.api.BenchError is BenchError


NEEDS_NO_TORCH = (
    "CONTRACT_VERSION", "BenchError", "unknown_name", "MissingRequirementError", "DataFolders",
    "DatasetSource", "ImageClasses", "Notify", "Source", "Split", "area_average", "Cancelled",
    "Ended", "Executor", "Group", "Limits", "PlanMismatchError", "Progress", "Resources", "Site",
    "Standing",
)  # fmt: skip


def test_datasets_and_executors_are_written_without_torch():
    source = f"from bench.api import {', '.join(NEEDS_NO_TORCH)}\nimport sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True)
    assert b"numpy" in loaded.stdout.split()
    assert b"torch" not in loaded.stdout.split()
