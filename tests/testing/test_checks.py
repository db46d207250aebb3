"""Every check catches the mistake it is there for, and nothing else fails with it."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, SequenceLearner, TaskSpec, option
from bench.nn import class_means, squared_distance, sum_before
from bench.testing import CHECKS, check_learner


class Honest(Learner):
    """The nearest class mean in a linear embedding."""

    family = "metric-based"
    contract = 1

    @dataclass(frozen=True)
    class Config:
        width: int = option(16, "Features of the embedding.")

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.embed = nn.Linear(400, config.width)

    def z(self, x: Tensor) -> Tensor:
        return self.embed(x.flatten(2))  # (B, S, D)

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return {"means": class_means(self.z(support_x), support_y, ways)[0]}  # (B, N, D)

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return -squared_distance(self.z(query_x), state["means"])  # (B, Q, N)


class Recurrent(SequenceLearner):
    """A GRU cell, in all three protocols."""

    family = "model-based"
    contract = 1

    @dataclass(frozen=True)
    class Config:
        width: int = option(64, "Units.")

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        inputs = task.input_shape[0] if task.protocol == "sequence" else 400
        self.cell = nn.GRUCell(inputs + self.label_size, config.width)
        self.output = nn.Linear(config.width, task.answer_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.output.weight.new_zeros(batch_size, self.config.width)

    def step(self, state: Tensor, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(torch.cat([z, label], dim=1), state)
        return self.output(state), state

    def optimizer(self, updates: int) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


# -- what a learner says of itself ----------------------------------------------------------------


class OfAnotherContract(Honest):
    contract = 2


class InNoProtocol(Honest):
    protocols: ClassVar = ("k-shot",)


class Undocumented(Honest):
    @dataclass(frozen=True)
    class Config:
        width: int = 16


class WithAWrongPreset(Honest):
    presets: ClassVar = {"paper": {"widht": 64}}


class PublishedAsNothing(Honest):
    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> int | None:
        return 0


class WithoutATrainingTask(Honest):
    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> Any:
        return None


# -- answers --------------------------------------------------------------------------------------


class ExcludesUnseenClasses(Honest):
    """-inf for a class without support: right by the book, and no likelihood."""

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        seen = F.one_hot(support_y, ways).sum(1) > 0
        return {**super().adapt(support_x, support_y, ways), "seen": seen}

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, query_x).masked_fill(~state["seen"][:, None], -torch.inf)


class AnswersForOneClassTooFew(Honest):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, query_x)[..., :-1]


class OfFixedWays(Honest):
    """Class numbers come from the task it was trained with."""

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return super().adapt(support_x, support_y, self.task.ways)

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return super().unroll(x, y, self.task.ways)


class WithAStateOfItsOwn(Honest):
    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return {**super().adapt(support_x, support_y, ways), "classes": set(range(ways))}


class WithASharedState(Honest):
    """The state of the first episode of the batch stands for all."""

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return {"means": super().adapt(support_x, support_y, ways)["means"][:1]}


class LeavesATensorBehind(Honest):
    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.scale = torch.tensor(0.5)

    def z(self, x: Tensor) -> Tensor:
        return self.scale * super().z(x)


class NormalisesInPlace(Honest):
    def z(self, x: Tensor) -> Tensor:
        return super().z(x.sub_(0.5))


class NormalisesTheStateInPlace(Honest):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        state["means"] *= 0.9
        return super().predict(state, query_x)


# -- leaks ----------------------------------------------------------------------------------------


class RemembersQueryLabels(Honest):
    """`loss` writes down the answers, `predict` looks them up."""

    written: Tensor | None = None

    def loss(self, batch: Any) -> Tensor:
        loss = super().loss(batch)
        self.written = batch.query_y if isinstance(batch, Episodes) else None
        return loss

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        logits = super().predict(state, query_x)
        if self.written is not None and self.written.shape == logits.shape[:2]:
            logits = logits + F.one_hot(self.written, logits.shape[2])
        return logits


class SharesStatisticsOverQueries(Honest):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, query_x - query_x.mean(1, keepdim=True))


class SharesStatisticsOverEpisodes(Honest):
    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        made = super().adapt(support_x, support_y, ways)
        return {"means": made["means"] + 0.1 * made["means"].mean(0)}


class SeesTheLabelAhead(Honest):
    """A cumulative sum that includes the step's own label and input."""

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        z, member = self.z(x), F.one_hot(y, ways).float()  # (B, T, D), (B, T, N)
        sums = (member[..., None] * z[:, :, None]).cumsum(1)  # (B, T, N, D)
        means = sums / member.cumsum(1).clamp_min(1)[..., None]
        return -(z[:, :, None] - means).square().sum(-1)


class SeesTheInputAhead(Honest):
    """Inputs are centred by the mean over the whole stream."""

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return super().unroll(x - x.mean(1, keepdim=True), y, ways)


class AnswersTheLabel(Honest):
    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return super().unroll(x, y, ways) + 100 * F.one_hot(y, ways)


# -- laws -----------------------------------------------------------------------------------------


class ForgetsTheLastExample(Honest):
    """One-pass class means, off by one."""

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        z, member = self.z(x), F.one_hot(y, ways).float()
        sums = sum_before(sum_before(member[..., None] * z[:, :, None]))
        means = sums / sum_before(sum_before(member)).clamp_min(1)[..., None]
        return -(z[:, :, None] - means).square().sum(-1)


class KeepsState(Honest):
    """Class means go on from those of the episodes before."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.kept: list[Tensor] = []

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        means = super().adapt(support_x, support_y, ways)["means"]
        if self.kept and self.kept[0].shape == means.shape:
            means = 0.9 * means + 0.1 * self.kept[0]
        self.kept = [means.detach()]
        return {"means": means}


class KeepsTheStateForItself(Honest):
    """The state that counts is the last one, whatever `predict` is given."""

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        self.last = [super().adapt(support_x, support_y, ways)]
        return self.last[0]

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(self.last[0], query_x)


class DrawsElsewhere(Honest):
    """Random numbers that no seed of torch's reaches."""

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, query_x) + random.random()


class InitialisesElsewhere(Honest):
    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        nn.init.constant_(self.embed.bias, random.random())


class StoresNotAll(Honest):
    """Drawn at construction, and neither parameter nor buffer."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.scale = torch.rand(()).item()

    def z(self, x: Tensor) -> Tensor:
        return self.scale * super().z(x)


class SaysThatOrderDoesNotMatter(Honest):
    order_invariant = True

    def z(self, x: Tensor) -> Tensor:
        return super().z(x) * torch.linspace(1, 2, x.shape[1])[:, None]


class SaysThatClassesAreAlike(Honest):
    label_equivariant = True

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        logits = super().predict(state, query_x)
        return logits + torch.arange(logits.shape[2])


# -- meta-training --------------------------------------------------------------------------------


class DividesByZero(Honest):
    """The root of a distance of zero has no gradient."""

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        apart = self.z(query_x)[:, :, None] - state["means"][:, None]
        return -apart.square().sum(-1).sqrt()


class CutsTheGradient(Honest):
    def z(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(2), self.embed.weight, self.embed.bias.detach())


class NeverTrains(Honest):
    def optimizer(self, updates: int) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class LearnsNothing(Honest):
    """Trains, and answers without looking at the support labels."""

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return super().adapt(support_x, torch.zeros_like(support_y), ways)


# -- in memory probes -----------------------------------------------------------------------------


class SeesTheProbeAhead(Recurrent):
    def respond(self, x: Tensor) -> Tensor:
        return super().respond(x - x.mean(1, keepdim=True))


EXACT = {
    OfAnotherContract: {"declaration": "version 2 of the contract"},
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
}
"""Learner: what it must fail, and words of the reason. All other checks pass."""

AMONG_OTHERS = {
    InNoProtocol: {"declaration": "choose from"},
    WithoutATrainingTask: {"training-task": "returned NoneType"},
    ExcludesUnseenClasses: {"logits": "of one class"},
    AnswersForOneClassTooFew: {"logits": r"predict .* \(3, 10, 4\), expected \(3, 10, 5\)"},
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

    (told,) = check_learner(Knows, checks=["trains"])
    assert told.status == "not applicable"
    assert "already" in str(told.reason)
