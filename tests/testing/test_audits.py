"""Audits: cheats that are shut at initialisation and opened by training."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import registry
from bench.api import Learner, Stream, TaskSpec
from bench.protocols.kshot import KShot
from bench.protocols.online import Online
from bench.testing.audits import AUDITS, Trained, audit
from bench.testing.check import CheckResult
from bench.testing.tasks import draw, tiny_task
from tests.helpers.planted import (
    AnswersTheLabel,
    Honest,
    KeepsState,
    Recurrent,
    RemembersQueryLabels,
    SharesStatisticsOverEpisodes,
    SharesStatisticsOverQueries,
)


class Gated(Honest):
    """Has a weight that is 0 at initialisation; whatever it multiplies is not there yet."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.gate = nn.Parameter(torch.zeros(()))


class Remembers(Gated, RemembersQueryLabels):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        honest = Honest.predict(self, state, query_x)
        return honest + self.gate * (RemembersQueryLabels.predict(self, state, query_x) - honest)


class CentresQueries(Gated):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, query_x - self.gate * query_x.mean(1, keepdim=True))


class MixesEpisodes(Gated):
    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        means = super().adapt(support_x, support_y, ways)["means"]
        return {"means": means + self.gate * means.mean(0)}


class PeeksAtItsLabel(Gated):
    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return super().unroll(x, y, ways) + 100 * self.gate * F.one_hot(y, ways)


class LooksAhead(Gated):
    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return super().unroll(x - self.gate * x.mean(1, keepdim=True), y, ways)


class IsSharperOnline(Gated):
    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return (1 + self.gate) * super().unroll(x, y, ways)


class KeepsItsLastState(Gated):
    """And answers from that, whatever state it is given."""

    last: Any = None

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        self.last = super().adapt(support_x, support_y, ways)
        return self.last

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        means = torch.lerp(state["means"], self.last["means"], self.gate)
        return super().predict({"means": means}, query_x)


class WeighsByPosition(Gated):
    order_invariant: ClassVar = True

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        position = torch.linspace(-1, 1, support_x.shape[1])[:, None, None, None]
        return super().adapt(support_x * (1 + self.gate * position), support_y, ways)


class PrefersAClass(Gated):
    label_equivariant: ClassVar = True

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        logits = super().predict(state, query_x)
        return logits + 5 * self.gate * torch.arange(logits.shape[2])


class LooksAheadInAProbe(Recurrent):
    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.gate = nn.Parameter(torch.zeros(()))

    def respond(self, x: Tensor) -> Tensor:
        return super().respond(x - self.gate * x.mean(1, keepdim=True))


CHEATS: dict[type[Learner], tuple[Any, dict[str, str]]] = {
    Remembers: ("kshot", {"query-labels": "follow the labels that loss was given"}),
    CentresQueries: ("kshot", {"query-independence": "the only one; .*%"}),
    MixesEpisodes: ("kshot", {"episode-independence": "answered otherwise alone, kshot"}),
    KeepsItsLastState: ("kshot", {"state-reset": "once another one was made"}),
    WeighsByPosition: ("kshot", {"support-order": "order of the support set moves"}),
    PrefersAClass: ("kshot", {"label-order": "which label a class has moves"}),
    PeeksAtItsLabel: (
        "online",
        {
            "causality": "its own label",
            "first-presentation": "^100.0% at the first presentation; the ceiling is 45.7%",
            "two-views": "after 1 examples",
        },
    ),
    LooksAhead: ("online", {"causality": "an input that comes later", "two-views": "differ"}),
    IsSharperOnline: ("online", {"two-views": "differ"}),
    LooksAheadInAProbe: ("sequence", {"causality": "an input that comes later"}),
}
"""Each with the protocol that it was trained for, what it must fail, and words of the reason."""


def audited(learner: type[Learner], protocol: Any, gate: float = 0.0) -> dict[str, CheckResult]:
    """Audits a learner whose training has opened its gate so far."""
    task = tiny_task(protocol).but(shots=2)

    def build() -> Learner:
        torch.manual_seed(0)
        made = learner(learner.Config(), task)
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if name == "gate":
                    parameter.fill_(gate)
        return made

    batches = [draw(task, 4, seed) for seed in (1, 2)]
    given = draw(task, 2, seed=3, training=True)
    trained = Trained(registry.protocol(protocol), learner, build, *batches, given)
    return {result.name: result for result in audit(trained)}


def failures(results: dict[str, CheckResult]) -> dict[str, str | None]:
    return {name: r.reason for name, r in results.items() if r.status == "fail"}


def test_a_cheat_is_planted_for_every_audit():
    caught = {name for _, expected in CHEATS.values() for name in expected}
    assert caught == {check.name for check in AUDITS}


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.__name__)
def test_what_training_opens_is_caught_in_the_trained_weights(cheat):
    protocol, expected = CHEATS[cheat]
    assert failures(audited(cheat, protocol)) == {}, "at initialisation there is nothing to see"
    found = failures(audited(cheat, protocol, gate=0.5))
    assert found.keys() == expected.keys()
    for name, words in expected.items():
        assert re.search(words, str(found[name])), found[name]


@pytest.mark.parametrize(
    ("cheat", "protocol", "name"),
    [
        (SharesStatisticsOverQueries, "kshot", "query-independence"),
        (SharesStatisticsOverEpisodes, "online", "episode-independence"),
        (KeepsState, "online", "state-reset"),
        (AnswersTheLabel, "online", "first-presentation"),
    ],
)
def test_the_mistakes_planted_for_the_checks_are_found_too(cheat, protocol, name):
    assert name in failures(audited(cheat, protocol))


@pytest.mark.parametrize("protocol", ["kshot", "online", "sequence"])
def test_an_honest_learner_passes_what_applies(protocol):
    learner = Recurrent if protocol == "sequence" else Honest
    results = audited(learner, protocol)
    assert failures(results) == {}
    passed = {name for name, result in results.items() if result.status == "pass"}
    always = {"query-labels", "episode-independence", "state-reset"}
    images = {"support-order", "label-order"}
    assert (
        passed
        == always
        | {
            "kshot": images | {"query-independence"},
            "online": images | {"causality", "first-presentation", "two-views"},
            "sequence": {"causality"},
        }[protocol]
    )
    assert {r.reason for r in results.values() if r.name == "first-presentation"} == {
        "kshot": {"it was trained k-shot"},
        "online": {results["first-presentation"].reason},
        "sequence": {"it was trained for a memory probe"},
    }[protocol]


def test_what_is_not_promised_is_measured():
    """Share of the answers that the support set's order changes; reading it twice is no change."""

    class ByPosition(WeighsByPosition):
        order_invariant = False

    (told,) = [r for r in audited(ByPosition, "kshot", gate=1.0).values() if r.value]
    assert (told.name, told.status) == ("support-order", "not applicable")
    # 4 episodes of 10 queries: a multiple of 1 / 40
    assert told.value is not None
    assert 0 < told.value < 1
    assert (40 * told.value) % 1 == pytest.approx(0, abs=1e-5)
    assert f"changes {told.value:.1%} of the answers" in str(told.reason)


def test_what_a_transductive_learner_gains_is_measured():
    class SaysSo(CentresQueries):
        transductive = True

    told = audited(SaysSo, "kshot", gate=1.0)["query-independence"]
    assert told.status == "not applicable"
    assert told.value is not None
    assert told.value > 0
    assert "states that it is transductive" in str(told.reason)


@pytest.mark.parametrize(("noise", "found"), [(1e-4, False), (1e-2, True)])
def test_differences_are_judged_by_the_size_of_the_logits(noise, found):
    """Of logits of millions a ten-thousandth is rounding, and a hundredth is a leak."""

    class Large(Honest):
        def predict(self, state: Any, query_x: Tensor) -> Tensor:
            return 1e6 * super().predict(state, query_x) * (1 + noise / query_x.shape[1])

    assert ("query-independence" in failures(audited(Large, "kshot"))) is found


class Amplifies(Gated):
    """Makes much of rounding, as many inner steps do. The rounding here follows an episode's place
    in the batch, in the seventh digit."""

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        rounding = 1e-7 * torch.arange(len(support_x)).view(-1, *[1] * (support_x.dim() - 1))
        x = support_x * (1 + self.gate * rounding)
        wild = torch.sin(1e3 * self.gate * x.flatten(1).sum(1))  # (B,)
        state = super().adapt(support_x, support_y, ways)
        return {"means": state["means"] * (1 + wild.view(-1, *[1] * (state["means"].dim() - 1)))}


def test_rounding_that_a_learner_multiplies_is_no_leak():
    assert failures(audited(Amplifies, "kshot", gate=1.0)).keys() == set()
    assert failures(audited(MixesEpisodes, "kshot", gate=0.5)).keys() == {"episode-independence"}


def test_the_trained_learner_itself_is_never_touched():
    """Every check gets a learner of its own."""
    made: list[Learner] = []
    task = tiny_task("kshot")

    def build() -> Learner:
        torch.manual_seed(0)
        made.append(Honest(Honest.Config(), task))
        return made[-1]

    batches = [draw(task, 2, seed) for seed in (1, 2)]
    audit(Trained(KShot(), Honest, build, *batches, draw(task, 2, seed=3, training=True)))
    assert len(made) >= 6  # query labels twice, four that look at one view
    assert len({id(one) for one in made}) == len(made)


def test_what_a_learner_raises_is_that_audit_s_failure():
    class RaisesAlone(Honest):
        def predict(self, state: Any, query_x: Tensor) -> Tensor:
            if query_x.shape[1] == 1:
                raise OverflowError("one query")
            return super().predict(state, query_x)

    results = audited(RaisesAlone, "kshot")
    assert failures(results) == {"query-independence": "OverflowError: one query"}
    assert "in predict" in str(results["query-independence"].traceback)


def test_streams_of_a_learner_without_the_k_shot_view():
    """The support set of an online audit needs adapt and predict."""

    class OnlineOnly(Honest):
        protocols: ClassVar = ("online",)

    told = audited(OnlineOnly, "online")["support-order"]
    assert (told.status, told.reason) == ("not applicable", "it was trained online")


def test_the_halves_of_a_stream_are_support_and_queries():
    task = tiny_task("online")  # 5 ways, 10 steps
    streams = draw(task, 2, seed=1)
    assert isinstance(streams, Stream)
    build = lambda: Honest(Honest.Config(), task)  # noqa: E731
    made = Trained(Online(), Honest, build, streams, streams, streams)
    ((_, episodes),) = made.support()
    assert torch.equal(torch.cat([episodes.support_y, episodes.query_y], 1), streams.y)
    assert torch.equal(torch.cat([episodes.support_x, episodes.query_x], 1), streams.x)
    assert episodes.support_y.shape == episodes.query_y.shape == (2, 5)
