"""Scores against hand-computed ones, and what happens to learners that break the contract."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from bench.api import Learner, SequenceLearner, TaskSpec
from bench.data.probes import Copy
from bench.episodes.banks import Bank
from bench.episodes.classes import ClassPool, Draw
from bench.episodes.words import Purpose
from bench.protocols.answers import ContractError, NotFiniteError
from bench.protocols.kshot import EpisodePool
from bench.protocols.online import StreamPool, presentation
from bench.statistics.intervals import first_presentation_p
from bench.worker.evaluation import batch_size, evaluate, fitting, picture

SHAPE = (1, 2, 2)
KSHOT = TaskSpec(SHAPE, ways=2, shots=1, queries=2)
ONLINE = TaskSpec(SHAPE, ways=2, protocol="online", length=4)


class Scripted(Learner):
    """Says what it was told to say, episode after episode."""

    family, contract = "test", 1

    def __init__(self, logits: Tensor) -> None:
        super().__init__(self.Config(), KSHOT)
        self.logits = logits  # (E, Q, N)
        self.said = 0
        self.modes: set[bool] = set()

    def adapt(self, support_x, support_y, ways):
        return support_y

    def predict(self, state, query_x):
        self.modes |= {self.training, torch.is_grad_enabled()}
        start, self.said = self.said, self.said + len(query_x)
        return self.logits[start : self.said]

    def unroll(self, x, y, ways):
        return self.predict(None, x)


def pool(classes: int = 2, each: int = 10, kind: type[ClassPool] = EpisodePool) -> ClassPool:
    images = torch.zeros(classes * each, *SHAPE, dtype=torch.uint8)
    return kind(images, np.arange(classes) * each, np.full(classes, each))


def bank_with(task: TaskSpec, labels: list[list[int]]) -> Bank:
    """A bank whose right answers are these, whatever the images."""
    y = np.array(labels)
    classes = np.tile(np.arange(task.ways), (len(y), 1))
    none = np.zeros((len(y), 0), dtype=np.int64)
    if task.protocol == "online":
        streams = pool(kind=StreamPool)
        return Bank(streams, task, Draw(np.zeros_like(y), y, none, none, classes))
    return Bank(pool(), task, Draw(classes, classes, np.zeros_like(y), y, classes))


def saying(probabilities: list[list[float]]) -> Tensor:
    """Logits (E, Q, 2) from the probability of class 1, up to a constant that must not matter."""
    p = torch.tensor(probabilities)
    return torch.stack([1 - p, p], dim=-1).log() + 3.0


def test_kshot_scores_by_hand():
    scores = evaluate(
        Scripted(saying([[0.9, 0.2, 0.6, 0.3], [0.5001, 0.1, 0.1, 0.8]])),
        bank_with(KSHOT, [[1, 0, 0, 1], [1, 0, 0, 1]]),
    )
    assert_array_equal(scores.correct, [[True, True, False, False], [True] * 4])
    assert_array_equal(scores.accuracy, [0.5, 1.0])
    assert_allclose(scores.confidence[0], [0.9, 0.8, 0.6, 0.7], rtol=1e-6)
    by_hand = -(math.log(0.9) + math.log(0.8) + math.log(0.4) + math.log(0.3)) / 4
    assert_allclose(scores.nll[0], by_hand, rtol=1e-6)
    assert scores.by_presentation is None


def test_online_scores_by_hand():
    # episode 0 shows 0 1 1 0 and is right at steps 1, 2; episode 1 shows 1 1 0 0, right at 1, 2, 3
    scores = evaluate(
        Scripted(saying([[0.9, 0.9, 0.9, 0.9], [0.1, 0.9, 0.1, 0.1]])),
        bank_with(ONLINE, [[0, 1, 1, 0], [1, 1, 0, 0]]),
    )
    assert_array_equal(scores.accuracy, [0.5, 0.75])
    # 1st presentations: steps 0, 1 of episode 0 and steps 0, 2 of episode 1
    assert_array_equal(scores.by_presentation, [[0.5, 0.5], [0.5, 1.0]])


def test_episodes_keep_the_order_of_the_bank_over_batches(monkeypatch):
    monkeypatch.setattr("bench.worker.evaluation.batch_size", lambda bank: 2)
    right = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)).round()
    told = []
    scores = evaluate(
        Scripted(saying((0.2 + 0.6 * right).tolist())),
        bank_with(KSHOT, [[1, 1, 1, 1]] * 5),
        progress=told.append,
    )
    assert_array_equal(scores.correct, right.bool())
    assert told == [2, 4, 5]


def test_big_episodes_are_handled_in_small_batches():
    def size(task: TaskSpec) -> int:
        return batch_size(Bank.drawn(pool(20, 20), task, 2, 0, Purpose.TEST))

    assert size(TaskSpec(SHAPE, ways=5, shots=1, queries=15)) == 16
    assert size(TaskSpec(SHAPE, ways=20, shots=5, queries=15)) == 3


@pytest.mark.parametrize(
    ("shape", "size"),
    # 1280 images of 80 up to 32x32; 1280 * 1024 / 7056 = 185 at 84x84; never less than an episode
    [((1, 28, 28), 16), ((3, 32, 32), 16), ((3, 84, 84), 2), ((3, 224, 224), 1), ((640,), 16)],
)
def test_of_large_images_fewer_episodes_are_handled_together(shape, size):
    images = torch.zeros(1, *shape, dtype=torch.uint8).expand(400, *(-1 for _ in shape))
    large = EpisodePool(images, np.arange(20) * 20, np.full(20, 20))
    task = TaskSpec(shape, ways=5, shots=1, queries=15)
    assert batch_size(Bank.drawn(large, task, 2, 0, Purpose.TEST)) == size
    assert fitting(task, 16) == min(16, size)


@pytest.mark.parametrize(("task", "view"), [(KSHOT, "predict"), (ONLINE, "unroll")])
def test_logits_of_another_shape_are_refused(task, view):
    with pytest.raises(ContractError) as caught:
        evaluate(Scripted(torch.zeros(1, 4, 3)), bank_with(task, [[0, 1, 1, 0]]))
    assert str(caught.value) == (
        f"{view} returned logits of shape (1, 4, 3); expected (episodes, answers, ways) = (1, 4, 2)"
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    logits = torch.zeros(1, 4, 2)
    logits[0, 2, 1] = bad
    with pytest.raises(NotFiniteError, match="predict returned logits that are not finite"):
        evaluate(Scripted(logits), bank_with(KSHOT, [[0, 1, 1, 0]]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 4, 2), (1, 4, 3)])
def test_tested_in_eval_mode_without_gradients_and_the_mode_restored(training, shape):
    learner = Scripted(torch.zeros(shape)).train(training)
    try:
        evaluate(learner, bank_with(KSHOT, [[0, 1, 1, 0]]))
    except ContractError:
        assert shape[-1] == 3
    assert learner.training == training
    assert learner.modes == {False}
    assert torch.is_grad_enabled()


class Dice(Scripted):
    """Answers at random."""

    def predict(self, state, query_x):
        return torch.rand(*query_x.shape[:2], 2)


def test_a_learner_that_draws_random_numbers_answers_the_same_twice():
    bank = bank_with(KSHOT, [[0, 1, 1, 0]] * 3)
    dice = Dice(torch.zeros(0))
    first = evaluate(dice, bank)
    torch.rand(7)
    assert_array_equal(first.nll, evaluate(dice, bank).nll)


class Precise(Scripted):
    """Tells the type that matrix products have."""

    def predict(self, state, query_x):
        self.dtype = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        return self.logits.to(self.dtype)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_precision(precision, dtype):
    learner = Precise(saying([[0.9, 0.2, 0.6, 0.3]]))
    scores = evaluate(learner, bank_with(KSHOT, [[1, 0, 0, 1]]), precision)
    assert learner.dtype == dtype
    # the softmax is in float32 whatever the learner returns
    expected = learner.logits.to(dtype).double().softmax(-1).amax(-1)
    assert_allclose(scores.confidence, expected, rtol=1e-6)


# -- memory probes --------------------------------------------------------------------------------

COPY = TaskSpec((10,), ways=1, protocol="sequence", items=2, outputs=8)


class Answering(SequenceLearner):
    """Knows the answers, up to what `spoil` makes of their logits."""

    family, contract = "test", 1

    def __init__(self, spoil, heads=None) -> None:
        super().__init__(self.Config(), COPY)
        self.spoil, self.heads = spoil, heads or {}
        self.modes: set[bool] = set()

    def respond(self, x):
        self.modes |= {self.training, torch.is_grad_enabled()}
        answer = torch.zeros(*x.shape[:2], 8)
        answer[:, 4:] = x[:, 1:3, :8]
        return self.spoil(math.log(3) * (2 * answer - 1))  # a probability of 3/4

    def weightings(self, x):
        return {name: make(x) for name, make in self.heads.items()}


def copies(sequences: int = 3) -> Bank:
    return Bank.drawn(Copy(), COPY, sequences, 0, Purpose.TEST)


def test_probe_scores_by_hand():
    def spoil(logits):
        logits[:, :4] = 50.0  # before the answer is due nothing counts
        logits[1, 4, :3] *= -1  # three bits of sequence 1 are wrong
        return logits

    scores = evaluate(Answering(spoil), copies())
    assert scores.correct.shape == (3, 16)
    assert_array_equal(scores.errors, [0, 3, 0])
    assert_allclose(scores.accuracy, [1, 13 / 16, 1])
    assert_allclose(scores.confidence, 3 / 4, rtol=1e-6)
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    assert_allclose(scores.nll, [right, (13 * right + 3 * wrong) / 16, right], rtol=1e-6)
    assert scores.by_presentation is None


def test_an_undecided_bit_is_a_zero():
    scores = evaluate(Answering(torch.zeros_like), copies())
    bits = next(copies().batches(3)).target[:, 4:]
    assert_array_equal(scores.errors, bits.sum((1, 2)))


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda logits: logits[..., :7], ContractError,
         r"respond returned logits of shape \(3, 6, 7\); expected \(probes, steps, bits\) = "),
        (lambda logits: logits / 0, NotFiniteError, "respond returned logits that are not finite"),
    ],
)  # fmt: skip
def test_answers_to_probes_that_break_the_contract(spoil, error, said):
    with pytest.raises(error, match=said):
        evaluate(Answering(spoil), copies())


def test_long_probes_are_handled_in_small_batches():
    for items, size in ((20, 8 * 1280 // 42), (120, 8 * 1280 // 242)):
        bank = Bank.drawn(Copy(), COPY.but(items=items), 2, 0, Purpose.TEST)
        assert batch_size(bank) == size


def test_a_picture_is_of_the_first_sequence():
    learner = Answering(
        lambda logits: logits, {"read": lambda x: torch.ones(*x.shape[:2], 5).softmax(-1)}
    ).train()
    shown = picture(learner, copies())
    first = next(copies().batches(1))
    assert list(shown) == ["x", "target", "answer", "mask", "head read"]
    assert_array_equal(shown["x"], first.x[0])
    assert_array_equal(shown["target"], first.target[0])
    assert_array_equal(shown["mask"], [0, 0, 0, 0, 1, 1])
    assert_allclose(shown["answer"][4:], 0.25 + 0.5 * first.target[0, 4:], rtol=1e-6)
    assert_allclose(shown["head read"], np.full((6, 5), 0.2), rtol=1e-6)
    assert learner.training
    assert learner.modes == {False}


def test_a_learner_without_heads_has_no_picture():
    assert picture(Answering(lambda logits: logits), copies()) is None


@pytest.mark.parametrize("shape", [(1, 6), (1, 5, 3), (2, 6, 3)])
def test_weightings_of_another_shape_are_refused(shape):
    learner = Answering(lambda logits: logits, {"read": lambda x: torch.zeros(shape)})
    with pytest.raises(ContractError, match="weightings returned 'read' of shape"):
        picture(learner, copies())


# -- the ceiling at the first presentation --------------------------------------------------------


@dataclass(frozen=True)
class Peeking:
    share: float


class PerfectGuesser(Learner):
    """Knows every class that was presented before, and guesses among the labels that are left.

    It peeks at ``y_t`` with probability `share`: a planted leak.
    """

    family, contract = "test", 1
    Config = Peeking

    def unroll(self, x, y, ways):
        member = F.one_hot(y, ways)  # (B, T, N)
        seen_before = (member.cumsum(1) - member).bool()
        guess = torch.rand(seen_before.shape).masked_fill(seen_before, -1.0)
        knows = (presentation(y, ways) > 0) | (torch.rand(y.shape) < self.config.share)
        return guess + 10.0 * member * knows[..., None]


@pytest.mark.parametrize(("ways", "ceiling"), [(5, 0.457), (15, 0.221)])
def test_a_perfect_guesser_reaches_the_ceiling_and_a_leak_exceeds_it(ways, ceiling):
    task = TaskSpec(SHAPE, ways, protocol="online", length=3 * ways)
    bank = Bank.drawn(pool(20, kind=StreamPool), task, 3000, 0, Purpose.TEST)
    by_presentation = evaluate(PerfectGuesser(Peeking(0.0), task), bank).by_presentation
    first = by_presentation[:, 0]
    assert first.mean() == pytest.approx(ceiling, abs=0.01)
    assert_array_equal(by_presentation[:, 1:], 1.0)
    assert first_presentation_p(first, ways) > 1e-4
    leaked = evaluate(PerfectGuesser(Peeking(0.1), task), bank).by_presentation[:, 0]
    assert first_presentation_p(leaked, ways) < 1e-4
