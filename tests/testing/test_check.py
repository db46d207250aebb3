"""Every check catches the mistake it is there for, and nothing else fails with it."""

from __future__ import annotations

import copy
import math
import os
import re
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.api import Learner
from bench.testing import CHECKS, check_learner
from bench.testing.laws import same
from tests.helpers.planted import (
    AnswersForOneClassTooFew,
    AnswersInWholeNumbers,
    AnswersTheLabel,
    AskedWithItsLabel,
    BindsTheLabelBefore,
    CutsTheGradient,
    DividesByZero,
    DrawsElsewhere,
    ExcludesUnseenClasses,
    ForgetsTheLastExample,
    Honest,
    InitialisesElsewhere,
    InNoProtocol,
    KeepsState,
    KeepsTheStateForItself,
    LearnsNothing,
    LeavesATensorBehind,
    LosesThePendingLabel,
    NeverTrains,
    NormalisesInPlace,
    NormalisesTheStateInPlace,
    OfAnotherContract,
    OfFixedWays,
    PublishedAsNothing,
    Recurrent,
    RemembersQueryLabels,
    SaysThatClassesAreAlike,
    SaysThatOrderDoesNotMatter,
    SeesTheInputAhead,
    SeesTheLabelAhead,
    SeesTheProbeAhead,
    SharesStatisticsOverEpisodes,
    SharesStatisticsOverQueries,
    StoresNotAll,
    ToldWithoutDelay,
    Undocumented,
    WithASharedState,
    WithAStateOfItsOwn,
    WithAWrongPreset,
    WithoutATrainingTask,
)

EXACT = {
    OfAnotherContract: {"declaration": "version 3 of the contract"},
    Undocumented: {"config": "'width' has no meaning"},
    WithAWrongPreset: {"config": "paper: .*did you mean 'width'"},
    PublishedAsNothing: {"training-task": "published_updates returned 0"},
    OfFixedWays: {"sizes": r"shape \(4, 2, 5\), expected \(4, 2, 2\)"},
    LeavesATensorBehind: {"devices": "'scale' would stay behind"},
    NormalisesTheStateInPlace: {"inputs-kept": "predict changed the state"},
    RemembersQueryLabels: {"query-labels": "follow the labels that loss was given, kshot"},
    SharesStatisticsOverQueries: {"query-independence": "the only one"},
    SharesStatisticsOverEpisodes: {"episode-independence": "alone", "causality": "later"},
    SeesTheInputAhead: {"causality": "an input that comes later", "two-views": "differ"},
    SeesTheLabelAhead: {
        "causality": "its own label",
        "first-presentation": r"^100.0% at the first presentation; the ceiling is 45.7%",
        "two-views": "after 1 examples",
    },
    ForgetsTheLastExample: {"two-views": "after 1 examples"},
    KeepsTheStateForItself: {"state-reset": "once another one was made"},
    InitialisesElsewhere: {"determinism": "initial weights .*: embed.bias"},
    StoresNotAll: {"state-dict": "after saving and loading"},
    SaysThatClassesAreAlike: {"label-order": "moves logits"},
    DividesByZero: {"gradients": "not finite at inputs of zeros"},
    CutsTheGradient: {"gradients": "embed.bias gets no gradient"},
    NeverTrains: {"trains": "in 500 updates"},
    LearnsNothing: {"trains": "in 500 updates"},
    SeesTheProbeAhead: {"causality": "an input that comes later"},
    BindsTheLabelBefore: {"two-views": "after 1 examples .*, trained kshot"},
    LosesThePendingLabel: {"two-views": "after 1 examples .*, trained online"},
    ToldWithoutDelay: {"causality": "its own label", "two-views": "after 1 examples"},
    AskedWithItsLabel: {"causality": "its own label", "two-views": "after 1 examples"},
}
"""Learner: what it must fail, and words of the reason. All other checks pass."""

AMONG_OTHERS = {
    InNoProtocol: {"declaration": "choose from"},
    WithoutATrainingTask: {"training-task": "returned NoneType"},
    ExcludesUnseenClasses: {"logits": "one label"},
    AnswersForOneClassTooFew: {"logits": r"predict .* \(3, 10, 4\), expected \(3, 10, 5\)"},
    AnswersInWholeNumbers: {"logits": "predict returned logits of torch.int64"},
    WithAStateOfItsOwn: {"state": "not set"},
    WithASharedState: {"state": r"shape \(1, 5, 16\)", "episode-independence": "alone"},
    NormalisesInPlace: {"inputs-kept": "support_x, query_x of the episode"},
    AnswersTheLabel: {"first-presentation": "^100.0%", "causality": "its own label"},
    KeepsState: {"state-reset": "other episodes before it count"},
    DrawsElsewhere: {"determinism": "answers differ under one seed"},
    SaysThatOrderDoesNotMatter: {"support-order": "moves logits"},
}
"""The same where one mistake breaks much."""


def test_something_is_planted_for_every_check():
    planted = [*EXACT.values(), *AMONG_OTHERS.values()]
    assert {name for expected in planted for name in expected} == set(CHECKS)


@pytest.mark.parametrize("cheat", [*EXACT, *AMONG_OTHERS], ids=lambda cheat: cheat.__name__)
def test_a_planted_mistake_is_caught(cheat):
    expected = EXACT.get(cheat) or AMONG_OTHERS[cheat]
    checks = set(expected)
    if cheat in EXACT:  # `trains` takes longer than all others together
        checks |= CHECKS.keys() - {"trains"}
    failed = {r.name: r for r in check_learner(cheat, checks=checks) if r.status == "fail"}
    assert failed.keys() == expected.keys()
    for name, words in expected.items():
        assert re.search(words, str(failed[name].reason), re.DOTALL), failed[name].reason
        assert failed[name].hint == CHECKS[name].hint


@pytest.mark.parametrize("honest", [Honest, Recurrent])
def test_an_honest_learner_passes(honest):
    """All checks apply to the first, except what it does not state."""
    results = {result.name: result for result in check_learner(honest)}
    assert list(results) == list(CHECKS)
    assert [str(result) for result in results.values() if result.status == "fail"] == []
    reported = {"support-order", "label-order"} if honest is Recurrent else set()
    assert {n for n, result in results.items() if result.status == "not applicable"} == reported


def test_what_is_stated_changes_what_is_asked():
    """A transductive learner that says so is not blamed; one without training is not trained."""

    class Transductive(SharesStatisticsOverQueries):
        transductive = True

    class Untrained(Honest):
        trained = False

    class OnlineOnly(Honest):
        protocols: ClassVar = ("online",)

    def inapplicable(learner: type[Learner], *checks: str) -> set[str]:
        return {r.name for r in check_learner(learner, checks=checks) if r.status[:3] == "not"}

    assert inapplicable(Transductive, "query-independence", "causality") == {"query-independence"}
    untrained = inapplicable(Untrained, "query-labels", "gradients", "trains", "two-views")
    assert untrained == {"query-labels", "gradients", "trains"}
    without = inapplicable(OnlineOnly, "query-independence", "state", "label-order", "trains")
    assert without == {"query-independence", "state", "label-order"}


def test_more_ways_may_be_refused_in_words():
    class OfSomeWays(Honest):
        words = "no more than {} ways"

        def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
            if ways > self.task.ways:
                raise ValueError(self.words.format(self.task.ways))
            return super().adapt(support_x, support_y, ways)

    class Speechless(OfSomeWays):
        words = ""

    (told,) = check_learner(OfSomeWays, checks=["sizes"])
    assert (told.status, "no more than 5 ways" in str(told.reason)) == ("pass", True)
    (told,) = check_learner(Speechless, checks=["sizes"])
    assert (told.status, told.reason) == ("fail", "6 ways are refused without a word")


def test_an_untrained_learner_that_knows_it_all_has_nothing_to_halve():
    class Knows(Honest):
        def z(self, x: Tensor) -> Tensor:
            return x.flatten(2) + 0 * super().z(x).sum()

    class Whispers(Knows):
        """Right from the start, in logits too small to say so, and never louder."""

        def predict(self, state: Any, query_x: Tensor) -> Tensor:
            return 1e-4 * super().predict(state, query_x)

    (told,) = check_learner(Whispers, checks=["trains"])
    assert told.status == "fail", "no errors are not half as many"
    (told,) = check_learner(Knows, checks=["trains"])
    assert told.status == "not applicable"
    assert "already" in str(told.reason)


class KeepsMore(Honest):
    """Tensors and more, in what `get_extra_state` is for, and a buffer that nobody has set yet."""

    def __init__(self, config: Any, task: Any) -> None:
        super().__init__(config, task)
        self.more: dict[str, Any] = {"seen": np.full(3, np.nan), "rates": [0.1, (1, None)]}
        self.register_buffer("later", torch.full((2,), torch.nan))
        self.register_buffer("whether", torch.tensor([True]))

    def get_extra_state(self) -> Any:
        return self.more

    def set_extra_state(self, state: Any) -> None:
        self.more = state


def test_extra_state_is_kept() -> None:
    checks = CHECKS.keys() - {"trains"}
    told = check_learner(KeepsMore, checks=checks)
    assert [str(result) for result in told if result.status == "fail"] == []


def test_extra_state_that_is_drawn_anew() -> None:
    class Draws(KeepsMore):
        """Each time another."""

        def __init__(self, config: Any, task: Any) -> None:
            super().__init__(config, task)
            self.more["seen"] = np.frombuffer(os.urandom(3), np.uint8)

    [told] = check_learner(Draws, checks=["determinism"])
    assert told.status == "fail"
    assert told.reason == "initial weights differ under one seed: _extra_state"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.zeros(2), torch.zeros(2).double()),
        (torch.zeros(2), torch.zeros(3)),
        (torch.zeros(2), torch.tensor([0, torch.nan])),
        (np.zeros(2), np.ones(2)),
        ([1, 2], [1, 3]),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        (0.5, math.nan),
        (1, True),
        (None, 0),
    ],
)
def test_what_is_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert same(one, copy.deepcopy(one))
    assert same(other, copy.deepcopy(other))
