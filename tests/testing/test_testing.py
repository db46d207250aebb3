"""How checks are run: results, tracebacks, and their use in the tests of a package."""

from __future__ import annotations

import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from bench.api import Learner, Stream, TaskSpec, option
from bench.errors import BenchError
from bench.testing import CHECKS, Check, check_learner, parametrize_checks
from bench.testing.check import FailedError, NotApplicableError, check
from bench.testing.tasks import PATTERNS, draw, tiny_task, training_batch


class Pixels(Learner):
    """Nothing is trained: the nearest support image, weighted by an option."""

    family = "metric-based"
    contract = 1
    trained: ClassVar = False

    @dataclass(frozen=True)
    class Config:
        weight: float = option(1.0, "Weight of the distance.")

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return {"x": support_x.flatten(2), "y": support_y, "ways": ways}

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        apart = torch.cdist(query_x.flatten(2), state["x"])  # (B, Q, S)
        member = torch.nn.functional.one_hot(state["y"], state["ways"]).bool()[:, None]
        nearest = apart[..., None].masked_fill(~member, 99).amin(2)  # (B, Q, N)
        return -self.config.weight * nearest


class Breaks(Pixels):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        raise {"error": OverflowError("too much"), "exit": SystemExit(3)}[self.kind]

    kind = "error"


class Exits(Breaks):
    kind = "exit"


class Interrupted(Pixels):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        raise KeyboardInterrupt


def test_a_result_has_all_that_a_reader_needs():
    (told,) = check_learner(Pixels, checks=["two-views"])
    assert (told.name, told.status, told.hint, told.traceback) == ("two-views", "pass", None, None)
    assert told.explanation.startswith("unroll(x, y)[:, t] equals predict(adapt(")
    assert told.seconds > 0
    for check_ in CHECKS.values():
        assert check_.explanation.endswith(".")
        assert check_.hint.endswith(".")
        assert "\n" not in check_.explanation + check_.hint


@pytest.mark.parametrize(
    ("learner", "reason"), [(Breaks, "OverflowError: too much"), (Exits, "SystemExit: 3")]
)
def test_what_a_learner_raises_is_a_failure_of_that_check(learner, reason):
    results = check_learner(learner, checks=["declaration", "logits", "config"])
    assert [result.status for result in results] == ["pass", "fail", "pass"]
    told = results[1]
    assert told.reason == reason
    lines = str(told.traceback).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "in predict" in lines[1], "it begins in the learner, not in bench.testing"
    assert reason in str(told)


def test_ctrl_c_ends_the_checks():
    with pytest.raises(KeyboardInterrupt):
        check_learner(Interrupted, checks=["logits"])


def test_all_failures_are_raised_when_asked_for():
    check_learner(Pixels, raise_on_failure=True)
    with pytest.raises(AssertionError, match="2 checks failed") as told:
        check_learner(Breaks, checks=["logits", "sizes"], raise_on_failure=True)
    assert "Hint: Return logits (B, Q, ways)" in str(told.value)
    assert str(told.value).count("OverflowError: too much") >= 2


def test_checks_by_name():
    assert [result.name for result in check_learner(Pixels, checks="logits")] == ["logits"]
    with pytest.raises(BenchError, match="no check is called 'logit'; did you mean 'logits'"):
        check_learner(Pixels, checks=["logit"])


def test_the_configuration_is_used():
    class Config2(Pixels):
        def predict(self, state: Any, query_x: Tensor) -> Tensor:
            assert self.config.weight == 2.0
            return super().predict(state, query_x)

    (told,) = check_learner(Config2, Config2.Config(weight=2.0), checks=["logits"])
    assert told.status == "pass"
    (told,) = check_learner(Config2, checks=["logits"])
    assert told.status == "fail"


def test_a_config_that_cannot_be_made_is_a_failure():
    class Demanding(Pixels):
        @dataclass(frozen=True)
        class Config:
            weight: float

    results = check_learner(Demanding)
    assert {r.name for r in results if r.status == "fail"} >= {"config", "logits"}


def test_checks_leave_the_random_state_alone():
    before, python = torch.get_rng_state(), random.getstate()
    check_learner(Pixels)
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python


def test_a_check_is_made_of_a_function():
    @check("Do.")
    def some_thing(subject: Any) -> str | None:
        """First
        line."""
        if subject.n < 0:
            raise FailedError("below")
        if subject.n == 0:
            raise NotApplicableError("zero")
        return "fine"

    assert (some_thing.name, some_thing.explanation) == ("some-thing", "First line.")

    def told(n: int) -> tuple[str, str | None, str | None]:
        result = some_thing(SimpleNamespace(n=n))  # type: ignore[arg-type]
        return result.status, result.reason, result.hint

    assert told(1) == ("pass", "fine", None)
    assert told(0) == ("not applicable", "zero", None)
    assert told(-1) == ("fail", "below", "Do.")


# -- pytest ---------------------------------------------------------------------------------------


@parametrize_checks(Pixels, Pixels.Config(weight=0.5))
def test_each_check_is_a_test(check):
    check()


class OtherwiseOnline(Pixels):
    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        return 2 * super().unroll(x, y, ways)


@parametrize_checks(OtherwiseOnline, expected_failures={"two-views": "its online view is sharper"})
def test_an_expected_failure_is_an_xfail(check):
    check()


def test_parametrisation_by_hand():
    """Ids are names; a check that does not apply is skipped, a failure tells its hint."""
    mark = parametrize_checks(Breaks, expected_failures={"logits": "known"})
    names, params = mark.args
    assert names == "check"
    assert [param.id for param in params] == list(CHECKS)
    by_name = {param.id: param for param in params}
    (expected,) = by_name["logits"].marks
    assert (expected.name, expected.kwargs) == ("xfail", {"reason": "known", "strict": True})
    assert not by_name["sizes"].marks
    by_name["declaration"].values[0]()
    with pytest.raises(pytest.skip.Exception, match="trains: nothing is meta-trained"):
        by_name["trains"].values[0]()
    with pytest.raises(AssertionError, match=r"(?s)sizes: fail: OverflowError.*Hint: Take every"):
        by_name["sizes"].values[0]()
    with pytest.raises(ValueError, match="no check is called logitz"):
        parametrize_checks(Breaks, expected_failures={"logitz": "?"})


# -- tiny tasks -----------------------------------------------------------------------------------


def test_episodes_show_their_classes():
    """A support and a query image of one class differ in few pixels, those of two in many."""
    episodes: Any = draw(tiny_task("kshot").but(shots=2), 6, seed=1, training=True)
    assert episodes.support_x.shape == (6, 10, 1, 20, 20)
    assert episodes.query_y.shape == (6, 10)
    assert episodes.support_y.sort(1).values.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]] * 6
    same = episodes.query_y[:, :, None] == episodes.support_y[:, None]  # (B, Q, S)
    apart = (episodes.query_x[:, :, None] - episodes.support_x[:, None]).abs().mean((3, 4, 5))
    # two flips at 0.1: 2 x 0.1 x 0.9 = 0.18 of the pixels
    assert apart[same].mean().item() == pytest.approx(0.18, abs=0.01)
    assert apart[~same].mean().item() > 0.4
    assert ((episodes.classes >= 0) & (episodes.classes < PATTERNS)).all()
    # one class number has one pattern, in all episodes
    rows = torch.arange(6)[:, None]
    classes = episodes.classes[rows, episodes.support_y].flatten()  # (B S,)
    images = episodes.support_x.flatten(0, 1).flatten(1)
    alike = classes[:, None] == classes
    assert torch.cdist(images, images, p=1)[alike].max() < 120  # 72 expected, of 400


def test_streams_present_each_class_equally_often():
    stream = draw(tiny_task("online"), 3, seed=1)
    assert isinstance(stream, Stream)
    assert stream.x.shape == (3, 10, 1, 20, 20)
    assert stream.y.sort(1).values.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]] * 3


def test_probes_ask_for_what_they_said():
    probe: Any = draw(tiny_task("sequence"), 2, seed=1)
    assert probe.x.shape == (2, 7, 7)
    assert probe.target[:, 4:].equal(probe.x[:, :3, :6])
    assert probe.mask.tolist() == [[0, 0, 0, 0, 1, 1, 1]] * 2


def test_training_batches_go_through_the_range_of_shots():
    task = TaskSpec((1, 20, 20), 2, (1, 3), queries=1, episodes_per_update=2, classes=4)
    shots = [training_batch(task, number).support_y.shape[1] // 2 for number in range(4)]
    assert shots == [1, 2, 3, 1]


def test_every_check_is_a_check():
    assert all(isinstance(check, Check) for check in CHECKS.values())
    assert all(name == check.name for name, check in CHECKS.items())


# -- learners as they are -------------------------------------------------------------------------


class MeansOnly(Pixels):
    """Class means: of a class without support 0 / 0."""

    protocols = ("kshot",)

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        member = torch.nn.functional.one_hot(support_y, ways).float()  # (B, S, N)
        sums = member.transpose(1, 2) @ support_x.flatten(2)
        return sums / member.sum(1)[..., None]  # (B, N, D)

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return -torch.cdist(query_x.flatten(2), state)


class MeansOnline(MeansOnly):
    protocols = ("kshot", "online")


def test_a_class_without_support_is_shown_to_learners_with_an_online_view_only():
    (told,) = check_learner(MeansOnly, checks=["logits"])
    assert told.status == "pass", told.reason
    (told,) = check_learner(MeansOnline, checks=["logits"])
    assert told.status == "fail"


class Network(Pixels):
    """Distances in the embedding of a network."""

    trained = True

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.net = self.network()

    def network(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(4))

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> Any:
        return super().adapt(self.embed(support_x), support_y, ways)

    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, self.embed(query_x))

    def embed(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Backbone(Network):
    """For images of 3x64x64."""

    def network(self) -> torch.nn.Module:
        parts = torch.nn.Conv2d(3, 2, 16, stride=16), torch.nn.Flatten(), torch.nn.Linear(32, 4)
        return torch.nn.Sequential(*parts)


WEIGHTS = ["logits", "sizes", "inputs-kept", "determinism", "state-dict", "gradients"]


def test_lazy_layers_are_looked_at():
    told = check_learner(Network, checks=WEIGHTS)
    assert [one.reason for one in told if one.status == "fail"] == []


def test_a_learner_for_one_shape_of_images_is_given_it():
    told = check_learner(Backbone, checks=WEIGHTS)
    assert [one.reason for one in told if one.status == "fail"] == []
    assert "all of this with images of 3x64x64" in str(told[1].reason)
    (refused,) = check_learner(Backbone, checks=["logits"], input_shape=(3, 32, 32))
    assert refused.status == "fail"
    (own,) = check_learner(Network, checks=["sizes"])
    assert own.reason is None
    (odd,) = check_learner(Network, checks=["sizes"], input_shape=(2, 9, 13))
    assert odd.reason == "all of this with images of 2x9x13"
