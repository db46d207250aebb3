"""Whatever an import sets for the whole process is put back, each of it planted here."""

from __future__ import annotations

import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from bench.registry.discovery import UnusableError
from bench.registry.installed import learners
from bench.registry.unchanged import Setting, of_python, of_torch, unchanged

PLANTED: dict[str, Callable[[], object]] = {
    "environment": lambda: os.environ.update({"OMP_NUM_THREADS": "7", "PLANTED": "1"}),
    "folder": lambda: os.chdir("/"),
    "random": random.random,
    "numpy's random": np.random.random,
    "numpy's errors": lambda: np.seterr(all="raise"),
    "recursion": lambda: sys.setrecursionlimit(5_000),
    "output": lambda: setattr(sys, "stdout", io.StringIO()),
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "gradients": lambda: torch.set_grad_enabled(False),
    "device": lambda: torch.set_default_device("meta"),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's random": lambda: torch.rand(1),
    "deterministic": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "precision of products": lambda: torch.set_float32_matmul_precision("medium"),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "cudnn.enabled": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "cudnn.allow_tf32": lambda: setattr(
        torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32
    ),
}
SETTINGS = [*of_python(), *of_torch()]


def told(setting: Setting) -> str:
    """What it is now, to be compared."""
    value = setting.get()
    with np.printoptions(threshold=sys.maxsize):
        return f"{value.tolist()}" if isinstance(value, torch.Tensor) else f"{value}"


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    """Also where a test fails."""
    before = [(setting, setting.get()) for setting in SETTINGS]
    yield
    for setting, value in before:
        setting.put(value)


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_put_back(name: str) -> None:
    [setting] = [one for one in SETTINGS if one.name == name]
    before = told(setting)
    with unchanged():
        PLANTED[name]()
        assert told(setting) != before, "the plant changes nothing"
    assert told(setting) == before


def test_every_setting_is_planted() -> None:
    assert [setting.name for setting in SETTINGS] == list(PLANTED)


def test_also_where_the_import_raises() -> None:
    def leave() -> None:
        torch.set_default_dtype(torch.float64)
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        unchanged()(leave)()
    assert torch.get_default_dtype() == torch.float32


def test_filters_of_warnings_too() -> None:
    before = list(warnings.filters)
    with unchanged():
        warnings.simplefilter("error")
    assert warnings.filters == before


def test_without_torch_it_is_left_alone() -> None:
    with unchanged(torch=False):
        os.environ["PLANTED"] = "1"
        torch.set_default_dtype(torch.float64)
    assert "PLANTED" not in os.environ
    assert torch.get_default_dtype() == torch.float64


@pytest.mark.parametrize("ends", ["", "raise RuntimeError('after all that')"])
def test_an_installed_package_changes_nothing_for_the_others(
    install: Callable[..., object], ends: str
) -> None:
    package = f"sets_all_{bool(ends)}".lower()  # a module is imported once per process
    install(
        package,
        f"""
        import os, random, torch
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        os.environ["PLANTED"] = "1"
        random.seed(0)
        {ends}
        from bench.api import Learner
        class Plugin(Learner):
            family, contract, trained = "test", 2, False
            def adapt(self, support_x, support_y, ways): return None
            def predict(self, state, query_x): return None
        """,
        learners={package: f"{package}:Plugin"},
    )
    before = {setting.name: told(setting) for setting in SETTINGS}
    found = learners(package)
    if ends:
        with pytest.raises(UnusableError, match="after all that"):
            found.get(package)
    else:
        assert found.get(package).__name__ == "Plugin"
    assert {setting.name: told(setting) for setting in SETTINGS} == before
