"""Two honest learners, and the same with one mistake each, planted for the checks to catch."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, SequenceLearner, TaskSpec, option, previous_labels
from bench.nn import class_means, squared_distance, sum_before


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
    contract = 3


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


class AnswersInWholeNumbers(Honest):
    def predict(self, state: Any, query_x: Tensor) -> Tensor:
        return super().predict(state, query_x).long()


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


# -- when a label is told -------------------------------------------------------------------------


class BindsTheLabelBefore(Recurrent):
    """k-shot, an image is remembered with the label of the one before it, and the last one lost."""

    def remember(self, x: Tensor, z: Tensor, y: Tensor, ways: int) -> Any:
        if self.offset_labels:
            return super().remember(x, z, y, ways)
        self.check_ways(ways)
        _, memory = self.feed(self.begin(x[:, 0]), z, previous_labels(self.label(y)))
        blank = torch.zeros_like(self.label(y)[:, 0])
        return {"memory": memory, "pending": blank, "ways": ways}


class LosesThePendingLabel(Recurrent):
    """Online, a query comes without the label of the example before it."""

    def remember(self, x: Tensor, z: Tensor, y: Tensor, ways: int) -> Any:
        made = super().remember(x, z, y, ways)
        return {**made, "pending": torch.zeros_like(made["pending"])}


class ToldWithoutDelay(Recurrent):
    """Online, an example comes with its own label before it is asked for."""

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        self.check_ways(ways)
        return self.feed(self.begin(x[:, 0]), self.encode(x), self.label(y))[0][..., :ways]


class AskedWithItsLabel(Recurrent):
    """Without an offset, online: the label is told in the question already."""

    offset_labels = False  # type: ignore[assignment]

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        self.check_ways(ways)
        return self.feed(self.begin(x[:, 0]), self.encode(x), self.label(y))[0][..., :ways]


# -- in memory probes -----------------------------------------------------------------------------


class SeesTheProbeAhead(Recurrent):
    def respond(self, x: Tensor) -> Tensor:
        return super().respond(x - x.mean(1, keepdim=True))
