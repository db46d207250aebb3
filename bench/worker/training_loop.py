"""The meta-training loop: resumable, validated, early-stopped.

Batch i is a pure function of (seed, i), and torch is reseeded before each update, so a training
that was killed and resumed from its last checkpoint equals one that was not.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from bench.api import Learner, TaskSpec
from bench.api.executor import Progress
from bench.episodes.banks import Bank, draw_sizes, training_batch
from bench.episodes.pools import Pool
from bench.episodes.words import Purpose, torch_seed
from bench.planning.jobs import Training
from bench.protocols.answers import NotFiniteError
from bench.registry.installed import protocol
from bench.store import layout
from bench.store.checked import UnreadableError, missing
from bench.store.tensors import load_torch, save_torch
from bench.worker.checkpoints import give_state, resumable_state, try_out
from bench.worker.compiled import compiled_loss
from bench.worker.devices import seed_generators
from bench.worker.evaluation import evaluate, protocol_of
from bench.worker.schedule import advance, steps_due
from bench.worker.updates import make_optimizer, update

CHECKPOINT_SECONDS = 30.0

PROGRESS_SECONDS = 0.5


NAN_LIMIT = 50
"""So many updates in a row without finite loss and gradient end a training."""


INITIALISATION = 2**40
"""Stands for the update number where torch is seeded before the learner is built."""


Stopped = Literal["budget", "early stopping", "diverged"]


@dataclass
class History:
    """What a training has behind it: all of it is in the checkpoint."""

    updates: int = 0
    examples: int = 0
    seconds: float = 0.0
    """Meta-training time, harness included; meta-validation and checkpoints excluded."""
    learner_seconds: float = 0.0
    """The part of it in the learner's own loss, backward and optimizer step."""
    compile_seconds: float = 0.0
    """Time spent on compiling; in none of the others."""
    validation_seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    """Fields of `bench.store.records.CurvePoint`."""
    best: dict[str, Any] | None = None
    """The best of them."""
    skipped: int = 0
    """Updates skipped because loss or gradient were not finite."""
    skipped_in_a_row: int = 0
    scheduler_steps: int = 0
    """Steps that the scheduler of the learning rate has taken."""
    losses: list[float] = field(default_factory=list)
    """Training losses since the last meta-validation."""
    since_best: int = 0
    stopped: Stopped | None = None

    @property
    def overhead(self) -> float:
        """The fraction of meta-training time that is not the learner's own."""
        return 1 - self.learner_seconds / self.seconds if self.seconds else 0.0


def build_learner(training: Training, learner: type[Learner], config: Any) -> Learner:
    """A learner with the initial weights of this training's seed."""
    torch.manual_seed(torch_seed(training.seed, INITIALISATION))
    return learner(config, training.task)


class MetaTraining:
    """One training, from its last checkpoint to its end.

    Args:
        training: what is asked for.
        learner: fresh from `build_learner`, on the device.
        pool: what batches are drawn from, on the device.
        validation: the meta-validation bank, on the device.
        folder: where ``checkpoint.pt`` and ``best.pt`` lie.
        progress: told now and then where it stands.
        source: hash of the learner's code.

    Raises:
        UnreadableError: the checkpoint is damaged, or made by other code; learner and optimizer
            may have taken a part of it.
    """

    def __init__(
        self,
        training: Training,
        learner: Learner,
        pool: Pool,
        validation: Bank,
        folder: Path,
        progress: Progress = lambda event: None,
        source: str | None = None,
    ) -> None:
        self.training, self.learner, self.source = training, learner, source
        self.pool, self.validation = pool, validation
        self.folder, self.progress = folder, progress
        if training.budget is None:
            raise ValueError("a learner with nothing to train has no meta-training")
        self.budget = training.budget
        self.history = History()
        self.planned = planned_updates(training.task, training.budget)
        self.optimizer, self.scheduler = make_optimizer(learner, self.planned)
        self.compiled = compiled_loss(training, learner)
        self._last_checkpoint = self._last_progress = time.monotonic()
        self._refused = False
        self._resumable = False
        """Whether a checkpoint of it was read back."""
        self._resume()

    # -- the loop ---------------------------------------------------------------------------------

    def run(self) -> History:
        """Trains until the budget is spent or early stopping says so; returns the history."""
        history = self.history
        self.learner.train()
        while history.stopped is None:
            self._update()
            self._tell_refusal()
            if not self._resumable:
                self._try_resuming()
            if self._validation_due():
                self._validate()
                self.checkpoint()
            elif time.monotonic() - self._last_checkpoint > CHECKPOINT_SECONDS:
                self.checkpoint()
            if time.monotonic() - self._last_progress > PROGRESS_SECONDS:
                self._tell()
        return history

    def _update(self) -> None:
        history, training = self.history, self.training
        started = time.perf_counter()
        seed_generators(torch_seed(training.seed, history.updates))
        batch = training_batch(self.pool, training.task, training.seed, history.updates)
        built = time.perf_counter()
        loss = update(self.learner, self.optimizer, batch, training.precision, self.compiled)
        compiling = self._compile_seconds()
        history.learner_seconds += time.perf_counter() - built - compiling
        history.examples += examples(training.task, training.seed, history.updates)
        history.updates += 1
        history.skipped_in_a_row = 0 if loss is not None else history.skipped_in_a_row + 1
        if loss is None:
            history.skipped += 1
        else:
            history.losses.append(loss)
        history.seconds += time.perf_counter() - started - compiling
        self._anneal()

    def _compile_seconds(self) -> float:
        """What the last update spent on compiling."""
        if self.compiled is None:
            return 0.0
        seconds, self.compiled.seconds = self.compiled.seconds, 0.0
        self.history.compile_seconds += seconds
        return seconds

    def _tell_refusal(self) -> None:
        """Once. Behind a whole update: whoever hears it may raise `Cancelled`."""
        if self.compiled is not None and self.compiled.refused is not None and not self._refused:
            self._refused = True
            self.progress({"note": f"trains without CUDA graphs: {self.compiled.refused}"})

    def _anneal(self) -> None:
        """Brings the scheduler to where the spent part of the budget puts it."""
        history = self.history
        due = steps_due(
            self.budget,
            self.planned,
            updates=history.updates,
            examples=history.examples,
            seconds=history.seconds,
        )
        if self.scheduler is not None:
            advance(self.scheduler, due - history.scheduler_steps)
        history.scheduler_steps = due

    def fraction(self) -> float:
        """How much of the budget is spent: 1 or more is all."""
        if self.budget.examples is not None:
            return self.history.examples / self.budget.examples
        if self.budget.minutes is not None:
            return self.history.seconds / (60 * self.budget.minutes)
        return self.history.updates / self.planned

    def _validation_due(self) -> bool:
        spent = self.fraction() >= 1 or self.history.skipped_in_a_row >= NAN_LIMIT
        return spent or self.fraction() * self.budget.validations >= len(self.history.curve) + 1

    def _validate(self) -> None:
        history = self.history
        started = time.perf_counter()
        try:
            scores = evaluate(self.learner, self.validation, self.training.precision)
        except NotFiniteError:
            if history.best is None:
                raise
            history.stopped = "diverged"  # what was good before is kept
            history.validation_seconds += time.perf_counter() - started
            return
        losses, history.losses = history.losses, []
        means = scores.means()
        point = {
            "updates": history.updates,
            "examples": history.examples,
            "seconds": history.seconds,
            "loss": sum(losses) / len(losses) if losses else None,
            "val_accuracy": means.pop("accuracy", None),
            "val_nll": means.pop("nll", None),
            "val_scores": means,
        }
        history.curve.append(point)
        history.since_best += 1
        if history.best is None or self._rank(point) > self._rank(history.best):
            history.best, history.since_best = point, 0
            # a copy on disk, never a reference to the live weights
            save_torch(self.folder / layout.WEIGHTS, {"learner": self.learner.state_dict()})
        if history.skipped_in_a_row >= NAN_LIMIT:
            history.stopped = "diverged"
        elif self.fraction() >= 1:
            history.stopped = "budget"
        elif self._out_of_patience():
            history.stopped = "early stopping"
        history.validation_seconds += time.perf_counter() - started
        self._tell()

    def _out_of_patience(self) -> bool:
        """Whether early stopping ends it: never at chance, where many learners stay long before
        they learn."""
        patience, history = self.budget.patience, self.history
        if patience is None or history.best is None or history.since_best < patience:
            return False
        return chance_message(history.best, self.validation) is None

    # -- checkpoints ------------------------------------------------------------------------------

    def _content(self) -> dict[str, Any]:
        return {
            "training": self.training.id,
            "source": self.source,
            "history": asdict(self.history),
            **resumable_state(self.learner, self.optimizer, self.scheduler),
        }

    def checkpoint(self) -> None:
        """Stores where it stands, between two updates."""
        save_torch(self.folder / layout.CHECKPOINT, self._content())
        self._last_checkpoint = time.monotonic()

    def _try_resuming(self) -> None:
        """After the first update: a state that cannot be read back, or given to a new learner, is
        found out now and not when an interrupted training is to go on."""
        twin = build_learner(self.training, type(self.learner), self.learner.config)
        twin.to(next(self.learner.parameters()).device)
        try_out(self._content(), twin, *make_optimizer(twin, self.planned))
        self._resumable = True

    def _resume(self) -> None:
        path = self.folder / layout.CHECKPOINT
        if missing(path):
            return
        content = load_torch(path)
        try:
            if content.get("training", self.training.id) != self.training.id:
                raise UnreadableError(f"is of the training {content['training']}")
            if content.get("source") not in {None, self.source}:
                raise UnreadableError("was made by other code of this learner")
            stored = content["history"]
            # A checkpoint that does not count them is from when each update was a step.
            stored.setdefault("scheduler_steps", min(stored["updates"], self.planned))
            self.history = History(**stored)
            give_state(content, self.learner, self.optimizer, self.scheduler)
        except UnreadableError:
            raise
        except Exception as error:  # whatever is in it, and whatever the learner does with it
            raise UnreadableError(f"does not fit ({type(error).__name__}: {error})") from error
        self._resumable = True

    def _rank(self, point: dict[str, Any]) -> tuple[float, ...]:
        return protocol_of(self.validation).rank(means_of(point))

    def _best(self) -> dict[str, Any]:
        """The best meta-validation, by the protocol's own measure; its heading where it is no
        percentage."""
        if self.history.best is None:
            return {"val": None}
        measure = protocol_of(self.validation).measure(None, self.validation.pool)
        heading = None if measure.unit == "percent" else measure.heading
        return {
            "val": means_of(self.history.best).get(measure.metric),
            "val_heading": heading,
        }

    def _tell(self) -> None:
        history, fraction = self.history, self.fraction()
        self._last_progress = time.monotonic()
        self.progress(
            {
                "fraction": min(fraction, 1.0),
                "updates": history.updates,
                "loss": history.losses[-1] if history.losses else None,
                "val_accuracy": history.best["val_accuracy"] if history.best else None,
                **self._best(),
                "rate": history.examples / history.seconds if history.seconds else None,
                "seconds_left": history.seconds / fraction * (1 - fraction) if fraction else None,
            }
        )


def means_of(point: dict[str, Any]) -> dict[str, float]:
    """The scores of a meta-validation, by metric."""
    named = {"accuracy": point["val_accuracy"], "nll": point["val_nll"]}
    known = {name: mean for name, mean in named.items() if mean is not None}
    return known | point.get("val_scores", {})


def examples(task: TaskSpec, seed: int, number: int) -> int:
    """What update `number` counts for in a budget of examples."""
    fixed = isinstance(task.shots, int) and isinstance(task.items, int)
    drawn = task if fixed else draw_sizes(task, seed, number)
    return drawn.episodes_per_update * protocol(task.protocol).examples(drawn)


def planned_updates(task: TaskSpec, budget: Any) -> int:
    """About how many updates the budget allows; what a schedule is made from.

    A budget of minutes says nothing of updates: it counts as 10,000. The scheduler is stepped by
    the fraction of the budget spent (`bench.worker.schedule.steps_due`), so that any number serves.
    """
    if budget.updates is not None:
        return int(budget.updates)
    if budget.examples is None:
        return 10_000
    count = protocol(task.protocol).examples
    ends = zip(task.shot_range, task.item_range, strict=True)
    mean_examples = sum(count(task.but(shots=shots, items=items)) for shots, items in ends) / 2
    return max(1, math.ceil(budget.examples / (task.episodes_per_update * mean_examples)))


def validation_bank(training: Training, pool: Pool) -> Bank:
    """The episodes of meta-validation.

    They are of the training's own task, so that a training can be shared by all test settings
    that it serves: as many ways as there are classes, the largest number of shots or of a memory
    probe's items. All seeds of a suite answer the same ones.

    Args:
        training: says the task, the budget and the bank's seed.
        pool: what meta-validation draws from.
    """
    task = protocol(training.task.protocol).validation_task(training.task, pool)
    wanted = training.budget.validation_images if training.budget else 0
    episodes = max(2, wanted // pool.inputs(task))
    return Bank.drawn(pool, task, episodes, training.bank_seed, Purpose.VALIDATION)


def chance_message(point: dict[str, Any], bank: Bank) -> str | None:
    """What a reader should know where a meta-validation is no better than guessing; None where it
    is better."""
    return protocol_of(bank).at_chance(means_of(point), bank.task, len(bank))


def warnings(history: History, bank: Bank) -> list[str]:
    """What a reader of the result should know about the training."""
    messages = []
    if history.stopped == "diverged" and history.best is not None:
        messages.append(
            f"it diverged after {history.updates} updates; the weights are those of update "
            f"{history.best['updates']}"
        )
    if history.skipped:
        messages.append(f"{history.skipped} updates were skipped: loss or gradient were not finite")
    if history.best is not None:
        at_chance = chance_message(history.best, bank)
        messages += [at_chance] if at_chance else []
    return messages
