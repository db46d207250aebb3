"""Checks that every learner has to pass, for the tests of its package and for `bench check`.

In the spirit of scikit-learn's estimator checks: named, on tiny synthetic tasks, in seconds. One
test per check:

    from bench.testing import parametrize_checks

    @parametrize_checks(MyLearner, MyLearner.Config(filters=8))
    def test_keeps_the_contract(check):
        check()

or all at once, without pytest:

    for result in bench.testing.check_learner(MyLearner):
        print(result)

`check_dataset` does the same for datasets and memory probes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.errors import unknown_name
from bench.testing import contract, laws, leaks, learning
from bench.testing.check import Check, CheckResult, Status
from bench.testing.datasets import check_dataset
from bench.testing.subject import Subject

if TYPE_CHECKING:
    import pytest

    from bench.api import Learner

__all__ = [
    "CHECKS", "Check", "CheckResult", "Status", "Subject", "check_dataset", "check_learner",
    "parametrize_checks",
]  # fmt: skip

CHECKS: dict[str, Check[Subject]] = {
    check.name: check
    for check in (
        contract.declaration,
        contract.config,
        contract.training_task,
        contract.logits,
        contract.sizes,
        contract.state,
        contract.devices,
        contract.inputs_kept,
        leaks.query_labels,
        leaks.query_independence,
        leaks.episode_independence,
        leaks.causality,
        leaks.first_presentation,
        laws.two_views,
        laws.state_reset,
        laws.determinism,
        laws.state_dict,
        laws.support_order,
        laws.label_order,
        learning.gradients,
        learning.trains,
    )
}
"""All checks by name."""


def check_learner(
    learner: type[Learner],
    config: Any = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    checks: Iterable[str] = CHECKS,
    raise_on_failure: bool = False,
) -> list[CheckResult]:
    """Runs the checks on a learner. What the learner raises is a failure of that check.

    Args:
        learner: the class.
        config: an instance of its Config; default: ``learner.Config()``. A small one is quicker.
        input_shape: of images, (C, H, W); default: small ones, or a usual shape that it can answer.
        checks: names, see `CHECKS`.
        raise_on_failure: end with an AssertionError that tells all failures.

    Raises:
        BenchError: for a name that is no check, with the nearest.
        AssertionError: with `raise_on_failure`, where a check failed.
    """
    if isinstance(checks, str):
        checks = [checks]
    names = list(checks)
    for name in names:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS)
    subject = Subject(learner, config, input_shape)
    results = [CHECKS[name](subject) for name in names]
    failed = [str(result) for result in results if result.status == "fail"]
    if failed and raise_on_failure:
        raise AssertionError(f"{len(failed)} checks failed\n\n" + "\n\n".join(failed))
    return results


def parametrize_checks(
    learner: type[Learner],
    config: Any = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Makes one test per check of a function with the argument ``check``, which it has to call.

    A check that does not apply is skipped. Needs pytest.

    Args:
        learner: the class.
        config: see `check_learner`.
        input_shape: see `check_learner`.
        expected_failures: by the check's name why the learner fails it; it must then (xfail).

    Raises:
        ValueError: where `expected_failures` names no check.
    """
    import pytest

    expected = dict(expected_failures or {})
    if expected.keys() - CHECKS.keys():
        raise ValueError(f"no check is called {', '.join(sorted(expected.keys() - CHECKS.keys()))}")
    subject = Subject(learner, config, input_shape)
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                partial(_require, check, subject),
                id=name,
                marks=[pytest.mark.xfail(reason=expected[name], strict=True)]
                if name in expected
                else [],
            )
            for name, check in CHECKS.items()
        ],
    )


def _require(check: Check[Subject], subject: Subject) -> None:
    import pytest

    __tracebackhide__ = True
    result = check(subject)
    if result.status == "not applicable":
        pytest.skip(f"{check.name}: {result.reason}")
    if result.status == "fail":
        raise AssertionError(str(result))
