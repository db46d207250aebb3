"""Settings say what they are, and each is there once."""

from __future__ import annotations

import pytest

from benchmarks import compiled_updates
from benchmarks.measuring import CPU
from benchmarks.meta_updates import Setting, settings
from benchmarks.part import Asked


@pytest.mark.parametrize("first_order", [False, True])
def test_a_setting_says_what_it_is(first_order):
    told = str(Setting(1, 5, first_order, 28, 16))
    assert told == f"1-shot, 5 steps, {'first' if first_order else 'second'} order, 28x28, 16 tasks"


def test_no_two_settings_are_called_the_same():
    named = [str(setting) for setting in settings(small=False)]
    assert len(set(named)) == len(named) == 16


@pytest.mark.parametrize(("compiled", "count"), [("none", 0), ("few", 2), ("all", 16)])
def test_few_settings_are_compiled(compiled, count):
    asked = Asked(CPU, 1, compiled=compiled)
    assert len(list(compiled_updates.rows(asked))) == count
