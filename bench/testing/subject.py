"""What is checked: a learner with its weights, and episodes for it to answer. Here it is one in one
configuration, built and trained on tiny tasks as the harness does it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from bench.api import Episodes, Learner, Stream, TaskSpec
from bench.protocols.base import Protocol
from bench.protocols.online import Online
from bench.registry.contestants import within as config_within
from bench.registry.installed import protocol
from bench.testing.answering import TOLERANCE, answers, loss_of, of_numbers
from bench.testing.check import NotApplicableError
from bench.testing.tasks import draw, tiny_protocols, tiny_task, training_batch

UPDATES = 15
"""Before training, labels hardly change an answer, and what must not depend on them would not."""

EPISODES = 3
STREAMS = 32

SHAPES = ((3, 64, 64), (1, 28, 28), (3, 28, 28), (3, 32, 32), (3, 84, 84), (1, 105, 105))
"""Of images, tried in this order where a learner cannot answer the tiny tasks' own."""

MOST_EPISODES = 32
"""What an update is cut down to, so that a check takes seconds."""


@dataclass(frozen=True)
class Weights:
    """What a short training left behind."""

    state: dict[str, Any]
    answers: Tensor
    """Of the learner that was trained, before anything was saved or loaded."""


class View(NamedTuple):
    """A protocol with the learner trained for it, in ``eval()``, and test episodes."""

    protocol: Any
    """A `bench.protocols.base.Protocol`."""
    learner: Learner
    batch: Any


class Examined(ABC):
    """A learner with its weights, and episodes for it to answer, by protocol."""

    learner: type[Learner]
    """The class, for what it states."""
    most = 10
    """Queries asked alone, steps after which all is replaced, prefixes answered in both views."""

    @property
    def tolerance(self) -> float:
        """Differences that rounding explains, relative to the largest logit."""
        return TOLERANCE

    @property
    @abstractmethod
    def protocols(self) -> list[Protocol[Any, Any]]:
        """Those in which it is looked at."""

    @abstractmethod
    def fresh(self, within: Protocol[Any, Any]) -> Learner:
        """A new learner with these weights, in ``eval()``: no check sees what another one did."""

    @abstractmethod
    def episodes(self, within: Protocol[Any, Any]) -> Any:
        """Test episodes."""

    @abstractmethod
    def others(self, within: Protocol[Any, Any]) -> Any:
        """As many others."""

    @abstractmethod
    def given(self, within: Protocol[Any, Any]) -> Any:
        """A batch as `loss` is given it."""

    def streamed(self) -> Iterator[tuple[Learner, Stream]]:
        """Learners with online episodes to answer.

        Raises:
            NotApplicableError: where the learner has no online view.
        """
        yield from self.streams()

    @abstractmethod
    def many_streams(self) -> Stream:
        """Online episodes to estimate an accuracy from.

        Raises:
            NotApplicableError: where the learner has no online view.
        """

    def views(self) -> Iterator[View]:
        """One for each protocol of the learner."""
        for within in self.protocols:
            yield View(within, self.fresh(within), self.episodes(within))

    def asked(self, view: str) -> list[View]:
        """The views in which one of its methods answers: ``predict``, ``unroll``."""
        return [
            View(within, self.fresh(within), self.episodes(within))
            for within in self.protocols
            if within.view == view
        ]

    def conditioned(self) -> list[tuple[Learner, Episodes]]:
        """The views of `adapt` and `predict`: k-shot, regression.

        Raises:
            NotApplicableError: where the learner has none.
        """
        seen = self.asked("predict")
        if not seen:
            raise NotApplicableError("it has no k-shot view")
        return [(view.learner, cast(Episodes, view.batch)) for view in seen]

    def support(self) -> list[tuple[Learner, Episodes]]:
        """The views with a support set.

        Raises:
            NotApplicableError: where the learner has none.
        """
        return self.conditioned()

    def streams(self) -> list[tuple[Learner, Stream]]:
        """The online views.

        Raises:
            NotApplicableError: where the learner has none.
        """
        seen = self.asked("unroll")
        if not seen:
            raise NotApplicableError("it has no online view")
        return [(view.learner, cast(Stream, view.batch)) for view in seen]

    def class_streams(self) -> Learner:
        """The learner in its online view of classes.

        Raises:
            NotApplicableError: where the learner has none.
        """
        for learner, stream in self.streams():
            if not of_numbers(stream):
                return learner
        raise NotApplicableError("online it is asked for numbers, not for classes")

    def needs_training(self) -> None:
        """Raises a `NotApplicableError` for a learner without anything to meta-train."""
        if not self.learner.trained:
            raise NotApplicableError("nothing is meta-trained")


class Subject(Examined):
    """A learner in one configuration, and its weights after a few updates.

    Args:
        learner: the class.
        config: an instance of its Config; default: ``learner.Config()``.
        input_shape: of images, (C, H, W). Default: small ones, or the first of `SHAPES` that it can
            answer, as a backbone made for one shape.
    """

    def __init__(
        self,
        learner: type[Learner],
        config: Any = None,
        input_shape: tuple[int, int, int] | None = None,
    ) -> None:
        self.learner = learner
        self._config = config
        self._shape = input_shape
        self._weights: dict[str, Weights] = {}

    @cached_property
    def config(self) -> Any:
        """The configuration."""
        return self.learner.Config() if self._config is None else self._config

    def config_in(self, protocol: str) -> Any:
        """The configuration with a protocol's own defaults."""
        return config_within(self.learner, self.config, protocol)

    @property
    def protocols(self) -> list[Protocol[Any, Any]]:
        """Those that the learner takes part in, as far as they have tiny tasks."""
        return [protocol(name) for name in tiny_protocols() if name in self.learner.protocols]

    @cached_property
    def input_shape(self) -> tuple[int, ...] | None:
        """Of images, where it is not the tiny tasks' own; that is kept too where the learner
        answers none, so that a check says why."""
        if self._shape is not None:
            return self._shape
        own = [one for one in self.protocols if _of_images(tiny_task(one.name))]
        fitting = (shape for shape in (None, *SHAPES) if self._answers(own, shape))
        return next(fitting, None)

    def _answers(
        self, within: list[Protocol[Any, Any]], shape: tuple[int, int, int] | None
    ) -> bool:
        trial = Subject(self.learner, self.config)
        trial.input_shape = shape
        try:
            for one in within:
                answers(one, trial.build(one), trial.episodes(one))
        except (Exception, SystemExit):  # a plugin may raise anything
            return False
        return True

    def shaped(self, task: TaskSpec) -> TaskSpec:
        """A tiny task with images of the shape that is looked at."""
        if self.input_shape is None or not _of_images(task):
            return task
        return task.but(input_shape=self.input_shape)

    def task(self, within: Protocol[Any, Any], ways: int = 5) -> TaskSpec:
        """See `tiny_task`."""
        return self.shaped(tiny_task(within.name, ways))

    def training_task(self, task: TaskSpec) -> TaskSpec:
        """What the learner asks for, cut down to the data that there is."""
        asked = self.learner.training_task(self.config_in(task.protocol), task)
        asked = asked.but(episodes_per_update=min(asked.episodes_per_update, MOST_EPISODES))
        return protocol(task.protocol).tiny_cut(asked, task)

    def build(self, within: Protocol[Any, Any], seed: int = 0) -> Learner:
        """A new learner with the initial weights of a seed, those of lazy layers too."""
        config = self.config_in(within.name)
        task = self.training_task(self.task(within))  # may build learners to find what they take
        torch.manual_seed(seed)
        learner = self.learner(config, task)
        with torch.no_grad():
            if _has_lazy_layers(learner):
                within.ask(learner.eval(), self.episodes(within))
            if _has_lazy_layers(learner):
                loss_of(learner, self.given(within))
        return learner.train()

    def weights(self, within: Protocol[Any, Any]) -> Weights:
        """What `UPDATES` updates make of it."""
        if within.name not in self._weights:
            learner = self.build(within)
            if self.learner.trained:
                list(train(learner, UPDATES))
            state = copy.deepcopy(learner.state_dict())  # tensors, and a module's extra state
            told = answers(within, learner, self.episodes(within))
            self._weights[within.name] = Weights(state, told)
        return self._weights[within.name]

    def fresh(self, within: Protocol[Any, Any]) -> Learner:
        """See `Examined.fresh`."""
        learner = self.build(within)
        # A copy: a module takes its extra state as it is, and may write into it.
        learner.load_state_dict(copy.deepcopy(self.weights(within).state))
        return learner.eval()

    def episodes(self, within: Protocol[Any, Any], seed: int = 1) -> Any:
        """Test episodes: 5-way 2-shot; online, with two presentations of a class; a probe."""
        return draw(self.task(within).but(shots=2), EPISODES, seed)

    def others(self, within: Protocol[Any, Any]) -> Any:
        """See `Examined.others`."""
        return self.episodes(within, seed=8)

    def given(self, within: Protocol[Any, Any]) -> Any:
        """See `Examined.given`."""
        return draw(self.training_task(self.task(within)), 2, seed=4, training=True)

    def streamed(self) -> Iterator[tuple[Learner, Stream]]:
        """See `Examined.streamed`. One that was trained k-shot has an online view too, and may be
        told its labels otherwise."""
        streams = self.streams()
        yield from streams
        for learner, episodes in self.conditioned() if self.asked("predict") else []:
            for _, stream in streams:
                if of_numbers(stream) == of_numbers(episodes):
                    yield learner, stream

    def many_streams(self) -> Stream:
        """See `Examined.many_streams`."""
        self.class_streams()
        return cast(Stream, draw(self.task(protocol(Online.name)), STREAMS, seed=6))


def _of_images(task: TaskSpec) -> bool:
    return len(task.input_shape) == 3


def _has_lazy_layers(learner: Learner) -> bool:
    """Whether some of its weights have no shape before the first input, as those of LazyLinear."""
    return any(map(is_lazy, (*learner.parameters(), *learner.buffers())))


def train(learner: Learner, updates: int, made: Any = None) -> Iterator[float]:
    """Meta-trains as the harness does, torch seeded per update; yields the loss of each.

    Args:
        learner: what is trained.
        updates: how many.
        made: by its `optimizer`, where the caller wants to look at it afterwards.
    """
    made = made or learner.optimizer(updates)
    optimizer, schedule = made if isinstance(made, tuple) else (made, None)
    for number in range(updates):
        learner.train()
        torch.manual_seed(number)
        loss = loss_of(learner, training_batch(learner.task, number))
        optimizer.zero_grad()
        loss.backward()
        if learner.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(learner.parameters(), learner.max_grad_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        yield loss.item()
