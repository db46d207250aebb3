"""Trainings whose update is compiled."""

from __future__ import annotations

import pytest

from bench import registry as plugins
from bench.errors import BenchError
from bench.planning.plan import choose_suites, make_plan
from bench.registry.contestants import contestants
from bench.results.rows import COMPILED


@pytest.fixture
def plan_of(tiny_plugins, tiny_suite):
    def plan(*specs, compiled, device="cpu"):
        who = contestants(specs, plugins.learners())
        asked = (choose_suites([str(tiny_suite)]), who, (0,), device, "standard", "fp32")
        return make_plan(*asked, tiny_plugins, print, compiled=compiled)

    return plan


def test_compiled_is_another_training_and_what_was_not_keeps_its_name(plan_of):
    plain, compiled = (plan_of("maml", compiled=flag) for flag in (False, True))
    assert "compiled" not in plain.trainings[0].identity()
    assert compiled.trainings[0].identity()["compiled"] is True
    assert plain.trainings[0].id != compiled.trainings[0].id
    assert plain.cells[0].bank == compiled.cells[0].bank
    assert compiled.cells[0].described()["compiled"] is True
    assert COMPILED.strip() == "compiled"


def test_who_cannot_be_compiled_is_told_with_the_reason(plan_of):
    told = r"--compile: not every learner.*\n  reptile: nothing goes through"
    with pytest.raises(BenchError, match=told) as refused:
        plan_of("nearest-code", "maml", "reptile", "untrained", compiled=True)
    for tried in ("maml", "nearest-code"):  # one says that it can be, one says nothing
        assert f"  {tried}:" not in str(refused.value)


def test_on_a_cuda_gpu_any_learner_that_does_not_say_no_is_captured_and_stays_what_it_is(plan_of):
    who = ("nearest-code", "maml")
    plain, captured = (plan_of(*who, compiled=flag, device="cuda") for flag in (False, True))
    assert [t.id for t in plain.trainings] == [t.id for t in captured.trainings]
    assert [(t.captured, t.compiled) for t in captured.trainings] == [(True, False)] * 4
    assert not any(t.compiles for t in plain.trainings)
    with pytest.raises(BenchError, match="reptile: nothing goes through its inner loop"):
        plan_of("reptile", compiled=True, device="cuda")


def test_what_has_nothing_to_train_has_nothing_to_compile(plan_of):
    plain, compiled = (plan_of("untrained", compiled=flag) for flag in (False, True))
    assert [t.id for t in plain.trainings] == [t.id for t in compiled.trainings]
