"""A trained learner that answers one's own images.

Letters in shapes: ``M`` images, ``C`` channels, ``H`` by ``W`` pixels, ``N`` classes.
"""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import Learner
from bench.errors import BenchError, told_if_wrong
from bench.planning.jobs import Training
from bench.registry.installed import protocol
from bench.trained.images import Images, as_inputs, labelled_folder, unlabelled_folder
from bench.trained.stored import read_training, trained_learner, training_folder
from bench.worker.devices import Device
from bench.worker.evaluation import autocast

TOGETHER = 512
"""Images that are answered in one call."""


@dataclass(frozen=True)
class Answers:
    """What a learner says of M images.

    Attributes:
        classes: the N names of the classes that it was adapted to.
        probabilities: (M, N) float32, of each class in their order; a row sums to 1.
        files: the M files, where they were a folder's.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    files: tuple[Path, ...] = ()

    @property
    def names(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[number] for number in self.probabilities.argmax(1)]

    def __str__(self) -> str:
        labels = [str(file) for file in self.files] or [str(n) for n in range(len(self.names))]
        best = self.probabilities.max(1)
        return "\n".join(
            f"{label}: {name} ({p:.0%})"
            for label, name, p in zip(labels, self.names, best, strict=True)
        )


class TrainedLearner:
    """A learner with the weights of a stored training. `bench.load_learner` makes one.

    Attributes:
        label: the learner's name with its options.
        training: what the training was asked for; ``training.task`` is what it was trained with.
        code_changed: whether the installed code is another than the one that made the weights.
        module: the `bench.api.Learner`, in ``eval()``.
    """

    def __init__(
        self, module: Learner, training: Training, device: Device, code_changed: bool
    ) -> None:
        self.module, self.training, self.code_changed = module, training, code_changed
        self.label = training.learner
        self._device = device.torch
        self._adapted: tuple[Any, tuple[str, ...]] | None = None

    def __repr__(self) -> str:
        task = protocol(self.training.task.protocol).describe_task(self.training.task)
        return f"<{self.label}, trained on {self.training.dataset}, {task}>"

    def adapt(
        self,
        images: Images | str | Path,
        labels: Sequence[Any] | None = None,
        *,
        invert: bool = False,
    ) -> Self:
        """Learns new classes from a few labelled images: the support set.

        Images are resized and coloured as in the learner's training. They need not be as many per
        class, or as many classes, as it was trained with, though a learner may refuse more classes.

        Args:
            images: a folder with a folder of images for each class; or images, as an array or
                tensor (M, H, W), (M, C, H, W) or (M, H, W, C) of uint8 or of floats from 0 to 1, or
                as a list of arrays, Pillow's images or files.
            labels: the M classes, texts or numbers; None for a folder, whose folders they are.
            invert: makes dark bright. Omniglot and the glyphs are bright ink on black, so that a
                learner trained on them wants scanned drawings inverted.

        Returns:
            Itself, adapted: `predict` answers with these classes, until it is adapted again.

        Raises:
            BenchError: images or labels that cannot be read; a learner that cannot take them.
        """
        if isinstance(images, str | Path):
            if labels is not None:
                raise BenchError("labels: of a folder they are its folders' names; leave them out")
            images, named = labelled_folder(images)
        else:
            named = _names(labels)
        x = self._inputs(images, invert)  # (S, C, H, W)
        if len(named) != len(x):
            raise BenchError(f"labels: there are {len(named)} for {len(x)} images; give one each")
        classes = tuple(dict.fromkeys(named))
        if len(classes) < 2:
            raise BenchError(f"labels: two classes or more are needed, got {', '.join(classes)}")
        y = torch.tensor([classes.index(name) for name in named], device=x.device)
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0)).to(x.device)
        state = self._ask(
            "cannot be adapted to them",
            lambda: self.module.adapt(x[order][None], y[order][None], len(classes)),
        )
        self._adapted = state, classes
        return self

    def predict(self, images: Images | str | Path, *, invert: bool = False) -> Answers:
        """Answers images with the classes that `adapt` was given: the queries.

        Args:
            images: as for `adapt`; a folder may also hold the images itself.
            invert: as for `adapt`.

        Raises:
            BenchError: `adapt` was not called; images that cannot be read; a learner that fails.
        """
        if self._adapted is None:
            raise BenchError("predict: the learner knows no classes yet; call adapt first")
        state, classes = self._adapted
        files: tuple[Path, ...] = ()
        if isinstance(images, str | Path):
            images = files = tuple(unlabelled_folder(images))
        x = self._inputs(images, invert)
        # The answers of a transductive learner depend on the other queries.
        parts = [x] if self.module.transductive else list(x.split(TOGETHER))
        logits = torch.cat([self._logits(state, part, len(classes)) for part in parts])
        return Answers(classes, logits.softmax(-1).numpy(), files)

    def _inputs(self, images: Images, invert: bool) -> Tensor:
        if not isinstance(invert, bool):
            raise BenchError(f"invert: expected True or False, got {reprlib.repr(invert)}")
        return as_inputs(images, self.training.task.input_shape, invert).to(self._device)

    def _logits(self, state: Any, x: Tensor, ways: int) -> Tensor:
        """(Q, N) on the CPU."""
        answered = self._ask("cannot answer them", lambda: self.module.predict(state, x[None]))
        if tuple(answered.shape) != (1, len(x), ways) or not answered.isfinite().all():
            raise BenchError(
                f"{self.label} answered with {tuple(answered.shape)} numbers that are not all "
                f"finite, or not (1, {len(x)}, {ways}); `bench check {self.label}` looks into it"
            )
        logits: Tensor = answered[0].float().cpu()
        return logits

    def _ask(self, what: str, call: Any) -> Any:
        """Calls the learner as a meta-test does; whatever it raises is an error with its name."""
        torch.manual_seed(0)
        try:
            with torch.no_grad(), autocast(self._device, self.training.precision):
                return call()
        except Exception as error:  # a learner may raise anything
            raise BenchError(f"{self.label} {what}: {type(error).__name__}: {error}") from error


def _names(labels: Any) -> list[str]:
    """Labels as texts, in any sequence or one-dimensional array."""
    if isinstance(labels, Tensor | np.ndarray):
        labels = labels.tolist()
    if not isinstance(labels, list | tuple | range):
        raise BenchError(
            "labels: expected a list with the class of each image, as labels=['cat', 'dog'], got "
            f"{reprlib.repr(labels)}"
        )
    wrong = [label for label in labels if not isinstance(label, str | int) or label == ""]
    if wrong:
        raise BenchError(f"labels: a class is a text or a number, not {reprlib.repr(wrong[0])}")
    return [str(label) for label in labels]


@told_if_wrong
def load_learner(
    results: str | Path = "results",
    learner: str | None = None,
    *,
    suite: str | None = None,
    setting: str | None = None,
    seed: int | None = None,
    budget: str | None = None,
    device: str = "cpu",
) -> TrainedLearner:
    """The learner that a stored training made, to answer one's own images.

    As much must be said as makes it one training; the message lists what is there. The weights are
    read as data and never as code, but the learner's installed code runs in this process.

    Args:
        results: the results folder; or the folder of one training or cell, and nothing else.
        learner: as results call it: ``prototypical``, ``maml[inner_steps=5]``.
        suite: a suite that it was tested on.
        setting: a setting of that suite.
        seed: of the training.
        budget: of the training: ``standard``, ``1000000examples``.
        device: where it answers: ``cpu``, ``cuda:0``, ``mps``.

    Raises:
        BenchError: none or several fit; the learner is not installed, was not trained on images,
            or its weights are gone or damaged; the device is not here.

    Warns:
        UserWarning: the installed code of the learner is another than the one that made it.
    """
    for name, value in (
        ("learner", learner), ("suite", suite), ("setting", setting), ("budget", budget),
    ):  # fmt: skip
        if value is not None and (not isinstance(value, str) or not value):
            raise BenchError(f"{name}: expected a text, got {reprlib.repr(value)}")
    if not isinstance(results, str | Path) or not str(results) or "\0" in str(results):
        raise BenchError(f"results: expected the path of a folder, got {reprlib.repr(results)}")
    if seed is not None and not _is_seed(seed):
        raise BenchError(f"seed: expected a whole number, got {reprlib.repr(seed)}")
    if not isinstance(device, str):
        raise BenchError(f"device: expected a text, as device='cpu', got {reprlib.repr(device)}")
    place = Device.parse(device)
    place.check()
    folder = training_folder(Path(results).expanduser(), learner, suite, setting, seed, budget)
    training, made = read_training(folder)
    asked = protocol(training.task.protocol)
    if not asked.folders:
        raise BenchError(
            f"{training.learner} was trained on {training.dataset}, in the {asked.name} protocol; "
            f"that is about {asked.about}, and images cannot be answered"
        )
    module, source = trained_learner(training, folder, place)
    changed = source != made.source
    if changed:
        warnings.warn(
            f"the code of {training.learner} has changed since these weights were made: its "
            "answers may be others than those of the stored results",
            stacklevel=3,
        )
    return TrainedLearner(module, training, place, changed)


def _is_seed(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
